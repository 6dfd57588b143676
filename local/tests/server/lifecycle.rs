//! How the program starts, ends, and comes back.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Project, Server, command, kinds};

/// Starts a server that can't start. Returns what it said.
pub fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("arkor-local: "), "{text}");
    text
}

#[cfg(unix)]
fn terminate(server: &Server) {
    let pid = server.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_second_server_on_the_same_store_says_who_holds_it() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let text = refused(&mut command(&project.store()));
    assert!(
        text.contains("--store") && text.contains(&server.url),
        "{text}"
    );
    assert!(text.contains(&server.child.id().to_string()), "{text}");
}

#[test]
fn what_keeps_it_from_starting_is_one_line_that_names_the_flag() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let port = server.url.rsplit_once(':').unwrap().1;
    let other = Project::new();
    let text = refused(command(&other.store()).args(["--port", port]));
    assert!(text.contains("--port") && text.contains(port), "{text}");
    let file = other.store().with_extension("file");
    fs::write(&file, "").unwrap();
    let text = refused(&mut command(&file));
    assert!(text.contains("--store"), "{text}");
    let no_model = other.store().with_extension("none");
    let text = refused(command(&other.store()).arg("--base-model").arg(no_model));
    assert!(text.contains("--base-model"), "{text}");
}

#[test]
fn a_token_that_is_given_is_used_and_else_each_launch_has_its_own() {
    let project = Project::new();
    let given = Server::from_command(command(&project.store()).args(["--token", "t0ken"]));
    assert_eq!(given.token, "t0ken");
    drop(given);
    let (first, second) = (Project::new(), Project::new());
    let tokens = [
        Server::start(&first.store()).token.clone(),
        Server::start(&second.store()).token.clone(),
    ];
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(tokens[0].len(), 32);
}

#[test]
fn with_its_parent_gone_it_ends() {
    let project = Project::new();
    let mut with_parent = command(&project.store());
    let server = Server::from_command(with_parent.arg("--with-parent"));
    let (status, stderr) = server.wait();
    assert!(status.success(), "{stderr}");
}

