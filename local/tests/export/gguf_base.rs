//! GGUF files as bases: an exported model is used for chats and training, and exported again.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Project, Server, command, directory};
use crate::world::{ANSWER, World, names};

/// Trains a job, and exports it to a GGUF file.
async fn exported(quantize: &str) -> (World, String) {
    let world = World::trained(&json!({}), &[]).await;
    world
        .export("out", &["--format", "gguf", "--quantize", quantize])
        .done();
    let file = world.path("out").join("model.gguf").display().to_string();
    (world, file)
}

fn metadata(project: &Project, job: &str) -> Value {
    let events = project.store().join("jobs").join(job).join("events.jsonl");
    let text = fs::read_to_string(events).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let data = lines.map(|line| match &line["data"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        data => data.clone(),
    });
    let mut started = data.filter(|event: &Value| event["type"] == "training.started");
    started.next().unwrap()["metadata"].clone()
}

#[tokio::test]
async fn a_gguf_file_answers_as_the_model_that_it_was_made_of() {
    for quantize in ["f16", "q8_0"] {
        let (world, file) = exported(quantize).await;
        assert_eq!(world.answer(json!({ "baseModel": file })).await, ANSWER);
        // The folder of the file contains nothing else.
        let folder = world.path("out");
        assert_eq!(world.answer(json!({ "baseModel": folder })).await, ANSWER);
    }
}

/// The built-in base with the additional norms of Qwen3.
fn qwen3() -> TempDir {
    let base = directory();
    let path = base.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["architectures"] = json!(["Qwen3ForCausalLM"]);
    config["model_type"] = json!("qwen3");
    let number = |name: &str| usize::try_from(config[name].as_u64().unwrap()).unwrap();
    let (layers, heads) = (number("num_hidden_layers"), number("num_attention_heads"));
    let width = number("hidden_size") / heads;
    config["head_dim"] = json!(width);
    fs::write(path, config.to_string()).unwrap();

    let weights = base.path().join("model-00001-of-00001.safetensors");
    let mut tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    for layer in 0..layers {
        // Different norms for each layer, and for queries and keys.
        for (name, scale) in [("q_norm", 0.1f32), ("k_norm", 0.2)] {
            let values = (0..width)
                .map(|at| 1.0 + scale * f32::from(u8::try_from(at + layer).unwrap()).sin());
            let tensor = Tensor::from_iter(values, &Device::Cpu).unwrap();
            tensors.insert(
                format!("model.layers.{layer}.self_attn.{name}.weight"),
                tensor,
            );
        }
    }
    fs::remove_file(base.path().join("model.safetensors.index.json")).unwrap();
    fs::remove_file(weights).unwrap();
    candle_core::safetensors::save(&tensors, base.path().join("model.safetensors")).unwrap();
    base
}

#[tokio::test]
async fn a_qwen3_file_answers_as_the_model_that_it_was_made_of() {
    let base = qwen3();
    let world = World::trained(&json!({ "model": base.path(), "maxSteps": 60 }), &[]).await;
    let adapter = json!({ "adapter": { "kind": "final", "jobId": world.job } });
    assert_eq!(world.answer(adapter).await, ANSWER);
    world
        .export("out", &["--format", "gguf", "--quantize", "f16"])
        .done();
    let file = world.path("out").join("model.gguf");
    assert_eq!(world.answer(json!({ "baseModel": file })).await, ANSWER);
}

