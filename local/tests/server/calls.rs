//! Calls of endpoints from this machine: who may call, and the responses.

use std::fs;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::endpoints::{BASE, create, create_key, input, send};
use crate::support::{Project, Server, client};

fn no_key() -> Value {
    json!({ "authMode": "none" })
}

/// A call from a program that doesn't have the server's token.
fn call(server: &Server, method: Method, path: &str) -> RequestBuilder {
    client().request(method, format!("{}{path}", server.url))
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

/// A request for a few tokens, with `more` fields.
fn question(more: &Value) -> String {
    let mut body = json!({
        "model": "gpt-5",
        "messages": [{ "role": "user", "content": "Question 3?" }],
        "temperature": 0,
        "max_tokens": 8,
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body.to_string()
}

fn ask(server: &Server, slug: &str, more: &Value) -> RequestBuilder {
    let path = format!("/e/{slug}/v1/chat/completions");
    call(server, Method::POST, &path).body(question(more))
}

/// Checks that a response is an error of the OpenAI-compatible API. Returns its message.
fn message((status, body): &(u16, Value), expected: u16, code: Option<&str>) -> String {
    assert_eq!(*status, expected, "{body}");
    assert_eq!(body["error"]["code"].as_str(), code, "{body}");
    assert!(body["error"]["type"].is_string(), "{body}");
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_endpoint_answers_as_its_adapter_under_its_slug() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (job, _) = server.complete(&project.config(&json!({}))).await;
    let target = json!({ "kind": "adapter", "adapter": { "kind": "final", "jobId": job } });
    create(
        &server,
        "prod",
        &json!({ "target": target, "authMode": "none" }),
    )
    .await;
    let (status, whole) = answer(ask(&server, "prod", &json!({}))).await;
    assert_eq!((status, &whole["model"]), (200, &json!("prod")), "{whole}");
    let body = question(&json!({ "model": format!("{job}/adapter") }));
    let asked = serde_json::from_str(&body).unwrap();
    let (_, same) = server.post("/v1/chat/completions", &asked).await;
    assert_eq!(whole["choices"], same["choices"]);
    assert_eq!(whole["usage"], same["usage"]);

    // The model may be left out, since there is only one.
    let more =
        json!({ "model": null, "stream": true, "stream_options": { "include_usage": true } });
    let response = ask(&server, "prod", &more).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let mut lines: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(lines.pop(), Some("data: [DONE]"));
    let chunks: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    assert!(chunks.iter().all(|chunk| chunk["model"] == "prod"));
    assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
    let pieces: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(whole["choices"][0]["message"]["content"], pieces);

    let format = json!({ "type": "json_object" });
    let more = json!({ "response_format": format, "max_tokens": 64, "temperature": 1, "seed": 2 });
    let (_, answered) = answer(ask(&server, "prod", &more)).await;
    let choice = &answered["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    assert!(text.trim_start().starts_with('{'), "{text}");
    let (status, list) = answer(call(&server, Method::GET, "/e/prod/v1/models")).await;
    assert_eq!((status, &list["object"]), (200, &json!("list")));
    let models = list["data"].as_array().unwrap();
    assert_eq!((models.len(), &models[0]["id"]), (1, &json!("prod")));
    assert!(models[0]["created"].as_u64().unwrap() > 1_700_000_000);
    let (status, one) = answer(call(&server, Method::GET, "/e/prod/v1/models/prod")).await;
    assert_eq!((status, &one), (200, &models[0]));
    let other = answer(call(&server, Method::GET, "/e/prod/v1/models/a/b")).await;
    assert!(message(&other, 404, Some("model_not_found")).contains("prod"));
}

#[tokio::test]
async fn every_refusal_is_one_that_openais_clients_read() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let id = create(&server, "prod", &no_key()).await;
    for path in [
        "/e",
        "/e/",
        "/e/other/v1/models",
        "/e/PROD/v1/models",
        "/e//v1/models",
    ] {
        let said = message(&answer(call(&server, Method::GET, path)).await, 404, None);
        assert!(said.contains("no endpoint"), "{path}: {said}");
    }
    for path in ["/e/prod", "/e/prod/v1/jobs"] {
        let said = message(&answer(call(&server, Method::GET, path)).await, 404, None);
        assert!(said.contains("no"), "{path}: {said}");
    }
    let wrong = call(&server, Method::GET, "/e/prod/v1/chat/completions");
    message(&answer(wrong).await, 405, None);
    message(
        &answer(call(&server, Method::GET, "/e/prod/v1/models/%ff")).await,
        400,
        None,
    );
    let chat = "/e/prod/v1/chat/completions";
    let broken = call(&server, Method::POST, chat).body("{");
    assert!(message(&answer(broken).await, 400, None).contains("no JSON"));
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    let large = call(&server, Method::POST, chat).body(large);
    message(&answer(large).await, 413, None);
    for (more, expected) in [
        (json!({ "n": 2 }), "n is not supported"),
        (json!({ "model": 5 }), "model must be a string"),
        (json!({ "max_tokens": 0 }), "max_tokens: "),
        (json!({ "messages": [] }), "messages"),
        (
            json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }),
            "tools",
        ),
    ] {
        let said = message(&answer(ask(&server, "prod", &more)).await, 400, None);
        assert!(said.contains(expected), "{more}: {said}");
    }
    let path = format!("{BASE}/{id}");
    send(&server, Method::PATCH, &path, &json!({ "enabled": false })).await;
    let disabled = answer(ask(&server, "prod", &json!({}))).await;
    message(&disabled, 404, None);
    assert_eq!(disabled, answer(ask(&server, "other", &json!({}))).await);
}

#[tokio::test]
async fn a_key_opens_its_endpoint_and_nothing_else_until_it_is_revoked() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let id = create(&server, "prod", &json!({})).await;
    let (key_id, key) = create_key(&server, &id).await;
    let (_, second) = create_key(&server, &id).await;
    let other = create(&server, "other", &json!({})).await;
    let (_, others) = create_key(&server, &other).await;
    let models = |given: Option<&str>| {
        let request = call(&server, Method::GET, "/e/prod/v1/models");
        match given {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    };
    let changed = format!("{}0", &key[..67]);
    let changed = if changed == key {
        format!("{}1", &key[..67])
    } else {
        changed
    };
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&key));
    for wrong in [
        None,
        Some(""),
        Some(&others),
        Some(&changed),
        Some(&hash),
        Some(&server.token),
    ] {
        let said = message(&answer(models(wrong)).await, 401, Some("invalid_api_key"));
        assert!(said.contains("key"), "{said}");
    }
    // Without a key, a caller can't even find out which paths exist.
    let nowhere = answer(call(&server, Method::GET, "/e/prod/v1/nowhere")).await;
    message(&nowhere, 401, Some("invalid_api_key"));
    assert_eq!(answer(models(Some(&key))).await.0, 200);
    let asked = ask(&server, "prod", &json!({})).bearer_auth(&key);
    assert_eq!(answer(asked).await.0, 200);
    for path in ["/v1/me", BASE, "/v1/models"] {
        let request = call(&server, Method::GET, path).bearer_auth(&key);
        assert_eq!(answer(request).await.0, 401, "{path}");
    }
    let path = format!("{BASE}/{id}/keys/{key_id}");
    send(&server, Method::DELETE, &path, &Value::Null).await;
    message(
        &answer(models(Some(&key))).await,
        401,
        Some("invalid_api_key"),
    );
    assert_eq!(answer(models(Some(&second))).await.0, 200);
    let path = format!("{BASE}/{id}");
    send(&server, Method::DELETE, &path, &Value::Null).await;
    message(&answer(models(Some(&second))).await, 404, None);
}

