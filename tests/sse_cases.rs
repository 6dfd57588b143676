//! Runs the decoder on the event-stream cases of `tests/data/sse-cases.json`, or of the file that
//! `ARKOR_SSE_CASES` names. Each case runs as recorded, as a whole, byte by byte, and in reads of 2 and 7
//! bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use arkor::sse::{Decoder, Frame};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eventsource_stream::Eventsource;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    chunks: Vec<String>,
    expected: Vec<Expected>,
    final_last_event_id: String,
    final_retry_ms: Option<u64>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Expected {
    event: String,
    data: String,
    last_event_id: String,
}

fn cases() -> Vec<Case> {
    let path = std::env::var("ARKOR_SSE_CASES").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sse-cases.json").to_owned()
    });
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn decode(reads: &[Bytes]) -> (Vec<Frame<'static>>, Option<Duration>) {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for read in reads {
        decoder
            .push(read, |frame| frames.push(frame.into_owned()))
            .unwrap();
    }
    (frames, decoder.retry())
}

fn check(case: &Case, how: &str, reads: &[Bytes]) {
    let (frames, retry) = decode(reads);
    let mut id = String::new();
    let mut events = Vec::new();
    for frame in frames {
        if let Some(set) = frame.id {
            id = set.into_owned();
        }
        if frame.has_data {
            events.push(Expected {
                event: frame.event.into_owned(),
                data: frame.data.into_owned(),
                last_event_id: id.clone(),
            });
        }
    }
    let name = format!("{} ({how})", case.name);
    assert_eq!(events, case.expected, "{name}");
    assert_eq!(id, case.final_last_event_id, "{name}: last event id");
    let expected = case.final_retry_ms.map(Duration::from_millis);
    assert_eq!(retry, expected, "{name}: retry");
}

#[test]
fn every_case_decodes_as_the_standard_says_however_it_is_cut() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in &cases {
        let reads: Vec<Bytes> = case
            .chunks
            .iter()
            .map(|chunk| STANDARD.decode(chunk).unwrap().into())
            .collect();
        let whole = reads.concat();
        check(case, "as recorded", &reads);
        check(case, "whole", &[Bytes::from(whole.clone())]);
        for size in [1, 2, 7] {
            let cut: Vec<Bytes> = whole.chunks(size).map(Bytes::copy_from_slice).collect();
            check(case, &format!("reads of {size}"), &cut);
        }
    }
}

/// Generates bytes that look like a stream more often than random ones.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data".to_vec()),
        Just(b"id: ".to_vec()),
        Just(b"id".to_vec()),
        Just(b"event: end".to_vec()),
        Just(b"retry: 10".to_vec()),
        Just(b":".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        Just("é".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_cutting_of_the_same_bytes_gives_the_same_frames(
        bytes in stream(),
        sizes in prop::collection::vec(1_usize..9, 1..40),
    ) {
        let whole = decode(&[Bytes::from(bytes.clone())]);
        let mut rest = Bytes::from(bytes);
        let mut reads = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            reads.push(rest.split_to(rest.len().min(*size)));
        }
        prop_assert_eq!(decode(&reads), whole);
    }
}

/// Generates whole blocks of lines that the reference parser accepts: valid UTF-8 without a byte order mark,
/// and LF only.
fn blocks() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => Just("data"),
        2 => Just("event"),
        2 => Just("id"),
        1 => Just("retry"),
        1 => Just("dat"),
        1 => Just("data "),
        1 => Just("other"),
        1 => Just(""),
    ];
    let value = prop_oneof![
        Just(String::new()),
        Just(" ".to_owned()),
        Just("\0".to_owned()),
        "[ :a-z0-9{}\"é\u{1F600}]{0,12}",
    ];
    let colon = prop_oneof![Just(""), Just(":"), Just(": "), Just(":  ")];
    let line = (name, colon, value).prop_map(|(name, colon, value)| match colon {
        "" => format!("{name}\n"),
        _ => format!("{name}{colon}{value}\n"),
    });
    let block = prop::collection::vec(line, 0..6).prop_map(|lines| lines.concat() + "\n");
    prop::collection::vec(block, 0..8).prop_map(|blocks| blocks.concat())
}

/// The reference parser's result for a stream: event, data and last event id of each event.
fn by_the_crate(text: &str) -> Vec<(String, String, String)> {
    let source = futures::stream::iter([Ok::<_, std::convert::Infallible>(text.to_owned())]);
    let events: Vec<_> = futures::executor::block_on_stream(Box::pin(source.eventsource()))
        .collect::<Result<_, _>>()
        .unwrap();
    events
        .into_iter()
        .map(|event| (event.event, event.data, event.id))
        .collect()
}

proptest! {
    /// The fields are found by the engine's own code, for speed; eventsource-stream is the reference.
    #[test]
    fn the_events_are_those_of_eventsource_stream(text in blocks()) {
        let mut id = String::new();
        let mut events = Vec::new();
        for frame in decode(&[Bytes::from(text.clone())]).0 {
            if let Some(set) = frame.id {
                id = set.into_owned();
            }
            if frame.has_data {
                events.push((frame.event.into_owned(), frame.data.into_owned(), id.clone()));
            }
        }
        prop_assert_eq!(events, by_the_crate(&text));
    }
}