#[tokio::test]
async fn with_its_parent_killed_the_run_is_stored_although_nobody_reads_stderr() {
    let project = Project::new();
    let mut server = Server::from_command(command(&project.store()).arg("--with-parent"));
    let id = server.submit(&project.endless()).await;
    let waiting = server.submit(&project.endless()).await;
    server.events(&id, None).await.until("training.log").await;
    drop(server.child.stderr.take());
    drop(server.child.stdin.take());
    assert!(server.child.wait().unwrap().success());

    let server = Server::start(&project.store());
    for (id, state) in [(id, "running"), (waiting, "queued")] {
        let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
        let error = body["job"]["error"].as_str().unwrap();
        assert!(
            error.contains(&format!("was stopped while the job was {state}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_killed_server_leaves_its_job_failed_with_the_reason_and_its_checkpoints() {
    let project = Project::new();
    let mut server = Server::start(&project.store());
    let id = server.submit(&project.endless()).await;
    let waiting = server.submit(&project.endless()).await;
    let mut events = server.events(&id, None).await;
    let mut seen = Vec::new();
    let checkpoint = loop {
        let event = events.next().await.unwrap();
        seen.push(event.clone());
        if event.kind == "checkpoint.saved" {
            break event;
        }
    };
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    // What was on its way already.
    seen.extend(events.rest().await);

    let log = project.store().join("jobs").join(&id).join("events.jsonl");
    let mut torn = fs::read(&log).unwrap();
    torn.extend_from_slice(b"{\"id\":\"99999\",\"da");
    fs::write(&log, torn).unwrap();

    let server = Server::start(&project.store());
    let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(body["job"]["status"], "failed");
    let rest = server
        .events(&id, seen.last().unwrap().id.as_deref())
        .await
        .rest()
        .await;
    assert_eq!(kinds(&rest)[rest.len() - 2..], ["training.failed", "end"]);
    let failed = &rest[rest.len() - 2];
    assert!(
        failed.data["error"]
            .as_str()
            .unwrap()
            .contains("stopped while the job was running")
    );
    assert_eq!(failed.data["error"], body["job"]["error"]);
    let ids: Vec<String> = seen
        .into_iter()
        .chain(rest)
        .filter_map(|event| event.id)
        .collect();
    let expected: Vec<String> = (1..=ids.len()).map(|id| id.to_string()).collect();
    assert_eq!(ids, expected, "every event once, in order");
    for artifact in checkpoint.data["artifacts"].as_array().unwrap() {
        assert!(Path::new(artifact["path"].as_str().unwrap()).exists());
    }
    let adapter = json!({ "kind": "checkpoint", "jobId": id, "step": checkpoint.data["step"] });
    let chat = json!({
        "adapter": adapter, "stream": false, "maxTokens": 4,
        "messages": [{ "role": "user", "content": "Question 1?" }],
    });
    assert_eq!(server.post("/v1/inference/chat", &chat).await.0, 200);
    let (_, body) = server.get(&format!("/v1/jobs/{waiting}")).await;
    assert!(
        body["job"]["error"]
            .as_str()
            .unwrap()
            .contains("stopped while the job was queued")
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_the_run_as_failed_tells_its_readers_and_exits_with_0() {
    let project = Project::new();
    let mut server = Server::start(&project.store());
    let id = server.submit(&project.endless()).await;
    let mut events = server.events(&id, None).await;
    events.until("checkpoint.saved").await;
    terminate(&server);
    let rest = events.rest().await;
    assert_eq!(kinds(&rest)[rest.len() - 2..], ["training.failed", "end"]);
    let error = rest[rest.len() - 2].data["error"].as_str().unwrap();
    assert!(
        error.contains("the local backend was stopped while the job was running"),
        "{error}"
    );
    let mut stderr = String::new();
    server
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert!(server.child.wait().unwrap().success());
    assert!(!stderr.contains(&server.token), "the token is never logged");

    let again = Server::start(&project.store());
    let (_, body) = again.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(
        (&body["job"]["status"], &body["job"]["error"]),
        (&json!("failed"), &json!(error))
    );
}

#[tokio::test]
async fn the_history_is_the_same_after_a_restart() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (id, all) = server
        .complete(&project.config(&json!({ "dryRun": true })))
        .await;
    drop(server);
    let server = Server::start(&project.store());
    assert_eq!(server.events(&id, Some("2")).await.rest().await, all[2..]);
}

/// The program with files that can't grow beyond `blocks` of 512 bytes, as on a full disk.
#[cfg(unix)]
fn with_full_disk(store: &Path, blocks: u32) -> Command {
    use std::process::Stdio;

    let mut command = Command::new("sh");
    // With its signal ignored, the limit is an error of the write, as a full disk is.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --store \"$1\"");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_arkor-local")])
        .arg(store)
        .env_remove("ARKOR_LOCAL_TOKEN")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_fails_the_run_says_so_and_loses_nothing() {
    let project = Project::new();
    let server = Server::from_command(&mut with_full_disk(&project.store(), 32));
    let config = project.config(&json!({ "maxSteps": 1000, "saveSteps": 1000, "evalSteps": 1000 }));
    let (id, told) = server.complete(&config).await;
    let failed = &told[told.len() - 2];
    let error = failed.data["error"].as_str().unwrap();
    assert!(
        failed.kind == "training.failed" && error.contains("can't write events.jsonl"),
        "{error}"
    );
    let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(body["job"]["status"], "failed");
    drop(server);

    let server = Server::start(&project.store());
    let stored = server.events(&id, None).await.rest().await;
    let before = told.len() - 2;
    assert!(before > 20 && stored[..before] == told[..before]);
    assert_eq!(kinds(&stored[before..]), ["training.failed", "end"]);
    assert_eq!(stored[before].data["error"], failed.data["error"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_checkpoint_that_does_not_fit_on_the_disk_leaves_nothing_half_written() {
    let project = Project::new();
    let server = Server::from_command(&mut with_full_disk(&project.store(), 32));
    let config = project.config(&json!({ "maxSteps": 2, "saveSteps": 1 }));
    let (id, told) = server.complete(&config).await;
    let error = told[told.len() - 2].data["error"].as_str().unwrap();
    assert!(error.contains("adapter_model.safetensors"), "{error}");
    let job = project.store().join("jobs").join(&id);
    let left = fs::read_dir(job.join("checkpoints")).unwrap().count();
    assert_eq!(left, 0, "nothing half-written");
    let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(body["job"]["status"], "failed");
}