#[tokio::test]
async fn the_last_use_of_a_key_is_noted_once_a_minute() {
    let project = Project::new();
    let mut server = Server::start(&project.store());
    let id = create(&server, "prod", &json!({})).await;
    let (_, key) = create_key(&server, &id).await;
    let file = project.store().join("endpoints.json");
    let stored = || -> Value { serde_json::from_slice(&fs::read(&file).unwrap()).unwrap() };
    let last = || stored()["endpoints"][0]["keys"][0]["lastUsedAt"].clone();
    let use_key = async |server: &Server| {
        let request = call(server, Method::GET, "/e/prod/v1/models");
        assert_eq!(answer(request.bearer_auth(&key)).await.0, 200);
        let keys = server.get(&format!("{BASE}/{id}/keys")).await.1;
        keys["keys"][0]["lastUsedAt"].clone()
    };
    assert_eq!(last(), Value::Null);
    let first = use_key(&server).await;
    assert!(first.is_string());
    assert_eq!(last(), first);
    assert_eq!(use_key(&server).await, first, "the same minute");
    server.child.kill().unwrap();
    server.child.wait().unwrap();

    let mut content = stored();
    let long_ago = json!("2026-01-01T00:00:00.000Z");
    content["endpoints"][0]["keys"][0]["lastUsedAt"] = long_ago.clone();
    fs::write(&file, content.to_string()).unwrap();
    let server = Server::start(&project.store());
    let again = use_key(&server).await;
    assert_ne!(again, long_ago);
    assert_eq!(last(), again);
}

