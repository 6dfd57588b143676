//! `--engine`: the choice of the engine for each model.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lifecycle::refused;
use crate::support::{Event, Project, Server, command, directory, kinds, with_worker};

const INSTALL: &str = "arkor engine install torch";

/// A model whose architecture only the tests' worker supports.
fn strange() -> TempDir {
    let dir = directory();
    let llama = dir.path().join("llama");
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
    fs::create_dir(&llama).unwrap();
    for file in files {
        fs::copy(file.path(), llama.join(file.file_name())).unwrap();
    }
    let path = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["architectures"] = json!(["StrangeForCausalLM"]);
    config["model_type"] = json!("strange");
    fs::write(path, config.to_string()).unwrap();
    dir
}

fn start(command: &mut Command, engine: &str) -> Server {
    Server::from_command(command.args(["--engine", engine]))
}

/// The response to a submission that is refused.
async fn refusal(server: &Server, config: &Value) -> (u16, String) {
    let body = json!({ "name": "t", "config": config });
    let (status, body) = server.post("/v1/jobs", &body).await;
    (status, body["error"].as_str().unwrap().to_owned())
}

async fn ask(server: &Server, more: Value) -> (u16, Value) {
    let mut body = json!({
        "stream": false, "temperature": 0, "maxTokens": 8,
        "messages": [{ "role": "user", "content": "Question 4?" }],
    });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    server.post("/v1/inference/chat", &body).await
}

fn metadata(events: &[Event]) -> &Value {
    assert_eq!(
        kinds(events)[events.len() - 2..],
        ["training.completed", "end"]
    );
    &events[0].data["metadata"]
}

#[test]
fn what_contradicts_the_engine_is_refused_with_what_to_do() {
    let project = Project::new();
    let text = refused(with_worker(&project.store(), &[]).args(["--engine", "cpu"]));
    assert!(
        text.contains("--worker") && text.contains("--engine cpu"),
        "{text}"
    );
    for command in [
        command(&project.store()).args(["--engine", "torch"]),
        command(&project.store()).env("ARKOR_ENGINE", "torch"),
    ] {
        let text = refused(command);
        assert!(
            text.contains("--engine") && text.contains(INSTALL),
            "{text}"
        );
    }
    let output = command(&project.store()).args(["--engine", "gpu"]).output();
    let text = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(
        text.contains("[possible values: auto, cpu, torch]"),
        "{text}"
    );
}

#[tokio::test]
async fn an_empty_variable_is_none_and_a_worker_alone_does_everything() {
    let project = Project::new();
    let server = Server::from_command(command(&project.store()).env("ARKOR_ENGINE", ""));
    let (_, events) = server.complete(&project.config(&json!({}))).await;
    assert_eq!(metadata(&events)["engine"], "candle");
    drop(server);
    let mut command = with_worker(&project.store(), &[]);
    let server = Server::from_command(command.env("ARKOR_ENGINE", ""));
    let (_, events) = server.complete(&project.config(&json!({}))).await;
    assert_eq!(metadata(&events)["engine"], "candle-worker");
}

#[tokio::test]
async fn what_needs_the_torch_engine_is_refused_with_the_command_that_installs_it() {
    let (project, model) = (Project::new(), strange());
    let other = project.config(&json!({ "model": model.path() }));
    let server = start(&mut command(&project.store()), "auto");
    let (status, error) = refusal(&server, &other).await;
    assert_eq!(status, 400);
    let words = ["StrangeForCausalLM", INSTALL];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    let (status, body) = ask(&server, json!({ "baseModel": model.path() })).await;
    assert_eq!(status, 400);
    assert!(body["error"].as_str().unwrap().contains(INSTALL), "{body}");
    fs::write(model.path().join("config.json"), "{").unwrap();
    let (_, error) = refusal(&server, &other).await;
    assert!(
        error.contains("is not JSON") && !error.contains(INSTALL),
        "no engine reads it: {error}"
    );
    drop(server);
    let server = start(&mut command(&project.store()), "cpu");
    let (status, error) = refusal(&server, &other).await;
    assert_eq!(status, 400);
    assert!(!error.contains(INSTALL), "{error}");
}

