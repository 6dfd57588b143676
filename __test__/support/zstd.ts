/** A zstd frame (RFC 8878) that holds the text as it is: not every supported Node can compress one. */
export function zstdFrame(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  // One segment, its size in four bytes; then the last block, of the kind "raw".
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(bytes.length, 5);
  head.writeUIntLE((bytes.length << 3) | 1, 9, 3);
  return Buffer.concat([head, bytes]);
}
