//! Attacks on the server, each with a limit for its effect: file descriptors, memory, or seconds.

#![cfg(unix)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use arkor_local::wire;
use serde_json::{Value, json};

use crate::support::{Project, Server, command, kinds};

/// The time that the README allows a server for stopping.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// The program with a limit of this many file descriptors.
fn with_descriptors(store: &Path, most: u32) -> Command {
    let plain = command(store);
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit -n {most}; exec \"$0\" \"$@\""))
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_remove("ARKOR_LOCAL_TOKEN")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    limited
}

/// Writes a store with finished jobs.
fn finished_jobs(store: &Path, jobs: usize, events: usize) {
    for number in 0..jobs {
        let id = format!("job_{number:012x}");
        let dir = store.join("jobs").join(&id);
        std::fs::create_dir_all(&dir).unwrap();
        let job = json!({
            "id": id, "orgId": "local", "projectId": "demo", "name": format!("run {number}"),
            "status": "completed", "config": { "model": "arkor-tiny" },
            "createdAt": "2026-01-01T00:00:00.000Z", "completedAt": "2026-01-01T00:01:00.000Z",
        });
        std::fs::write(dir.join("job.json"), job.to_string()).unwrap();
        let line = |id: usize, kind: &str| {
            let data = json!({ "type": kind, "jobId": job["id"], "step": id, "loss": 1.5 });
            format!("{}\n", json!({ "id": id.to_string(), "data": data }))
        };
        let mut lines: String = (1..events).map(|id| line(id, "training.log")).collect();
        lines.push_str(&line(events, "training.completed"));
        std::fs::write(dir.join("events.jsonl"), lines).unwrap();
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Measures how long the server takes to stop.
fn time_to_end(mut server: Server) -> Duration {
    let begin = Instant::now();
    server.child.wait().unwrap();
    begin.elapsed()
}

#[cfg(target_os = "linux")]
fn resident_mib(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.child.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn every_finished_job_kept_its_log_open() {
    let project = Project::new();
    finished_jobs(&project.store(), 300, 3);
    let server = Server::from_command(&mut with_descriptors(&project.store(), 256));
    let (_, body) = server.get("/v1/jobs").await;
    assert_eq!(body["jobs"].as_array().unwrap().len(), 300);
    for number in 0..300 {
        let events = server.events(&format!("job_{number:012x}"), None).await;
        let events = events.rest().await;
        assert_eq!(events.len(), 4, "three and the end");
    }
    for _ in 0..3 {
        let (_, events) = server.complete(&project.config(&json!({}))).await;
        assert!(kinds(&events).contains(&"training.completed"));
    }
}

#[tokio::test]
async fn every_queued_job_held_its_log_open() {
    let project = Project::new();
    let server = Server::from_command(&mut with_descriptors(&project.store(), 256));
    let running = server.submit(&project.endless()).await;
    for _ in 0..300 {
        server.submit(&project.config(&json!({}))).await;
    }
    let mut events = server.events(&running, None).await;
    events.until("checkpoint.saved").await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn starting_read_all_events_of_all_jobs() {
    let project = Project::new();
    finished_jobs(&project.store(), 10_000, 1);
    let long = project.store().join("jobs/job_000000000000/events.jsonl");
    let line = std::fs::read_to_string(&long).unwrap();
    // 60 MB of events that no client requests.
    std::fs::write(&long, line.repeat(600_000)).unwrap();
    let begin = Instant::now();
    let server = Server::start(&project.store());
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(resident_mib(&server) < 150, "{} MiB", resident_mib(&server));
    let (status, body) = server.get("/v1/jobs").await;
    assert_eq!(status, 200);
    assert_eq!(body["jobs"].as_array().unwrap().len(), 10_000);
}

#[tokio::test]
async fn sockets_that_say_nothing_took_the_descriptors_of_a_running_job() {
    let project = Project::new();
    let server = Server::from_command(&mut with_descriptors(&project.store(), 120));
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let job = server
        .submit(&project.config(&json!({ "maxSteps": 12, "saveSteps": 1 })))
        .await;
    let idle: Vec<TcpStream> = (0..150)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let events = server.events(&job, None).await.rest().await;
    assert!(kinds(&events).contains(&"training.completed"), "{events:?}");
    let saved = kinds(&events)
        .iter()
        .filter(|kind| **kind == "checkpoint.saved")
        .count();
    assert_eq!(saved, 12);
    drop(idle);
}

#[tokio::test]
async fn cleartext_http_2_was_answered() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let mut socket = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    // The preface, and an empty SETTINGS frame.
    socket
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        .unwrap();
    let mut answer = Vec::new();
    // The connection may be reset instead.
    let _ = socket.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 400"),
        "{text}"
    );
}

#[tokio::test]
async fn a_signal_did_not_end_a_server_that_answers() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let mut answers = Vec::new();
    for _ in 0..4 {
        let body = json!({
            "baseModel": "arkor-tiny", "maxTokens": 1_000_000, "temperature": 5, "stream": true,
            "messages": [{ "role": "user", "content": "Go on." }],
            "structuredOutputs": { "regex": "[a-z ]*[0-9]{1,50000}" },
        });
        let request = server.request(reqwest::Method::POST, "/v1/inference/chat");
        // The request may be answered, or refused because of the constraint. The server is busy with it
        // either way.
        answers.push(request.body(body.to_string()).send());
    }
    let first = futures::future::select_all(answers.into_iter().map(Box::pin)).await;
    drop(first);
    signal(&server.child, "TERM");
    let took = time_to_end(server);
    assert!(took < GONE_WITHIN, "{took:?}");
}

#[tokio::test]
async fn a_constraint_that_compiles_for_ever_could_not_be_stopped() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let refused = [
        json!({ "json": { "type": "integer", "multipleOf": 99_999_989 } }),
        json!({ "regex": "(a|b)?".repeat(100_000) }),
        json!({ "json": { "type": "array", "minItems": 4_000_000_000_u64 } }),
    ];
    for outputs in refused {
        let begin = Instant::now();
        let (status, body) = server
            .post(
                "/v1/inference/chat",
                &json!({
                    "baseModel": "arkor-tiny", "maxTokens": 4, "stream": false,
                    "messages": [{ "role": "user", "content": "Go" }],
                    "structuredOutputs": outputs,
                }),
            )
            .await;
        assert_eq!(status, 400, "{body}");
        let message = body["error"].as_str().unwrap();
        assert!(message.starts_with("structuredOutputs"), "{message}");
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    signal(&server.child, "TERM");
    assert!(time_to_end(server) < GONE_WITHIN);
}

#[tokio::test]
async fn a_signal_right_after_the_ready_line_killed_it_without_a_word() {
    for name in ["TERM", "INT"] {
        let project = Project::new();
        let server = Server::start(&project.store());
        signal(&server.child, name);
        let (status, words) = server.wait();
        assert_eq!(status.code(), Some(0), "{words}");
        assert!(words.contains("stopping"), "{words}");
    }
}

#[tokio::test]
async fn a_run_that_diverged_was_completed_with_an_adapter_of_nan() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let config = project.config(&json!({ "learningRate": 1e30, "maxSteps": 1 }));
    let (job, events) = server.complete(&config).await;
    let failed = events
        .iter()
        .find(|event| event.kind == "training.failed")
        .unwrap();
    let error = failed.data["error"].as_str().unwrap();
    assert!(
        error.contains("diverged at step 1") && error.contains("learningRate"),
        "{error}"
    );
    let log = events
        .iter()
        .find(|event| event.kind == "training.log")
        .unwrap();
    let shown = [wire::number(f64::NAN), wire::number(f64::INFINITY)];
    assert!(shown.contains(&log.data["evalLoss"]), "{log:?}");
    assert!(!kinds(&events).contains(&"checkpoint.saved"));
    let (_, body) = server.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(body["job"]["status"], Value::from("failed"));
    let dir = project.store().join("jobs").join(job);
    assert!(!dir.join("adapter").exists() && !dir.join("checkpoints").exists());
}
