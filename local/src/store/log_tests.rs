#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn event(step: u32) -> Value {
    json!({ "type": "training.log", "step": step })
}

#[test]
fn a_reader_gets_the_rest_from_any_place() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(&dir.path().join("events.jsonl")).unwrap();
    log.append(&event(1)).unwrap();
    log.append(&event(2)).unwrap();
    assert_eq!(log.position(None).unwrap(), 0);
    assert_eq!(log.position(Some("1")).unwrap(), 1);
    for unknown in ["", "3", "01", "+1", "-1", "abc"] {
        assert_eq!(log.position(Some(unknown)).unwrap(), 0, "{unknown:?}");
    }
    let read = log.read(1).unwrap();
    let text = "id: 2\nevent: training.log\ndata: {\"type\":\"training.log\",\"step\":2}\n\n";
    assert_eq!(
        read,
        Read {
            bytes: Bytes::from(text),
            next: 2,
            ended: false,
            held: None,
        }
    );
    log.end(None).unwrap();
    assert!(log.read(2).unwrap().ended);
    log.append(&event(3)).unwrap();
    assert_eq!(
        log.read(2).unwrap().bytes.len(),
        0,
        "nothing comes after the end"
    );
}

#[test]
fn a_torn_last_line_is_cut_off_and_ids_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let log = EventLog::open(&path).unwrap();
    log.append(&event(1)).unwrap();
    drop(log);
    let whole = fs::read(&path).unwrap();
    for torn in [
        "{\"id\":\"2\",\"da",
        "{\"id\":\"2\",\"da\n",
        "{\"id\":\"2\",\"data\":{}}",
    ] {
        fs::write(&path, [whole.as_slice(), torn.as_bytes()].concat()).unwrap();
        let log = EventLog::open(&path).unwrap();
        assert_eq!(log.last(), Some(event(1)));
        assert_eq!(fs::read(&path).unwrap(), whole, "{torn}");
        log.append(&event(2)).unwrap();
        assert_eq!(EventLog::open(&path).unwrap().read(0).unwrap().next, 2);
    }
}

#[test]
fn a_line_that_is_damaged_before_others_is_an_error_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let log = EventLog::open(&path).unwrap();
    for step in 1..=4 {
        log.append(&event(step)).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    let damaged = text.replacen("\"id\":\"2\"", "\"id\":\"2", 1);
    assert_ne!(damaged, text);
    fs::write(&path, &damaged).unwrap();
    let error = EventLog::open(&path).err().unwrap().to_string();
    assert!(error.contains("events.jsonl: line 2 is damaged"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
}

#[test]
fn the_log_of_a_job_that_is_over_has_no_descriptor_and_reads_its_file_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let log = EventLog::open(&path).unwrap();
    log.append(&event(1)).unwrap();
    log.end(Some(&json!({ "type": "training.completed" })))
        .unwrap();
    assert!(matches!(&*log.lock(), State::Over(over) if over.frames.upgrade().is_none()));
    let first = log.read(0).unwrap();
    assert!((first.next, first.ended) == (2, true) && first.held.is_some());
    let (one, other) = (log.read(0).unwrap().held, log.read(1).unwrap().held);
    assert!(
        Arc::ptr_eq(&one.unwrap(), &other.unwrap()),
        "readers share it"
    );
    let reopened = EventLog::over(&path, None);
    assert_eq!(reopened.read(0).unwrap().bytes, first.bytes);
    assert_eq!(reopened.position(Some("2")).unwrap(), 2);
}

#[test]
fn a_long_history_comes_in_pieces_of_whole_frames() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::open(&dir.path().join("events.jsonl")).unwrap();
    let large = json!({ "type": "x", "text": "a".repeat(40_000) });
    for _ in 0..3 {
        log.append(&large).unwrap();
    }
    let first = log.read(0).unwrap();
    assert_eq!(first.next, 1);
    assert!(first.bytes.ends_with(b"\n\n"));
}

#[test]
fn an_event_that_can_not_be_written_does_not_exist_but_the_last_one_is_still_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let log = EventLog::open(&path).unwrap();
    log.append(&event(1)).unwrap();
    // Writing to a file that is open for reading fails, as on a full disk.
    if let State::Live(live) = &mut *log.lock() {
        live.file = Some(File::open(&path).unwrap());
    }
    assert!(log.append(&event(2)).is_err());
    assert_eq!((log.read(0).unwrap().next, log.last()), (1, Some(event(1))));
    let last = json!({ "type": "training.failed" });
    assert!(log.end(Some(&last)).is_err());
    let read = log.read(1).unwrap();
    assert!(read.ended && read.bytes.starts_with(b"id: 2\n"));
    assert_eq!(EventLog::open(&path).unwrap().read(0).unwrap().next, 1);
}

#[test]
fn the_log_of_a_job_that_waits_holds_no_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let is_open = |log: &EventLog| matches!(&*log.lock(), State::Live(live) if live.file.is_some());
    let log = EventLog::open(&path).unwrap();
    assert!(!is_open(&log) && !path.exists());
    log.append(&event(1)).unwrap();
    assert!(is_open(&log));
    drop(log);
    let again = EventLog::open(&path).unwrap();
    assert!(!is_open(&again));
    again.append(&event(2)).unwrap();
    assert_eq!(EventLog::open(&path).unwrap().read(0).unwrap().next, 2);
}

#[test]
fn a_loss_that_is_not_finite_was_null() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let log = EventLog::open(&path).unwrap();
    let event = json!({ "type": "training.log", "loss": wire::number(f64::NAN),
        "evalLoss": wire::number(f64::NEG_INFINITY), "learningRate": wire::number(0.5) });
    log.append(&event).unwrap();
    let frame = "id: 1\nevent: training.log\ndata: {\"type\":\"training.log\",\"loss\":NaN,\
                 \"evalLoss\":-Infinity,\"learningRate\":0.5}\n\n";
    assert_eq!(log.read(0).unwrap().bytes, frame);
    assert_eq!(EventLog::open(&path).unwrap().read(0).unwrap().bytes, frame);
}
