//! Reads any text as the data of an event: it never panics, and for valid JSON the result matches the JSON.

#![no_main]

use arkor::batch::{Batch, COLUMNS};
use arkor::event::{Event, Meaning, read};
use arkor::sse::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let meaning = read(&Frame {
        event: "message".into(),
        data: data.into(),
        has_data: true,
        id: None,
    });
    if let Meaning::Data(
        Event::Started(detail)
        | Event::Completed(detail)
        | Event::Failed(detail)
        | Event::Checkpoint { detail, .. },
    ) = &meaning
    {
        // It's passed to `JSON.parse`: text that isn't valid JSON would cause an uncaught exception.
        assert!(is_json(detail), "{detail}");
    }
    let runs_a_callback = !matches!(
        meaning,
        Meaning::Nothing | Meaning::End | Meaning::Data(Event::Unknown(_))
    );
    let mut batch = Batch::default();
    batch.push(Some("1"), meaning);
    let events = batch.take_events();
    assert_eq!(events.columns.len(), COLUMNS * usize::from(runs_a_callback));
});

/// Checks only the structure: strings with lone surrogates are JSON to JavaScript.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}
