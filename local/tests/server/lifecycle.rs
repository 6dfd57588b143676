//! How the program starts, stops, and restarts.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Project, Server, command, kinds};

/// Runs a server that can't start. Returns its error message.
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
pub fn terminate(server: &Server) {
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
    // If the signal is ignored, a write beyond the limit fails, as on a full disk.
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
