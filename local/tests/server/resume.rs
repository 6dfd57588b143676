//! Runs that survive a restart of their server.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Event, Project, Server, command, kinds};

/// The exact losses of every logged step.
pub fn losses(events: &[Event]) -> BTreeMap<u64, (u64, Option<u64>)> {
    let logs = events.iter().filter(|event| event.kind == "training.log");
    let bits = |value: &Value| value.as_f64().map(f64::to_bits);
    logs.map(|event| {
        let step = event.data["step"].as_u64().unwrap();
        let trained = bits(&event.data["loss"]).unwrap();
        (step, (trained, bits(&event.data["evalLoss"])))
    })
    .collect()
}

pub fn steps(events: &[Event], kind: &str) -> Vec<u64> {
    let events = events.iter().filter(|event| event.kind == kind);
    events
        .map(|event| event.data["step"].as_u64().unwrap())
        .collect()
}

pub fn adapter(project: &Project, id: &str) -> Vec<u8> {
    let job = project.store().join("jobs").join(id);
    fs::read(job.join("adapter/adapter_model.safetensors")).unwrap()
}

/// Reads a job's events until the server is gone.
async fn read_on(
    server: &Server,
    id: &str,
    seen: &mut Vec<Event>,
    mut until: impl FnMut(&Event) -> bool,
) {
    let last = seen.iter().rev().find_map(|event| event.id.clone());
    let mut events = server.events(id, last.as_deref()).await;
    while let Some(event) = events.next().await {
        let is_last = until(&event);
        seen.push(event);
        if is_last {
            break;
        }
    }
}

#[tokio::test]
async fn a_killed_run_goes_on_to_the_bit_and_a_reader_gets_each_event_once() {
    let project = Project::new();
    let config = project.config(&json!({
        "maxSteps": 40, "saveSteps": 5, "loggingSteps": 2, "evalSteps": 10, "weightDecay": 0.01,
    }));
    let (whole, whole_id) = {
        let server = Server::start(&project.store());
        let (id, events) = server.complete(&config).await;
        (events, id)
    };
    let mut server = Server::start(&project.store());
    let id = server.submit(&config).await;
    let mut seen = Vec::new();
    // Before the first checkpoint, between a log and a checkpoint, right after a checkpoint, and near the
    // end.
    for (kind, step) in [
        ("training.log", 2),
        ("training.log", 14),
        ("checkpoint.saved", 25),
        ("training.log", 38),
    ] {
        read_on(&server, &id, &mut seen, |event| {
            event.kind == kind && event.data["step"] == step
        })
        .await;
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        let log = project.store().join("jobs").join(&id).join("events.jsonl");
        let mut torn = fs::read(&log).unwrap();
        torn.extend_from_slice(b"{\"id\":\"99999\",\"da");
        fs::write(&log, torn).unwrap();
        server = Server::start(&project.store());
    }
    read_on(&server, &id, &mut seen, |_| false).await;

    let ids: Vec<String> = seen.iter().filter_map(|event| event.id.clone()).collect();
    let expected: Vec<String> = (1..=ids.len()).map(|id| id.to_string()).collect();
    assert_eq!(ids, expected, "every event once, in order");
    assert_eq!(losses(&seen), losses(&whole));
    for kind in ["training.log", "checkpoint.saved"] {
        assert_eq!(steps(&seen, kind), steps(&whole, kind), "{kind}");
    }
    assert_eq!(adapter(&project, &id), adapter(&project, &whole_id));
    assert_eq!(steps(&seen, "training.resumed").len(), 4);
    assert_eq!(steps(&seen, "training.resumed")[0], 0);
    let completed = |events: &[Event]| events[events.len() - 2].data["metrics"].clone();
    assert_eq!(completed(&seen), completed(&whole));
    assert_eq!(server.events(&id, None).await.rest().await, seen);
}