#[tokio::test]
async fn auto_gives_the_worker_what_the_cpu_engine_can_not_do_and_nothing_else() {
    let (project, model) = (Project::new(), strange());
    let args = ["--like-torch", "--fault", "no-constraints"];
    let server = start(&mut with_worker(&project.store(), &args), "auto");
    let (_, events) = server.complete(&project.config(&json!({}))).await;
    assert_eq!(metadata(&events)["engine"], "candle");
    assert_eq!(metadata(&events).get("dtype"), None);

    let quantised = project.config(&json!({ "loadIn4bit": true }));
    let (id, events) = server.complete(&quantised).await;
    let seen = metadata(&events);
    for (field, value) in [
        ("engine", json!("candle-worker")),
        ("device", json!("cpu")),
        ("dtype", json!("nf4")),
        ("processes", json!(2)),
        ("modelClass", json!("LlamaForCausalLM")),
        ("targets", json!(["q_proj", "v_proj"])),
    ] {
        assert_eq!(seen[field], value, "{field}");
    }

    let other = project.config(&json!({ "model": model.path() }));
    let (_, events) = server.complete(&other).await;
    let seen = metadata(&events);
    assert_eq!(
        (&seen["engine"], &seen["dtype"]),
        (&json!("candle-worker"), &json!("bfloat16"))
    );

    // Only the CPU engine supports constraints here.
    let choice = json!({ "choice": ["one", "two"] });
    let adapter = json!({ "kind": "final", "jobId": id });
    let chat = json!({ "adapter": adapter, "structuredOutputs": choice });
    let (status, body) = ask(&server, chat).await;
    assert_eq!(status, 200, "{body}");
    let chat = json!({ "baseModel": model.path(), "structuredOutputs": choice });
    let (status, body) = ask(&server, chat).await;
    assert_eq!(status, 400, "{body}");
    assert!(body["error"].as_str().unwrap().contains("candle-worker"));
    let (status, body) = ask(&server, json!({ "baseModel": model.path() })).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_worker_that_can_not_be_started_fails_what_needs_it_and_is_tried_again() {
    let (project, model) = (Project::new(), strange());
    let once = project.file("once");
    let args = ["--like-torch", "--fault", "stillborn", "--once", &once];
    let mut command = with_worker(&project.store(), &args);
    let output = command.args(["--engine", "torch"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("Its last line of output: no module named torch"),
        "{text}"
    );

    fs::remove_file(&once).unwrap();
    let server = start(&mut with_worker(&project.store(), &args), "auto");
    let (_, events) = server.complete(&project.config(&json!({}))).await;
    assert_eq!(metadata(&events)["engine"], "candle");
    assert!(!Path::new(&once).exists(), "no worker was started");
    let quantised = project.config(&json!({ "loadIn4bit": true }));
    let (status, error) = refusal(&server, &quantised).await;
    assert_eq!(status, 500);
    assert!(error.contains("no module named torch"), "{error}");
    let (_, events) = server.complete(&quantised).await;
    assert_eq!(metadata(&events)["engine"], "candle-worker");
    drop(server);

    fs::remove_file(&once).unwrap();
    let server = start(&mut with_worker(&project.store(), &args), "auto");
    for expected in [500, 200] {
        let (status, body) = ask(&server, json!({ "baseModel": model.path() })).await;
        assert_eq!(status, expected, "{body}");
    }
}

#[tokio::test]
async fn a_stored_job_is_not_trained_otherwise_by_an_engine_that_can_not_do_it() {
    let project = Project::new();
    let mut config = project.endless();
    config["loadIn4bit"] = json!(true);
    let mut able = Server::from_command(&mut with_worker(&project.store(), &["--like-torch"]));
    let id = able.submit(&config).await;
    able.events(&id, None).await.until("training.started").await;
    able.child.kill().unwrap();
    able.child.wait().unwrap();
    let unable = Server::from_command(&mut with_worker(&project.store(), &[]));
    let events = unable.events(&id, None).await.rest().await;
    let failed = &events[events.len() - 2];
    assert_eq!(failed.kind, "training.failed");
    let error = failed.data["error"].as_str().unwrap();
    assert!(
        error.contains("loadIn4bit") && error.contains("the candle-worker engine"),
        "{error}"
    );
}

#[tokio::test]
async fn a_base_in_4_bits_is_the_cpu_engines_where_no_worker_can_have_it() {
    let project = Project::new();
    let quantised = project.config(&json!({ "loadIn4bit": true }));
    for mut command in [
        command(&project.store()),
        with_worker(&project.store(), &[]),
    ] {
        let server = start(&mut command, "auto");
        let (_, events) = server.complete(&quantised).await;
        let seen = metadata(&events);
        assert_eq!(
            (&seen["engine"], &seen["dtype"]),
            (&json!("candle"), &json!("q4_1"))
        );
    }
}
