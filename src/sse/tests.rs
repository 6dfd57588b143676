#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn frames(text: &[u8]) -> Vec<Frame<'static>> {
    let mut frames = Vec::new();
    Decoder::default()
        .push(text, |frame| frames.push(frame.into_owned()))
        .unwrap();
    frames
}

#[test]
fn t12_a_block_without_data_gets_through_with_its_event_and_says_that_it_has_none() {
    let found = frames(b"event: end\n\n");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].event.as_ref(), found[0].has_data), ("end", false));
    let found = frames(b"event: end\ndata\n\n");
    assert_eq!((found[0].event.as_ref(), found[0].has_data), ("end", true));
}

#[test]
fn t24_the_id_of_a_block_without_data_gets_through_and_no_id_is_not_an_empty_one() {
    let found = frames(b"id: 7\n\ndata: x\n\nid\ndata: y\n\n: comment\n\n");
    let ids: Vec<Option<&str>> = found.iter().map(|frame| frame.id.as_deref()).collect();
    assert_eq!(ids, [Some("7"), None, Some("")]);
}

#[test]
fn t25_retry_counts_at_its_line_also_when_the_block_never_ends() {
    let mut decoder = Decoder::default();
    decoder.push(b"retry: 250\ndata: x", |_| ()).unwrap();
    assert_eq!(decoder.retry(), Some(Duration::from_millis(250)));
    decoder
        .push(b"\nretry: +1\nretry: 99999999999999999999\n", |_| ())
        .unwrap();
    assert_eq!(decoder.retry(), Some(Duration::from_millis(u64::MAX)));
}

#[test]
fn an_empty_read_changes_nothing() {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for read in [
        "",
        "data: a\r",
        "",
        "\n\r",
        "",
        "\ndata: b\r\n",
        "",
        "\r\n",
        "",
    ] {
        let keep = |frame: Frame<'_>| events.push(frame.data.into_owned());
        decoder.push(read.as_bytes(), keep).unwrap();
    }
    assert_eq!(events, ["a", "b"]);
}

#[test]
fn t27_an_event_over_the_limit_is_refused_by_name_and_one_at_the_limit_is_not() {
    let event = |size: usize| format!("data: {}\n\n", "x".repeat(size)).into_bytes();
    let limit = 1024;
    // The limit includes the field's name and the line end.
    let fits = limit - "data: \n".len();
    let mut count = 0;
    let mut decoder = Decoder::with_limit(limit);
    // As the only block, after others in the same read, and split at any point.
    decoder.push(&event(fits), |_| count += 1).unwrap();
    let behind = [event(1000), event(10), event(fits)].concat();
    decoder.push(&behind, |_| count += 1).unwrap();
    for at in [1, 500, fits] {
        let whole = event(fits);
        decoder.push(&whole[..at], |_| count += 1).unwrap();
        decoder.push(&whole[at..], |_| count += 1).unwrap();
    }
    assert_eq!(count, 7);
    let error = Decoder::with_limit(limit)
        .push(&event(limit), |_| ())
        .unwrap_err();
    assert_eq!(error, TooLarge { limit });
    assert!(error.to_string().contains("1024 bytes"));

    let mut endless = Decoder::with_limit(limit);
    let read = [b'x'; 100];
    let refused = (0..20).position(|_| endless.push(&read, |_| ()).is_err());
    assert_eq!(
        refused,
        Some(10),
        "a line without end is refused when it passes the limit"
    );
}

#[test]
fn an_event_of_many_lines_costs_no_more_than_its_size() {
    // This takes minutes if the parser gets the whole block at once.
    let lines = 400_000;
    let text = format!("{}\n", "data: 0123456789\n".repeat(lines));
    let mut length = 0;
    Decoder::default()
        .push(text.as_bytes(), |frame| length = frame.data.len())
        .unwrap();
    assert_eq!(length, lines * 11 - 1);
}

#[test]
fn long_lines_of_one_event_are_joined_whole() {
    let lines = [
        "a".repeat(100_000),
        "b".repeat(10),
        "c".repeat(300_000),
        String::new(),
    ];
    let text = format!("data: {}\n\n", lines.join("\ndata: "));
    let [frame] = frames(text.as_bytes()).try_into().unwrap();
    assert!(frame.data == lines.join("\n"));
}
