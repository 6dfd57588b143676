use super::*;

fn batch(blocks: impl IntoIterator<Item = (Option<&'static str>, Meaning)>) -> Batch {
    let mut batch = Batch::default();
    for (id, meaning) in blocks {
        batch.push(id, meaning);
    }
    batch
}

fn started(text: String) -> Meaning {
    Meaning::Data(Event::Started(text))
}

#[test]
fn t27_what_a_batch_holds_is_counted() {
    let text = "x".repeat(1000);
    let texts = batch((0..20).map(|_| (None, started(text.clone()))));
    let rows = 20 * COLUMNS * size_of::<f64>();
    let held = 20 * 1000 + rows;
    let blocks = 20 * size_of::<Item>();
    assert_eq!(texts.bytes(), held + blocks);
    let ids = batch((0..20).map(|_| (Some("0123456789"), Meaning::Nothing)));
    assert_eq!(ids.bytes(), 200 + blocks);
}

#[test]
fn t27_a_batch_is_full_at_its_size_as_well() {
    let half = "x".repeat(MOST_BYTES / 2);
    let mut batch = batch([(None, started(half.clone()))]);
    assert!(!batch.is_full());
    batch.push(None, started(half));
    assert!(batch.is_full());
}

#[test]
fn t12_an_event_of_an_unknown_type_is_data_and_crosses_only_with_its_data() {
    let unknown = |data: Option<&str>| Meaning::Data(Event::Unknown(data.map(str::to_owned)));
    let mut batch = batch([
        (Some("1"), unknown(None)),
        (Some("2"), unknown(Some("{}"))),
        (Some("3"), started(String::new())),
    ]);
    assert!(batch.has_data(1));
    assert_eq!([batch.block_of(0), batch.block_of(1)], [1, 2]);
    assert_eq!(batch.last(), None);
    let events = batch.take_events();
    assert_eq!(events.columns.len(), 2 * COLUMNS);
    assert_eq!(events.texts, ["{}", ""]);
}

#[test]
fn t8_a_batch_is_full_at_its_number_of_events() {
    let mut batch = batch((1..MOST_EVENTS).map(|_| (None, started(String::new()))));
    assert!(!batch.is_full());
    batch.push(None, started(String::new()));
    assert!(batch.is_full());
}
