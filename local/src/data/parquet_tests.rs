#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;

use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use crate::data::reader::tests::rows_of;

/// A file with the columns of a schema, which all contain the same texts.
fn file(columns: &str, texts: &[&str], compression: Compression) -> Vec<u8> {
    let schema = format!("message schema {{ {columns} }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
    while let Some(mut column) = group.next_column().unwrap() {
        let column_writer = column.typed::<ByteArrayType>();
        column_writer.write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

const TEXT: &str = "REQUIRED BYTE_ARRAY text (UTF8);";

#[test]
fn a_text_without_a_mark_was_read_as_base64_and_three_compressions_not_at_all() {
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        for columns in [TEXT, "REQUIRED BYTE_ARRAY text;"] {
            let (rows, end) = rows_of(&file(columns, &["a", "b ü"], compression), None);
            assert_eq!(end, Ok(()), "{compression:?}");
            let expected = [
                ("row 1".to_owned(), json!({ "text": "a" })),
                ("row 2".to_owned(), json!({ "text": "b ü" })),
            ];
            assert_eq!(rows, expected, "{compression:?}");
        }
    }
}

#[test]
fn columns_that_no_row_has_are_not_even_read() {
    let columns = format!("{TEXT} REQUIRED BYTE_ARRAY picture;");
    let (rows, _) = rows_of(&file(&columns, &["a"], Compression::SNAPPY), None);
    assert_eq!(rows[0].1, json!({ "text": "a" }));
    let (_, end) = rows_of(
        &file("REQUIRED BYTE_ARRAY picture;", &["a"], Compression::SNAPPY),
        Some("x.parquet"),
    );
    let error = end.unwrap_err();
    assert!(
        error.starts_with("datasetSource: x.parquet: row 1: expected") && error.contains("picture"),
        "{error}"
    );
}

#[test]
fn a_small_file_of_large_rows_is_refused() {
    let text = "x".repeat(1 << 20);
    let texts = vec![text.as_str(); 600];
    let bytes = file(TEXT, &texts, Compression::ZSTD(ZstdLevel::default()));
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    let (rows, end) = rows_of(&bytes, None);
    assert!(rows.len() > 500);
    let error = end.unwrap_err();
    assert!(
        error.contains("more than 512 MiB when decompressed"),
        "{error}"
    );
}

#[test]
fn a_page_beyond_the_limit_is_refused_before_it_is_decompressed() {
    let text = "x".repeat(70 << 20);
    for compression in [
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let bytes = file(TEXT, &[&text], compression);
        assert!(bytes.len() < 1 << 20, "{}", bytes.len());
        let error = rows_of(&bytes, None).1.unwrap_err();
        assert!(
            error.contains("a page has") && error.contains("may have"),
            "{error}"
        );
    }
}