#[tokio::test]
async fn without_a_key_only_programs_of_this_machine_can_call() {
    let project = Project::new();
    let server = Server::start(&project.store());
    create(&server, "open", &no_key()).await;
    create(&server, "keyed", &json!({})).await;
    let models = |slug: &str| call(&server, Method::GET, &format!("/e/{slug}/v1/models"));
    assert_eq!(answer(models("open")).await.0, 200);
    for host in ["evil.example", "127.0.0.1:1"] {
        for slug in ["open", "keyed"] {
            let said = message(&answer(models(slug).header("host", host)).await, 403, None);
            assert!(said.contains("Host"), "{said}");
        }
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "http://localhost",
    ] {
        let asked = ask(&server, "open", &json!({})).header("origin", origin);
        let said = message(&answer(asked).await, 403, None);
        assert!(said.contains("pages"), "{origin}: {said}");
    }
    let own = models("open").header("origin", &server.url);
    assert_eq!(answer(own).await.0, 200);
}

#[tokio::test]
async fn an_endpoint_whose_model_is_gone_says_so_and_nothing_of_the_servers_files() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (job, _) = server
        .complete(&project.config(&json!({ "saveSteps": 2 })))
        .await;
    let adapter = |adapter: Value| json!({ "kind": "adapter", "adapter": adapter });
    let last = adapter(json!({ "kind": "final", "jobId": job }));
    create(
        &server,
        "final",
        &json!({ "target": last, "authMode": "none" }),
    )
    .await;
    let step = adapter(json!({ "kind": "checkpoint", "jobId": job, "step": 2 }));
    create(
        &server,
        "step",
        &json!({ "target": step, "authMode": "none" }),
    )
    .await;
    let dir = project.store().join("jobs").join(&job);
    fs::write(dir.join("adapter/adapter_model.safetensors"), "broken").unwrap();
    let said = message(&answer(ask(&server, "final", &json!({}))).await, 500, None);
    assert!(
        said.contains("log") && !said.contains("adapter_model"),
        "{said}"
    );
    let config = dir.join("adapter/adapter_config.json");
    fs::write(config, r#"{"peft_type":"LOHA"}"#).unwrap();
    let said = message(&answer(ask(&server, "final", &json!({}))).await, 500, None);
    assert!(
        said.contains("log") && !said.contains("peft_type"),
        "{said}"
    );
    fs::remove_dir_all(dir.join("adapter")).unwrap();
    fs::remove_dir_all(dir.join("checkpoints/checkpoint-2")).unwrap();
    drop(server);

    // The same applies if the whole job is gone.
    for whole in [false, true] {
        if whole {
            fs::remove_dir_all(&dir).unwrap();
        }
        let server = Server::start(&project.store());
        for slug in ["final", "step"] {
            let asked = answer(ask(&server, slug, &json!({}))).await;
            let said = message(&asked, 404, Some("model_not_found"));
            let expected = format!("the model of the endpoint {slug} is no longer there");
            assert!(said.contains(&expected) && !said.contains(&job), "{said}");
            let path = format!("/e/{slug}/v1/models");
            message(
                &answer(call(&server, Method::GET, &path)).await,
                404,
                Some("model_not_found"),
            );
        }
        let (_, body) = server.get(BASE).await;
        assert_eq!(body["deployments"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_endpoint_can_be_the_base_of_the_server_but_no_stand_in() {
    let project = Project::new();
    let model = crate::support::directory();
    let mut with_base = crate::support::command(&project.store());
    let server = Server::from_command(with_base.arg("--base-model").arg(model.path()));
    let dir = fs::canonicalize(model.path()).unwrap();
    let target = json!({ "kind": "base_model", "baseModel": dir });
    create(
        &server,
        "own",
        &json!({ "target": target, "authMode": "none" }),
    )
    .await;
    let (status, body) = answer(ask(&server, "own", &json!({}))).await;
    assert_eq!((status, &body["model"]), (200, &json!("own")), "{body}");
    let target = json!({ "kind": "base_model", "baseModel": "acme/other" });
    let (status, body) = server
        .post(BASE, &input("other", &json!({ "target": target })))
        .await;
    let said = body["error"].as_str().unwrap();
    assert!(status == 400 && said.contains("--base-model"), "{said}");
    drop(model);
    let gone = answer(ask(&server, "own", &json!({}))).await;
    message(&gone, 404, Some("model_not_found"));
}
