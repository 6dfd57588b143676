#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Write;

use serde_json::json;

use super::*;

/// The rows of a file with this content, and the result of reading it.
pub fn rows_of(content: &[u8], name: Option<&str>) -> (Vec<(String, Value)>, Result<(), String>) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    let mut rows = Vec::new();
    let end = read(file, name, &mut |place, value| {
        rows.push((place.to_string(), value));
        Ok(())
    });
    let end = end.map_err(|error| {
        assert!(error.is_refusal());
        error.to_string()
    });
    (rows, end)
}

fn values(content: &[u8]) -> Vec<Value> {
    let (rows, end) = rows_of(content, None);
    end.unwrap();
    rows.into_iter().map(|(_, value)| value).collect()
}

fn error(content: &[u8]) -> String {
    rows_of(content, None).1.unwrap_err()
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(content).unwrap();
    gz.finish().unwrap()
}

#[test]
fn lines_and_lists_are_read_with_or_without_a_mark_and_compressed_or_not() {
    let expected = [json!({ "a": 1 }), json!({ "b": "ü" })];
    let lines = "{\"a\":1}\n\n{\"b\":\"ü\"}\r\n";
    let list = " \n[\n {\"a\":1},\n {\"b\":\"ü\"}\n]\n";
    for text in [lines, list] {
        let marked = format!("\u{feff}{text}");
        for content in [text, &marked] {
            assert_eq!(values(content.as_bytes()), expected, "{content:?}");
            assert_eq!(values(&gz(content.as_bytes())), expected, "gz {content:?}");
        }
    }
    let places = |content: &[u8]| {
        let rows = rows_of(content, Some("x.jsonl")).0;
        rows.into_iter().map(|(place, _)| place).collect::<Vec<_>>()
    };
    assert_eq!(
        places(lines.as_bytes()),
        ["x.jsonl: line 1", "x.jsonl: line 3"]
    );
    assert_eq!(
        places(list.as_bytes()),
        ["x.jsonl: row 1", "x.jsonl: row 2"]
    );
}

#[test]
fn what_is_broken_is_named_by_its_line() {
    for (content, expected) in [
        (&b"{\"a\":1}\n{\"te"[..], "datasetSource: line 2: not JSON"),
        (b"{\"a\":1}\n\xff\n", "datasetSource: line 2: not UTF-8"),
        (b"subject,team\nHello,billing\n", "If this is CSV"),
        (
            b"[{\"a\":1}, {\"b\"",
            "datasetSource: not a list of JSON objects, after row 1",
        ),
        (b"[{\"a\":1}] {}", "after row 1"),
        (b"\xff\xfe{\0}\0", "is UTF-16"),
        (b"\x28\xb5\x2f\xfd....", "compressed with zstd"),
        (b"PK\x03\x04....", "compressed with zip"),
        (b"PAR1 and no more", "the Parquet data is broken"),
        (b"\x1f\x8b and no more", "can't be read"),
    ] {
        let error = error(content);
        assert!(error.contains(expected), "{error}");
    }
    assert!(error(&gz(b"{\"a\":1}")[..20]).contains("can't be read"));
}

#[test]
fn an_error_of_a_row_ends_the_reading_with_its_place() {
    for content in [&b"{}\n{}\n{}\n"[..], b"[{}, {}, {}]"] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let mut seen = 0;
        let end = read(file, None, &mut |place, _| {
            seen += 1;
            if seen == 2 {
                Err(place.blame(Error::Refused("no".to_owned())))
            } else {
                Ok(())
            }
        });
        assert!(end.unwrap_err().to_string().ends_with(" 2: no"));
        assert_eq!(seen, 2);
    }
}

#[test]
fn what_unfolds_without_end_is_refused() {
    let line = gz(&vec![b'x'; MAX_LINE_BYTES + 2]);
    assert!(error(&line).contains("line 1: is longer than 16 MiB"));
    let nulls = format!("{{}}\n[{}null]\n", "null,".repeat(2_000_000));
    assert!(
        error(&gz(nulls.as_bytes())).contains("line 2: not JSON: takes more than 64 MiB of memory")
    );
    let list = format!("[{{}}, [{}null]]", "null,".repeat(2_000_000));
    assert!(error(&gz(list.as_bytes())).contains("takes more than 64 MiB of memory"));
    let blank = vec![b'\n'; 1 << 20];
    let mut all = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..=MAX_TEXT_BYTES >> 20 {
        all.write_all(&blank).unwrap();
    }
    let error = error(&all.finish().unwrap());
    assert!(
        error.contains("more than 512 MiB when decompressed"),
        "{error}"
    );
}
