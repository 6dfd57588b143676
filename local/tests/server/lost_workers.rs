//! Runs that survive the loss of their worker: `--max-failures`.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Value, json};

use crate::resume::{adapter, losses, steps};
use crate::support::{Event, Project, Server, with_worker};

/// A server with a faulty worker.
fn server(project: &Project, fault: &[&str], max_failures: &str) -> Server {
    let args = [&["--fault"], fault].concat();
    let mut command = with_worker(&project.store(), &args);
    Server::from_command(command.args(["--with-parent", "--max-failures", max_failures]))
}

fn config(project: &Project) -> Value {
    project.config(&json!({ "maxSteps": 8, "saveSteps": 2, "evalSteps": 4, "weightDecay": 0.01 }))
}

/// The error of a failed run.
fn failure(events: &[Event]) -> &str {
    let failed = &events[events.len() - 2];
    assert_eq!(failed.kind, "training.failed");
    failed.data["error"].as_str().unwrap()
}

#[tokio::test]
async fn a_run_whose_worker_was_lost_goes_on_to_the_bit_and_each_event_comes_once() {
    let project = Project::new();
    let undisturbed = Server::from_command(&mut with_worker(&project.store(), &[]));
    let (whole_id, whole) = undisturbed.complete(&config(&project)).await;
    drop(undisturbed);
    let killed = if cfg!(unix) { "killed" } else { "die" };
    for (fault, why) in [
        (killed, "the candle-worker engine"),
        ("lost", "the candle-worker engine: rank 1 of 2"),
    ] {
        let once = project.file(fault);
        let server = server(&project, &[fault, "--once", &once], "1");
        let (id, events) = server.complete(&config(&project)).await;
        assert!(Path::new(&once).exists());
        let ids: Vec<String> = events.iter().filter_map(|event| event.id.clone()).collect();
        let expected: Vec<String> = (1..=ids.len()).map(|id| id.to_string()).collect();
        assert_eq!(ids, expected);
        assert_eq!(steps(&events, "training.resumed"), [2]);
        for kind in ["training.log", "checkpoint.saved"] {
            assert_eq!(steps(&events, kind), steps(&whole, kind), "{fault}: {kind}");
        }
        assert_eq!(losses(&events), losses(&whole), "{fault}");
        assert_eq!(adapter(&project, &id), adapter(&project, &whole_id));
        let (_, stderr) = server.wait();
        for words in [
            format!("job {id}: {why}"),
            format!("job {id} goes on after the checkpoint of step 2: failure 1 of at most 1"),
        ] {
            assert!(stderr.contains(&words), "{stderr}");
        }
    }
}

#[tokio::test]
async fn one_that_is_lost_too_often_fails_with_the_reason_and_how_often() {
    let project = Project::new();
    // More failures than the limit for servers that die.
    let server = server(&project, &["die"], "9");
    let (_, events) = server.complete(&config(&project)).await;
    let error = failure(&events);
    for words in ["ended with code 7", "lost 10 times", "--max-failures is 9"] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(steps(&events, "training.log"), [1, 2]);
    assert_eq!(steps(&events, "training.resumed"), [2; 9]);
}

#[tokio::test]
async fn without_max_failures_it_fails_at_once_and_so_does_what_is_no_loss_with_it() {
    let project = Project::new();
    for (fault, most, words) in [
        ("die", "0", "ended with code 7"),
        ("lost", "0", "rank 1 of 2 is gone"),
        ("error", "3", "a kernel has a bug"),
        ("out-of-memory", "3", "memory wasn't enough"),
        ("garbage", "3", "no message"),
    ] {
        let once = project.file(fault);
        let server = server(&project, &[fault, "--once", &once], most);
        let (_, events) = server.complete(&config(&project)).await;
        let error = failure(&events);
        assert!(
            error.contains(words) && !error.contains("max-failures"),
            "{error}"
        );
        assert_eq!(steps(&events, "training.resumed"), [0; 0], "{fault}");
    }
}

#[tokio::test]
async fn losses_are_counted_across_servers() {
    let project = Project::new();
    let once = project.file("once");
    let mut first = server(&project, &["die", "--once", &once], "1");
    let id = first.submit(&project.endless()).await;
    let mut events = first.events(&id, None).await;
    events.until("training.resumed").await;
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let second = server(&project, &["die"], "1");
    let events = second.events(&id, None).await.rest().await;
    let error = failure(&events);
    assert!(error.contains("lost 2 times"), "{error}");
    let resumed = steps(&events, "training.resumed");
    assert_eq!(
        resumed.len(),
        2,
        "after the first loss, and by the second server"
    );
}

#[tokio::test]
async fn a_run_that_waits_for_its_next_worker_can_be_cancelled() {
    let project = Project::new();
    let once = project.file("once");
    let args = ["--like-torch", "--fault", "no-successor", "--once", &once];
    let mut command = with_worker(&project.store(), &args);
    command.args(["--engine", "auto", "--max-failures", "1"]);
    let mut server = Server::from_command(&mut command);
    let mut config = project.endless();
    config["loadIn4bit"] = json!(true);
    let id = server.submit(&config).await;
    let next = server.submit(&project.config(&json!({}))).await;
    let stderr = BufReader::new(server.child.stderr.take().unwrap());
    let goes_on = tokio::task::spawn_blocking(move || {
        let mut lines = stderr.lines().map_while(Result::ok);
        let found = lines.any(|line| line.contains("goes on after the checkpoint"));
        // Read the rest too, so that the server's writes don't block.
        std::thread::spawn(move || lines.for_each(drop));
        found
    });
    assert!(goes_on.await.unwrap());
    server
        .post(&format!("/v1/jobs/{id}/cancel"), &json!({}))
        .await;
    let events = server.events(&next, None).await.rest().await;
    assert_eq!(events[events.len() - 2].kind, "training.completed");
    let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(body["job"]["status"], "cancelled");
}