#[tokio::test]
async fn with_its_parent_killed_the_run_is_stored_and_goes_on_and_so_does_one_that_waits() {
    let project = Project::new();
    let mut server = Server::from_command(command(&project.store()).arg("--with-parent"));
    let id = server.submit(&project.endless()).await;
    let waiting = server.submit(&project.config(&json!({}))).await;
    server
        .events(&id, None)
        .await
        .until("checkpoint.saved")
        .await;
    drop(server.child.stderr.take());
    drop(server.child.stdin.take());
    assert!(server.child.wait().unwrap().success());

    let server = Server::start(&project.store());
    server
        .events(&id, None)
        .await
        .until("training.resumed")
        .await;
    let (_, body) = server.get(&format!("/v1/jobs/{waiting}")).await;
    assert_eq!(body["job"]["status"], "queued");
    server
        .post(&format!("/v1/jobs/{id}/cancel"), &json!({}))
        .await;
    server
        .events(&waiting, None)
        .await
        .until("training.completed")
        .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_leaves_the_run_to_the_next_server_and_its_readers_are_not_told_an_end() {
    use std::io::Read;

    let project = Project::new();
    let mut server = Server::start(&project.store());
    let id = server.submit(&project.endless()).await;
    let mut events = server.events(&id, None).await;
    events.until("checkpoint.saved").await;
    crate::lifecycle::terminate(&server);
    let rest = events.rest().await;
    assert!(
        rest.iter()
            .all(|event| event.kind != "end" && event.kind != "training.failed"),
        "a reader comes back"
    );
    let mut stderr = String::new();
    let mut pipe = server.child.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    assert!(server.child.wait().unwrap().success());
    assert!(stderr.contains(&format!(
        "job {id} goes on when the local backend is started again"
    )));
    assert!(!stderr.contains(&server.token), "the token is never logged");

    let again = Server::start(&project.store());
    again
        .events(&id, None)
        .await
        .until("training.resumed")
        .await;
    let (_, body) = again.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(body["job"]["status"], "running");
}

#[tokio::test]
async fn a_run_that_ends_every_server_is_given_up() {
    let project = Project::new();
    let mut server = Server::start(&project.store());
    let config = project.config(&json!({ "maxSteps": 1_000_000, "saveSteps": 1_000_000 }));
    let id = server.submit(&config).await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        let is_begun =
            |event: &Event| event.kind == "training.started" || event.kind == "training.resumed";
        read_on(&server, &id, &mut seen, is_begun).await;
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        server = Server::start(&project.store());
    }
    read_on(&server, &id, &mut seen, |_| false).await;
    let failed = &seen[seen.len() - 2];
    assert_eq!(failed.kind, "training.failed");
    let error = failed.data["error"].as_str().unwrap();
    assert!(
        error.contains("ended 8 times") && error.contains("Memory"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cancelled_run_is_resumed_by_hand_as_a_new_job() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "maxSteps": 400, "saveSteps": 5, "evalSteps": 400 }));
    let id = server.submit(&config).await;
    let mut events = server.events(&id, None).await;
    let first = events.until("checkpoint.saved").await;
    server
        .post(&format!("/v1/jobs/{id}/cancel"), &json!({}))
        .await;
    events.rest().await;
    let path = format!("/v1/jobs/{id}/resume");
    let (status, body) = server.post(&path, &json!({})).await;
    assert_eq!(status, 201, "{body}");
    let resumed = body["job"]["id"].as_str().unwrap().to_owned();
    let from = &body["job"]["run"]["resumedFrom"];
    let step = from["step"].as_u64().unwrap();
    assert_eq!(from["jobId"], id.as_str());
    assert!(step >= first.data["step"].as_u64().unwrap() && step < 400);
    // The new job doesn't need any file of the first one.
    let (status, _) = server.delete(&format!("/v1/jobs/{id}")).await;
    assert_eq!(status, 204);
    let events = server.events(&resumed, None).await.rest().await;
    assert_eq!(events[0].kind, "training.started");
    assert_eq!(events[0].data["metadata"]["resumedFrom"]["step"], step);
    assert_eq!(
        steps(&events, "training.log"),
        (step + 1..=400).collect::<Vec<_>>()
    );
    assert_eq!(
        kinds(&events)[events.len() - 2..],
        ["training.completed", "end"]
    );

    let (_, whole) = server.complete(&config).await;
    let (whole, rest) = (losses(&whole), losses(&events));
    assert!(
        rest.iter().all(|(step, losses)| whole[step] == *losses),
        "to the bit"
    );

    let (status, body) = server
        .post(&format!("/v1/jobs/{resumed}/resume"), &json!({}))
        .await;
    assert_eq!(status, 409, "{body}");
    assert!(body["error"].as_str().unwrap().contains("is completed"));
}

#[tokio::test]
async fn a_run_without_a_checkpoint_can_not_be_resumed() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "maxSteps": 1_000_000, "saveSteps": 1_000_000 }));
    let id = server.submit(&config).await;
    server
        .events(&id, None)
        .await
        .until("training.started")
        .await;
    server
        .post(&format!("/v1/jobs/{id}/cancel"), &json!({}))
        .await;
    let (status, body) = server
        .post(&format!("/v1/jobs/{id}/resume"), &json!({}))
        .await;
    assert_eq!(status, 400);
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .contains("no checkpoint to go on from")
    );
    assert_eq!(server.post("/v1/jobs/none/resume", &json!({})).await.0, 404);
}

#[tokio::test]
async fn old_checkpoints_are_removed_but_never_the_last_and_the_best() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({
        "maxSteps": 12, "saveSteps": 2, "evalSteps": 2, "saveTotalLimit": 2,
        // So high that the last step is worse than an earlier one.
        "learningRate": 0.03,
    }));
    let (id, events) = server.complete(&config).await;
    let evals = events
        .iter()
        .filter(|event| event.data["evalLoss"].is_f64());
    let best = evals
        .filter(|event| event.data["step"].as_u64().unwrap().is_multiple_of(2))
        .min_by(|left, right| {
            let loss = |event: &Event| event.data["evalLoss"].as_f64().unwrap();
            loss(left).total_cmp(&loss(right))
        });
    let best = best.unwrap().data["step"].as_u64().unwrap();
    assert!(best < 12, "the case is one where the best isn't the last");
    let dir = project.store().join("jobs").join(&id).join("checkpoints");
    let there = |step: u64| Path::new(&dir).join(format!("checkpoint-{step}")).is_dir();
    let kept: Vec<u64> = (1..=12).filter(|step| there(*step)).collect();
    assert_eq!(kept, [best, 12]);
    assert_eq!(steps(&events, "checkpoint.saved"), [2, 4, 6, 8, 10, 12]);
    let chat = json!({
        "adapter": { "kind": "checkpoint", "jobId": id, "step": if best == 10 { 8 } else { 10 } }, "stream": false,
        "messages": [{ "role": "user", "content": "Question 1?" }],
    });
    let (status, body) = server.post("/v1/inference/chat", &chat).await;
    assert_eq!(status, 404, "{body}");
}
