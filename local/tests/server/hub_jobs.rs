//! Models that are only on the Hub: the ones that are trained, that another model stands in for, and that
//! are refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::hub_server::Fate;
use crate::hub_world::{
    MODEL, WEIGHTS, World, expect_completed, failure, files_of, losses, metadata, refusal,
};
use crate::lifecycle::terminate;
use crate::support::{Server, directory};

#[tokio::test]
async fn a_model_by_name_is_downloaded_once_and_trained_like_its_directory() {
    let world = World::new();
    let server = world.start();
    let (id, events) = server.complete(&world.config(&json!({}))).await;
    expect_completed(&events);
    assert_eq!(events[0].kind, "training.started", "nothing took a second");
    let expected = json!({ "requested": MODEL, "used": MODEL, "standIn": false, "reason": null });
    assert_eq!(metadata(&events)["baseModel"], expected);
    let mut asked = world.files_asked();
    asked.sort_unstable();
    let files = [
        "config.json",
        WEIGHTS,
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(asked, files, "each once");

    let adapter = world.job_dir(&id).join("adapter/adapter_config.json");
    let adapter: Value = serde_json::from_slice(&fs::read(adapter).unwrap()).unwrap();
    assert_eq!(adapter["base_model_name_or_path"], MODEL);
    let chat = json!({
        "adapter": { "kind": "final", "jobId": id }, "stream": false, "maxTokens": 4,
        "messages": [{ "role": "user", "content": "Question 1?" }],
    });
    let (status, answer) = server.post("/v1/inference/chat", &chat).await;
    assert_eq!(status, 200, "{answer}");

    let (_, again) = server.complete(&world.config(&json!({}))).await;
    let model = directory();
    let config = world.config(&json!({ "model": model.path() }));
    let (_, from_directory) = server.complete(&config).await;
    assert_eq!(losses(&events), losses(&again));
    assert_eq!(losses(&events), losses(&from_directory));
    assert_eq!(
        world.files_asked().len(),
        files.len(),
        "none was asked again"
    );
}

#[tokio::test]
async fn offline_a_model_in_the_cache_is_trained_and_a_stand_in_for_another_says_so() {
    let world = World::new();
    expect_completed(&world.start().complete(&world.config(&json!({}))).await.1);
    let asked = world.hub.asked().len();
    let server = Server::from_command(world.command().env("HF_HUB_OFFLINE", "1"));
    let (_, events) = server.complete(&world.config(&json!({}))).await;
    expect_completed(&events);
    assert_eq!(metadata(&events)["baseModel"]["used"], MODEL);

    let config = world.config(&json!({ "model": "acme/other", "dryRun": true }));
    let (_, events) = server.complete(&config).await;
    expect_completed(&events);
    let base = &metadata(&events)["baseModel"];
    assert_eq!(
        (&base["used"], &base["standIn"]),
        (&json!("arkor-tiny"), &json!(true))
    );
    let reason = base["reason"].as_str().unwrap();
    for word in ["acme/other is not on this machine", "HF_HUB_OFFLINE"] {
        assert!(reason.contains(word), "{reason}");
    }

    let source = json!({ "type": "huggingface", "name": "acme/rows" });
    let error = refusal(&server, &world.config(&json!({ "datasetSource": source }))).await;
    for word in ["datasetSource.name", "acme/rows", "HF_HUB_OFFLINE"] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(world.hub.asked().len(), asked);
}

/// Collects the content of all files in a folder.
fn everything_in(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            everything_in(&entry.path(), text);
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap()));
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_private_model_needs_a_token_which_is_told_to_nobody() {
    const TOKEN: &str = "hf_secret0123";
    let world = World::new();
    world.hub.conduct(|hub| hub.token = Some(TOKEN.to_owned()));
    let server = world.start();
    let error = refusal(&server, &world.config(&json!({}))).await;
    for word in ["model:", MODEL, "private or gated", "set HF_TOKEN"] {
        assert!(error.contains(word), "{error}");
    }
    drop(server);

    let wrong = "hf_wrong0123";
    let server = Server::from_command(world.command().env("HF_TOKEN", wrong));
    let error = refusal(&server, &world.config(&json!({}))).await;
    assert!(
        error.contains("the token") && !error.contains(wrong),
        "{error}"
    );
    drop(server);

    let server = Server::from_command(world.command().env("HF_TOKEN", TOKEN));
    world.hub.fate(WEIGHTS, [Fate::Corrupt]);
    let (_, failed) = server.complete(&world.config(&json!({}))).await;
    failure(&failed);
    let (_, events) = server.complete(&world.config(&json!({}))).await;
    expect_completed(&events);
    assert_eq!(metadata(&events)["baseModel"]["used"], MODEL);
    let (_, jobs) = server.get("/v1/jobs").await;
    terminate(&server);
    let (_, log) = server.wait();
    assert!(log.contains("arrived damaged"), "{log}");
    let mut told = format!("{log}{jobs}{failed:?}{events:?}");
    everything_in(&world.project.store(), &mut told);
    assert!(told.contains(MODEL) && !told.contains("hf_"));
}

