//! Checks the decompressed size of a Parquet file's pages before decompressing any. The file's own
//! metadata can't be trusted, and the library allocates whatever a page header demands.

use std::io::{self, Read};

use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::SchemaDescriptor;

/// The largest page, in bytes.
const MAX_PAGE_BYTES: u64 = 64 * 1024 * 1024;

/// How many values a row group may have beyond one per row and column: a fixed number, plus a number per
/// row, up to a maximum. In the worst case, all of them belong to one row and are in memory at once.
const EXTRA_VALUES: (u64, u64, u64) = (1 << 20, 16, 1 << 22);

/// The largest header, in bytes. Headers are small, but may contain a page's minimum and maximum.
const MAX_HEADER_BYTES: u64 = 1024 * 1024;

/// The deepest nesting of structs in a header.
const MAX_DEPTH: usize = 8;

fn error<T>(message: impl Into<String>) -> Result<T> {
    Err(ParquetError::General(message.into()))
}

/// Refuses a row group whose pages are too large for memory, in the columns of `schema`.
pub fn check<R: ChunkReader>(
    file: &R,
    group: &RowGroupMetaData,
    schema: &SchemaDescriptor,
) -> Result<()> {
    let rows = u64::try_from(group.num_rows())?;
    let mut extra = 0;
    for column in group.columns() {
        let wanted = schema
            .columns()
            .iter()
            .any(|other| other.path() == column.column_path());
        if wanted {
            extra += values(file, column)?.saturating_sub(rows);
        }
    }
    let (group, row, most) = EXTRA_VALUES;
    let limit = rows.saturating_mul(row).saturating_add(group).min(most);
    if extra > limit {
        return error(format!(
            "a row group of {rows} rows has {extra} values more than rows and columns, and may have {limit}. \
             Write smaller row groups"
        ));
    }
    Ok(())
}

/// Counts the values in a column's pages, and checks the pages' sizes.
fn values<R: ChunkReader>(file: &R, column: &ColumnChunkMetaData) -> Result<u64> {
    let (start, length) = column.byte_range();
    let (mut at, end) = (start, start.saturating_add(length));
    let mut values = 0;
    while at < end {
        let header = Header::read(file.get_read(at)?.take(MAX_HEADER_BYTES))
            .map_err(|error| ParquetError::General(format!("a page header is broken: {error}")))?;
        if header.uncompressed_size > MAX_PAGE_BYTES {
            return error(format!(
                "a page has {} bytes, and may have {MAX_PAGE_BYTES}",
                header.uncompressed_size
            ));
        }
        let data = at + header.length;
        check_size(file, column.compression(), data, &header)?;
        values += header.values;
        at = data + header.compressed_size;
    }
    Ok(values)
}

/// Checks the real size of gzip and Brotli pages, because their decoders ignore the size in the header.
fn check_size<R: ChunkReader>(
    file: &R,
    compression: Compression,
    at: u64,
    header: &Header,
) -> Result<()> {
    let data = || file.get_bytes(at, usize::try_from(header.compressed_size)?);
    let size = match compression {
        Compression::GZIP(_) => size(flate2::read::MultiGzDecoder::new(&*data()?), header),
        Compression::BROTLI(_) => size(brotli::Decompressor::new(&*data()?, 4096), header),
        _ => return Ok(()),
    };
    // Data that can't be decompressed is reported by the reader.
    if size.is_ok_and(|size| size > header.uncompressed_size) {
        return error("a page is larger than its header says");
    }
    Ok(())
}

fn size(decoder: impl Read, header: &Header) -> io::Result<u64> {
    io::copy(
        &mut decoder.take(header.uncompressed_size + 1),
        &mut io::sink(),
    )
}

/// The fields of a page header, and its own length.
#[derive(Debug, Default, PartialEq, Eq)]
struct Header {
    length: u64,
    uncompressed_size: u64,
    compressed_size: u64,
    values: u64,
}

impl Header {
    fn read(source: impl Read) -> io::Result<Self> {
        let mut thrift = Thrift { source, length: 0 };
        let mut header = Self::default();
        thrift.fields(&mut |thrift, id, kind| match id {
            2 => thrift.size().map(|size| header.uncompressed_size = size),
            3 => thrift.size().map(|size| header.compressed_size = size),
            // These three kinds of pages contain values. The number of values comes first.
            5 | 7 | 8 => thrift.fields(&mut |thrift, id, kind| match id {
                1 => thrift.size().map(|size| header.values = size),
                _ => thrift.skip(kind, 0),
            }),
            _ => thrift.skip(kind, 0),
        })?;
        header.length = thrift.length;
        Ok(header)
    }
}

/// A reader of Thrift's compact protocol, limited to what page headers need.
struct Thrift<R> {
    source: R,
    length: u64,
}

type OnField<'a, R> = &'a mut dyn FnMut(&mut Thrift<R>, i64, u8) -> io::Result<()>;

impl<R: Read> Thrift<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        self.length += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::Error::other("a number that is too long"))
    }

    fn zigzag(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn size(&mut self) -> io::Result<u64> {
        u64::try_from(self.zigzag()?).map_err(|_| io::Error::other("a size below 0"))
    }

    /// Calls `on` for every field of a struct, with its id and type.
    fn fields(&mut self, on: OnField<'_, R>) -> io::Result<()> {
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = match byte >> 4 {
                0 => self.zigzag()?,
                delta => id + i64::from(delta),
            };
            on(self, id, byte & 0x0f)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("too deep"));
        }
        match kind {
            // A boolean is part of its type.
            1 | 2 => Ok(()),
            3 => self.byte().map(|_| ()),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip_bytes(8),
            8 => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.varint()?,
                    count => count.into(),
                };
                for _ in 0..count {
                    // In a list, each boolean takes a whole byte.
                    match head & 0x0f {
                        1 | 2 => self.skip(3, depth + 1)?,
                        kind => self.skip(kind, depth + 1)?,
                    }
                }
                Ok(())
            }
            12 => self.fields(&mut |thrift, _, kind| thrift.skip(kind, depth + 1)),
            _ => Err(io::Error::other("an unknown type")),
        }
    }

    fn skip_bytes(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.source.by_ref().take(count), &mut io::sink())?;
        self.length += skipped;
        if skipped < count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    /// Type 0, sizes 200 and 100, a checksum, and a data page of 300 values with statistics.
    const HEADER: [u8; 26] = [
        0x15, 0x00, 0x15, 0x90, 0x03, 0x15, 0xc8, 0x01, 0x15, 0x02, 0x1c, 0x15, 0xd8, 0x04, 0x15,
        0x00, 0x15, 0x06, 0x15, 0x06, 0x1c, 0x18, 0x01, b'a', 0x00, 0x00,
    ];

    #[test]
    fn the_sizes_of_a_page_are_in_its_header() {
        let mut bytes = HEADER.to_vec();
        bytes.extend([0x00, 0xff, 0xff]);
        let header = Header::read(&bytes[..]).unwrap();
        let expected = Header {
            length: 27,
            uncompressed_size: 200,
            compressed_size: 100,
            values: 300,
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn a_header_that_is_cut_off_or_never_ends_is_an_error() {
        for length in 0..=HEADER.len() {
            assert!(Header::read(&HEADER[..length]).is_err(), "{length}");
        }
        assert!(Header::read(&[0x1c; 1000][..]).is_err());
        assert!(
            Header::read(
                &[
                    0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
                ][..]
            )
            .is_err()
        );
        assert!(
            Header::read(&[0x25, 0x01, 0x00][..]).is_err(),
            "a size below 0"
        );
    }
}
