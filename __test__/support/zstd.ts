/** A zstd frame (RFC 8878) with the text uncompressed, because not every supported Node can compress one. */
export function zstdFrame(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  // A single segment with its size in four bytes, followed by one last block of type "raw".
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(bytes.length, 5);
  head.writeUIntLE((bytes.length << 3) | 1, 9, 3);
  return Buffer.concat([head, bytes]);
}
