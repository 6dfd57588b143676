//! Rows in Parquet files, the form in which Hugging Face keeps most datasets. Flow in: the bytes of a
//! file. Flow out: rows as JSON. A module because nothing else knows this format.

use std::io::Write;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

const MAGIC: &[u8] = b"PAR1";

/// Whether this is a Parquet file.
#[must_use]
pub fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The rows, each a JSON object: all of them at most `limit` bytes when decompressed, as the file
/// says, and as JSON.
pub fn rows(bytes: Bytes, limit: u64) -> Result<Vec<Value>> {
    let too_large = || ParquetError::General(format!("more than {limit} bytes when decompressed"));
    let reader = SerializedFileReader::new(bytes)?;
    let groups = reader.metadata().row_groups().iter();
    let said: i128 = groups
        .map(|group| i128::from(group.total_byte_size()))
        .sum();
    if said > i128::from(limit) {
        return Err(too_large());
    }
    let mut size = Size(0);
    let mut rows = Vec::new();
    for row in reader.get_row_iter(None)? {
        let row = row?.to_json_value();
        serde_json::to_writer(&mut size, &row)
            .map_err(|error| ParquetError::General(error.to_string()))?;
        if size.0 > limit {
            return Err(too_large());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Counts the bytes that are written to it.
struct Size(u64);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A file with one column of texts.
    pub(crate) fn file(column: &str, texts: &[&str]) -> Vec<u8> {
        let schema = format!("message schema {{ REQUIRED BYTE_ARRAY {column} (UTF8); }}");
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let properties = WriterProperties::builder()
            .set_compression(parquet::basic::Compression::SNAPPY)
            .build();
        let mut bytes = Vec::new();
        let mut writer =
            SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, None, None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn rows_are_json_objects() {
        let bytes = file("text", &["a", "b ü"]);
        assert!(is_parquet(&bytes));
        let expected = [
            serde_json::json!({ "text": "a" }),
            serde_json::json!({ "text": "b ü" }),
        ];
        assert_eq!(rows(Bytes::from(bytes), 1000).unwrap(), expected);
        assert!(rows(Bytes::from_static(b"PAR1 and no more"), 1000).is_err());
    }

    #[test]
    fn what_grows_beyond_the_limit_is_refused() {
        let text = "x".repeat(10_000);
        let bytes = Bytes::from(file("text", &[&text, &text]));
        assert!(bytes.len() < 5_000);
        assert!(rows(bytes.clone(), 30_000).is_ok());
        for limit in [5_000, 15_000] {
            let error = rows(bytes.clone(), limit).unwrap_err().to_string();
            assert!(error.contains("when decompressed"), "{error}");
        }
    }
}