#[tokio::test]
async fn a_gguf_file_is_trained_as_it_is_and_exported_with_its_adapter() {
    let (_first, file) = exported("q4_0").await;
    let more = json!({ "model": file, "seed": 3 });
    let world = World::trained(&more, &[]).await;
    let seen = metadata(&world.project, &world.job);
    assert_eq!(seen["dtype"], "q4_0");
    assert_eq!(seen["baseModel"]["used"], file.as_str());
    let adapter = json!({ "adapter": { "kind": "final", "jobId": world.job } });
    assert_eq!(world.answer(adapter).await, ANSWER);

    world.export("merged", &["--format", "merged"]).done();
    assert_eq!(
        names(&world.path("merged")),
        [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    let merged = world.path("merged");
    assert_eq!(world.answer(json!({ "baseModel": merged })).await, ANSWER);

    world
        .export("gguf", &["--format", "gguf", "--quantize", "f16"])
        .done();
    let again = world.path("gguf").join("model.gguf");
    assert_eq!(world.answer(json!({ "baseModel": again })).await, ANSWER);

    let peft = world.export("peft", &["--format", "peft"]);
    assert!(
        peft.notes()[0].contains("GGUF") && peft.notes()[0].contains(&file),
        "{:?}",
        peft.notes()
    );
}

#[tokio::test]
async fn a_server_is_started_on_a_gguf_file_or_says_at_once_why_it_can_not_be() {
    let (world, file) = exported("f16").await;
    let store = world.project.store();
    let server = Server::from_command(command(&store).args(["--base-model", &file]));
    let config = world.project.config(&json!({ "model": "acme/any" }));
    let (_, events) = server.complete(&config).await;
    let base = &events[0].data["metadata"]["baseModel"];
    assert_eq!(base["used"], file.as_str());
    let (status, body) = server
        .post(
            "/v1/jobs",
            &json!({ "name": "t", "config": world.project.config(&json!({ "loadIn4bit": true, "model": file })) }),
        )
        .await;
    assert_eq!(status, 400);
    assert!(
        body["error"].as_str().unwrap().contains("loadIn4bit"),
        "{body}"
    );
    drop(server);

    let bytes = fs::read(&file).unwrap();
    let replaced = |from: &str, to: &str| {
        let place = bytes
            .windows(from.len())
            .position(|part| part == from.as_bytes())
            .unwrap();
        let mut bytes = bytes.clone();
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    for (content, words) in [
        (b"GGUF".to_vec(), "isn't a complete GGUF file"),
        (bytes[..bytes.len() / 2].to_vec(), "ends before the data"),
        (replaced("llama", "gemma"), "the architecture gemma"),
        (replaced("default", "mystery"), "tokenizer.json beside it"),
        (replaced("blk.0.ffn_up.w", "blk.0.ffn_xx.w"), "mlp.up_proj"),
    ] {
        let path = world.path("broken.gguf");
        fs::write(&path, content).unwrap();
        let mut command = command(&store);
        let output = command.arg("--base-model").arg(&path).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}: {text}");
        assert!(
            text.contains(words) && text.contains("broken.gguf"),
            "{words}: {text}"
        );
    }
}

#[tokio::test]
async fn a_tokenizer_beside_the_file_counts_before_its_own() {
    let (world, file) = exported("f16").await;
    let out = world.path("out");
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/arkor-tiny");
    fs::copy(assets.join("tokenizer.json"), out.join("tokenizer.json")).unwrap();
    fs::copy(
        assets.join("tokenizer_config.json"),
        out.join("tokenizer_config.json"),
    )
    .unwrap();
    assert_eq!(world.answer(json!({ "baseModel": file })).await, ANSWER);
    fs::write(out.join("tokenizer.json"), "{").unwrap();
    let server = Server::start(&world.project.store());
    let body = json!({ "baseModel": file, "messages": [{ "role": "user", "content": "x" }] });
    let (status, body) = server.post("/v1/inference/chat", &body).await;
    assert_eq!(status, 400);
    assert!(
        body["error"].as_str().unwrap().contains("tokenizer.json"),
        "{body}"
    );
    drop(server);
    fs::copy(&file, out.join("other.gguf")).unwrap();
    let server = Server::start(&world.project.store());
    let body = json!({ "baseModel": out, "messages": [{ "role": "user", "content": "x" }] });
    let (status, body) = server.post("/v1/inference/chat", &body).await;
    assert_eq!(status, 400);
    let error = body["error"].as_str().unwrap();
    assert!(error.contains("several GGUF files"), "{error}");
}
