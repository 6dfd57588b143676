//! Chat templates and the paths of models, in the real program.

use std::fs;
use std::time::Instant;

use serde_json::json;

use crate::model_folder::{chat, expect_refused, folder};
use crate::support::{Project, Server, command};

#[tokio::test]
async fn a_chat_template_that_breaks_or_never_ends_is_a_400_and_the_server_goes_on() {
    let project = Project::new();
    let server = Server::start(&project.store());
    for (what, template) in [
        ("can't be compiled", "{% if %}".to_owned()),
        ("terms", format!("{{{{ 1{} }}}}", " + 1".repeat(200_000))),
        ("loop", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}".to_owned()),
        ("indent", "{{ 'a\nb'|indent(100000000000) }}".to_owned()),
        ("doubling", "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}".to_owned()),
        ("recursion", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}".to_owned()),
    ] {
        let dir = folder();
        fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
        let started = Instant::now();
        let answer = chat(&server, dir.path().to_str().unwrap()).await;
        expect_refused(what, &answer, started, &["chat template", "chat_template.jinja"]);
    }
    assert_eq!(server.get("/v1/me").await.0, 200);
}

#[tokio::test]
async fn templates_of_their_own_files_replace_the_configured_ones() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let dir = folder();
    fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
    let tool_use = "additional_chat_templates/tool_use.jinja";
    fs::write(dir.path().join("chat_template.jinja"), "12345").unwrap();
    fs::write(
        dir.path().join(tool_use),
        "{# <tool_call> #}{% for tool in tools %}t{% endfor %}",
    )
    .unwrap();
    let mut body = json!({
        "baseModel": dir.path(), "messages": [{ "role": "user", "content": "hi" }],
        "maxTokens": 1, "stream": false,
    });
    let (_, answer) = server.post("/v1/inference/chat", &body).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 5, "{answer}");
    let tool = json!({ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } });
    body["tools"] = json!([tool, tool.clone()]);
    body["tools"][1]["function"]["name"] = json!("g");
    let (_, answer) = server.post("/v1/inference/chat", &body).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 2, "{answer}");
}

#[tokio::test]
async fn the_date_in_a_template_is_that_of_this_machines_time_zone() {
    let project = Project::new();
    let dir = folder();
    fs::write(
        dir.path().join("chat_template.jinja"),
        "{% for _ in range(strftime_now('%H')|int + 1) %}x{% endfor %}",
    )
    .unwrap();
    let mut hours = Vec::new();
    for zone in ["UTC", "Etc/GMT-12"] {
        let server = Server::from_command(command(&project.store()).env("TZ", zone));
        let body = json!({
            "baseModel": dir.path(), "messages": [{ "role": "user", "content": "hi" }],
            "maxTokens": 1, "stream": false,
        });
        let (_, answer) = server.post("/v1/inference/chat", &body).await;
        hours.push(answer["usage"]["prompt_tokens"].as_u64().unwrap());
    }
    // The hour may change between the two requests.
    let apart = (hours[1] + 24 - hours[0]) % 24;
    assert!((12..=13).contains(&apart), "{hours:?}");
}

#[tokio::test]
async fn a_path_that_is_not_there_or_a_gguf_file_is_refused_and_a_relative_folder_is_found() {
    let project = Project::new();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("models")).unwrap();
    fs::rename(folder().keep(), home.path().join("models/smol")).unwrap();
    fs::write(home.path().join("models/smol.gguf"), "GGUF").unwrap();
    let server = Server::from_command(command(&project.store()).current_dir(home.path()));
    for model in [
        "./models/none",
        "models/none/at-all",
        "models/smol.gguf",
        "none.Q4_K_M.gguf",
        "models/smol/config.json",
    ] {
        let started = Instant::now();
        expect_refused(model, &chat(&server, model).await, started, &[model]);
        let config = project.config(&json!({ "model": model }));
        let (status, body) = server
            .post("/v1/jobs", &json!({ "name": "t", "config": config }))
            .await;
        assert_eq!(status, 400, "{model}: {body}");
    }
    assert_eq!(server.get("/v1/jobs").await.1["jobs"], json!([]));
    let config = project.config(&json!({ "model": "models/smol", "dryRun": true }));
    let (_, events) = server.complete(&config).await;
    let base = &events[0].data["metadata"]["baseModel"];
    assert_eq!(
        (&base["standIn"], &base["requested"]),
        (&json!(false), &json!("models/smol"))
    );
}
