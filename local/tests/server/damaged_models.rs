//! Model folders that are damaged, or that change while the server is running.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::model_folder::{chat, edit_header, expect_refused, folder, set};
use crate::support::{Project, Server};

#[tokio::test]
async fn a_folder_that_was_changed_went_on_as_it_was_first_read() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let dir = folder();
    let ask = || chat_usage(&server, dir.path());
    let template = |text: &str| fs::write(dir.path().join("chat_template.jinja"), text).unwrap();
    template("{{ messages[0].content }}");
    assert_eq!(ask().await, 2);
    template("{{ messages[0].content }}{{ messages[0].content }}");
    assert_eq!(ask().await, 4);
}

async fn chat_usage(server: &Server, dir: &Path) -> u64 {
    let body = json!({
        "baseModel": dir, "messages": [{ "role": "user", "content": "hi" }],
        "maxTokens": 1, "stream": false,
    });
    let (_, answer) = server.post("/v1/inference/chat", &body).await;
    answer["usage"]["prompt_tokens"].as_u64().unwrap()
}

#[tokio::test]
async fn weights_that_overlap_or_are_not_finite_answered_and_trained() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let dir = folder();
    edit_header(
        dir.path(),
        |header| {
            let other = header["model.layers.0.self_attn.k_proj.weight"]["data_offsets"].clone();
            header["model.layers.0.self_attn.v_proj.weight"]["data_offsets"] = other;
        },
        &[],
    );
    let started = Instant::now();
    let answer = chat(&server, dir.path().to_str().unwrap()).await;
    expect_refused(
        "overlap",
        &answer,
        started,
        &["model.safetensors", "begins at"],
    );

    let dir = folder();
    let path = dir.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    // The last values of the file become NaN.
    bytes[end - 64..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let answer = chat(&server, dir.path().to_str().unwrap()).await;
    expect_refused("NaN", &answer, started, &["model", "isn't finite"]);
}

#[tokio::test]
async fn an_end_of_text_that_the_tokenizer_lacks_was_left_out() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let dir = folder();
    set(
        dir.path(),
        "tokenizer_config.json",
        "eos_token",
        json!("<|nope|>"),
    );
    let started = Instant::now();
    let answer = chat(&server, dir.path().to_str().unwrap()).await;
    expect_refused("eos", &answer, started, &["eos_token", "<|nope|>"]);
}
