#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::store::Attempts;

fn handle(jobs: &Path) -> JobHandle {
    let job = Job {
        id: "job-1".to_owned(),
        org_id: "local".to_owned(),
        project_id: "p".to_owned(),
        name: "n".to_owned(),
        status: Status::Queued,
        config: json!({}),
        run: Some(run_record()),
        error: None,
        created_at: time::now(),
        started_at: None,
        completed_at: None,
    };
    let staged = jobs.join(".new-1");
    fs::create_dir(&staged).unwrap();
    JobHandle::create(jobs, &staged, job).unwrap()
}

fn run_record() -> RunRecord {
    RunRecord {
        base: crate::base::resolve::resolve("arkor-tiny", None).unwrap(),
        prepared: None,
        resumed_from: None,
        attempts: Attempts::default(),
        failures: 0,
    }
}

fn last_event(handle: &JobHandle) -> Value {
    let text = fs::read_to_string(handle.dir.join("events.jsonl")).unwrap();
    let mut line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    line["data"].take()
}

#[test]
fn leftovers_of_a_killed_server_are_removed() {
    let jobs = tempfile::tempdir().unwrap();
    let first = handle(jobs.path());
    first.start(&json!({}), 0).unwrap();
    let dir = jobs.path().join("job-1");
    drop(first);
    fs::create_dir_all(dir.join("checkpoints/checkpoint-3")).unwrap();
    for left in ["adapter.tmp", "checkpoints/checkpoint-6.tmp"] {
        fs::create_dir_all(dir.join(left)).unwrap();
    }
    fs::write(dir.join("job.tmp"), "{").unwrap();
    let second = JobHandle::reopen(&dir).unwrap();
    for left in ["adapter.tmp", "checkpoints/checkpoint-6.tmp", "job.tmp"] {
        assert!(!dir.join(left).exists(), "{left}");
    }
    assert_eq!(second.checkpoints(), [3]);
}

#[test]
fn a_failure_that_could_not_be_written_is_still_the_last_event_after_a_restart() {
    let jobs = tempfile::tempdir().unwrap();
    let first = handle(jobs.path());
    first.start(&json!({}), 0).unwrap();
    first.fail("no space", None).unwrap();
    let dir = jobs.path().join("job-1");
    let events = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let before = events.lines().next().unwrap();
    fs::write(dir.join("events.jsonl"), format!("{before}\n")).unwrap();
    drop(first);
    let read = JobHandle::reopen(&dir).unwrap().log.read(1).unwrap();
    assert!(String::from_utf8_lossy(&read.bytes).contains("no space"));
    assert!(read.ended);
}

#[test]
fn a_job_that_was_running_goes_on_and_its_events_say_from_where() {
    let jobs = tempfile::tempdir().unwrap();
    let first = handle(jobs.path());
    first.start(&json!({}), 0).unwrap();
    first.emit("training.log", &json!({ "step": 3 })).unwrap();
    drop(first);
    let second = JobHandle::reopen(&jobs.path().join("job-1")).unwrap();
    assert_eq!(second.job().status, Status::Running);
    assert_eq!(second.log.last_step("training.log"), Some(3));
    assert_eq!(second.log.last_step("checkpoint.saved"), None);
    assert!(second.start(&json!({}), 2).unwrap());
    let last = last_event(&second);
    assert_eq!(
        (last["type"].as_str(), last["step"].as_u64()),
        (Some("training.resumed"), Some(2))
    );
    assert_eq!(second.log.read(0).unwrap().next, 3);
}

#[test]
fn attempts_are_counted_until_there_is_another_checkpoint_and_survive_a_restart() {
    let jobs = tempfile::tempdir().unwrap();
    let dir = jobs.path().join("job-1");
    assert_eq!(handle(jobs.path()).count_attempt(0).unwrap(), 1);
    let second = JobHandle::reopen(&dir).unwrap();
    assert_eq!(second.count_attempt(0).unwrap(), 2);
    second.forget_attempt();
    let third = JobHandle::reopen(&dir).unwrap();
    assert_eq!(third.count_attempt(0).unwrap(), 2);
    assert_eq!(third.count_attempt(50).unwrap(), 1);
}

#[test]
fn a_job_of_an_older_version_that_was_running_is_failed_with_the_reason_as_an_event() {
    let jobs = tempfile::tempdir().unwrap();
    let first = handle(jobs.path());
    first.start(&json!({}), 0).unwrap();
    let dir = jobs.path().join("job-1");
    let mut job = first.job();
    drop(first);
    job.run = None;
    job.save(&dir).unwrap();
    let second = JobHandle::reopen(&dir).unwrap();
    assert_eq!(second.job().status, Status::Failed);
    let last = last_event(&second);
    assert_eq!(last["type"], "training.failed");
    let events = second.log.read(0).unwrap().next;
    drop(second);
    let third = JobHandle::reopen(&dir).unwrap();
    assert_eq!(third.log.read(0).unwrap().next, events, "said once");
}

#[test]
fn a_completed_run_stays_completed_when_its_record_was_not_written_any_more() {
    let jobs = tempfile::tempdir().unwrap();
    let first = handle(jobs.path());
    first.start(&json!({}), 0).unwrap();
    let before = first.job();
    first.complete(&json!({ "artifacts": [] })).unwrap();
    before.save(&jobs.path().join("job-1")).unwrap();
    drop(first);
    let second = JobHandle::reopen(&jobs.path().join("job-1")).unwrap();
    assert_eq!(
        (second.job().status, second.log.read(0).unwrap().next),
        (Status::Completed, 2)
    );
}

#[test]
fn a_cancelled_job_has_no_terminal_event_and_nothing_follows() {
    let jobs = tempfile::tempdir().unwrap();
    let handle = handle(jobs.path());
    handle.start(&json!({}), 0).unwrap();
    assert_eq!(handle.cancel().unwrap().status, Status::Cancelled);
    handle.emit("training.log", &json!({ "step": 1 })).unwrap();
    handle.fail("late", None).unwrap();
    assert_eq!(handle.job().status, Status::Cancelled);
    let read = handle.log.read(0).unwrap();
    assert_eq!((read.next, read.ended), (1, true));
    assert!(!handle.start(&json!({}), 0).unwrap());
}
