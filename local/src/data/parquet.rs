//! Rows in Parquet files, the form in which Hugging Face keeps most datasets. Flow in: the bytes of a
//! file. Flow out: rows as JSON. A module because nothing else knows this format.

use bytes::Bytes;
use parquet::errors::Result;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

const MAGIC: &[u8] = b"PAR1";

/// Whether this is a Parquet file.
#[must_use]
pub fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The rows, each a JSON object.
pub fn rows(bytes: Bytes) -> Result<Vec<Value>> {
    let reader = SerializedFileReader::new(bytes)?;
    reader
        .get_row_iter(None)?
        .map(|row| row.map(|row| row.to_json_value()))
        .collect()
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
        assert_eq!(rows(Bytes::from(bytes)).unwrap(), expected);
        assert!(rows(Bytes::from_static(b"PAR1 and no more")).is_err());
    }
}