#[tokio::test]
async fn a_model_that_the_hub_does_not_have_is_refused_by_name() {
    let world = World::new();
    let server = world.start();
    let error = refusal(&server, &world.config(&json!({ "model": "acme/tiyn" }))).await;
    for word in ["model:", "has no model acme/tiyn", "Check the name"] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(world.files_asked(), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_hub_a_stand_in_says_so() {
    let world = World::new();
    let server = Server::from_command(world.command().env("HF_ENDPOINT", "http://127.0.0.1:1"));
    let (_, events) = server
        .complete(&world.config(&json!({ "dryRun": true })))
        .await;
    expect_completed(&events);
    let base = &metadata(&events)["baseModel"];
    assert_eq!(
        (&base["used"], &base["standIn"]),
        (&json!("arkor-tiny"), &json!(true))
    );
    let reason = base["reason"].as_str().unwrap();
    for word in [
        "acme/tiny is not on this machine",
        "127.0.0.1 can't be reached",
    ] {
        assert!(reason.contains(word), "{reason}");
    }
}

#[tokio::test]
async fn of_a_model_that_the_engine_does_not_know_only_the_config_is_downloaded() {
    let world = World::new();
    let config =
        json!({ "architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4" });
    let mut files = files_of(directory().path());
    for (name, content) in &mut files {
        if name == "config.json" {
            *content = config.to_string().into_bytes();
        }
    }
    world.add_model("acme/gemma", &files);
    let server = world.start();
    let config = world.config(&json!({ "model": "acme/gemma", "dryRun": true }));
    // In the second round, the model's config is in the cache.
    for _ in 0..2 {
        let (_, events) = server.complete(&config).await;
        expect_completed(&events);
        let base = &metadata(&events)["baseModel"];
        assert_eq!(
            (&base["used"], &base["standIn"]),
            (&json!("arkor-tiny"), &json!(true))
        );
        let reason = base["reason"].as_str().unwrap();
        for word in [
            "Gemma4ForConditionalGeneration",
            "arkor engine install torch",
        ] {
            assert!(reason.contains(word), "{reason}");
        }
        assert_eq!(world.files_asked(), ["config.json"]);
    }
}

#[tokio::test]
async fn nothing_stands_in_for_a_model_because_the_worker_can_not_be_started() {
    let world = World::new();
    let config = json!({ "architectures": ["Gemma4ForConditionalGeneration"] });
    world.add_model(
        "acme/gemma",
        &[("config.json".to_owned(), config.to_string().into_bytes())],
    );
    let mut command = world.command();
    command.args(["--engine", "auto", "--worker", "no-such-program"]);
    let server = Server::from_command(&mut command);
    let config = world.config(&json!({ "model": "acme/gemma" }));
    let body = json!({ "name": "t", "config": config });
    let (status, body) = server.post("/v1/jobs", &body).await;
    assert_eq!(status, 500, "{body}");
    let error = body["error"].as_str().unwrap();
    assert!(error.contains("can't start no-such-program"), "{error}");
}

#[tokio::test]
async fn with_base_model_the_hub_is_not_asked() {
    let world = World::new();
    let model = directory();
    let server = Server::from_command(world.command().arg("--base-model").arg(model.path()));
    let (_, events) = server
        .complete(&world.config(&json!({ "dryRun": true })))
        .await;
    expect_completed(&events);
    let base = &metadata(&events)["baseModel"];
    assert_eq!(base["used"], json!(model.path().canonicalize().unwrap()));
    let reason = "the local backend was started with --base-model";
    assert_eq!(base["reason"], reason);
    assert_eq!(world.hub.asked().len(), 0);
}
