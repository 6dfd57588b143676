//! Access to the server, and requests that are refused before anything starts.

use std::io::Write;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Project, Server, client, command};

#[tokio::test]
async fn half_a_character_in_a_message_was_no_json() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let body = r#"{ "baseModel": "arkor-tiny", "maxTokens": 1, "stream": false,
        "messages": [{ "role": "user", "content": "cut \ud83d" }] }"#;
    let request = server.request(Method::POST, "/v1/inference/chat");
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_message_that_quotes_what_was_sent_has_an_end() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let body = json!({ "messages": [{ "role": "x".repeat(100_000), "content": "" }], "baseModel": "arkor-tiny" });
    let (status, answer) = server.post("/v1/inference/chat", &body).await;
    let message = answer["error"].as_str().unwrap();
    assert_eq!((status, message.chars().count()), (400, 1001), "{message}");
    assert!(message.starts_with("messages[0].role must be"), "{message}");
}

#[tokio::test]
async fn a_request_without_the_token_or_for_another_host_is_turned_away() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let url = format!("{}/v1/me", server.url);
    let plain = client();
    assert_eq!(plain.get(&url).send().await.unwrap().status(), 401);
    let wrong = plain.get(&url).bearer_auth(format!("{}0", server.token));
    let response = wrong.send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.text().await.unwrap().contains("token"));
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1"] {
        let request = server.request(Method::GET, "/v1/me").header("host", host);
        assert_eq!(request.send().await.unwrap().status(), 403, "{host}");
    }
    let port = server.url.rsplit_once(':').unwrap().1;
    let request = server
        .request(Method::GET, "/v1/me")
        .header("host", format!("localhost:{port}"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let (status, me) = server.get("/v1/me").await;
    assert_eq!((status, &me["orgs"][0]["slug"]), (200, &json!("local")));
    assert_eq!(me["engine"], json!({ "name": "auto", "device": null }));
    let project = Project::new();
    let server = Server::from_command(command(&project.store()).arg("--engine=cpu"));
    let (_, me) = server.get("/v1/me").await;
    assert_eq!(me["engine"], json!({ "name": "candle", "device": "cpu" }));
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_one_that_is_no_json_is_400() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    let response = server
        .request(Method::POST, "/v1/jobs")
        .body(large)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
    let response = server
        .request(Method::POST, "/v1/jobs")
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .starts_with(r#"{"error":"the body is no JSON"#)
    );
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let project = Project::new();
    let server = Server::start(&project.store());
    for path in [
        "/v1/jobs/nope",
        "/v1/jobs/..%2F..%2Fetc/events/stream",
        "/v1/nothing",
        "/",
    ] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    for path in [
        "/v1/jobs?projectSlug=a&projectSlug=b",
        "/v1/jobs/%ff",
        "/v1/models/%ff",
    ] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, 400, "{path}");
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    assert_eq!(server.post("/v1/jobs/nope/cancel", &json!({})).await.0, 404);
    assert_eq!(server.get("/v1/endpoints/e1/keys").await.0, 404);
    assert_eq!(server.get("/v1/inference/chat").await.0, 405);
}

#[tokio::test]
async fn a_project_can_be_made_once_and_is_listed() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let body = json!({ "name": "My project", "slug": "mine" });
    let (status, made) = server.post("/v1/projects?orgSlug=local", &body).await;
    assert_eq!((status, &made["project"]["slug"]), (201, &json!("mine")));
    assert_eq!(
        server.post("/v1/projects?orgSlug=local", &body).await.0,
        409
    );
    assert_eq!(
        server
            .post("/v1/projects?orgSlug=local", &json!({}))
            .await
            .0,
        400
    );
    let (_, list) = server.get("/v1/projects?orgSlug=local").await;
    assert_eq!(list["projects"][0]["id"], "mine");
    assert_eq!(list["org"]["slug"], "local");
}

#[tokio::test]
async fn jobs_are_listed_by_project() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (id, _) = server
        .complete(&project.config(&json!({ "dryRun": true })))
        .await;
    let (_, list) = server.get("/v1/jobs?orgSlug=local&projectSlug=demo").await;
    assert_eq!(list["jobs"][0]["id"], id.as_str());
    let (_, list) = server.get("/v1/jobs?projectSlug=other").await;
    assert_eq!(list["jobs"], json!([]));
    let (_, list) = server.get("/v1/projects").await;
    assert_eq!(list["projects"][0]["slug"], "demo");
}

#[tokio::test]
async fn a_config_that_can_not_be_honoured_is_refused_by_field_and_makes_no_job() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let bad_row = project.dataset(
        "bad.jsonl",
        b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"txt\":1}\n",
    );
    let empty = project.dataset("empty.jsonl", b"\n");
    let cases = [
        (json!({ "optim": "lion" }), "optim"),
        (
            json!({ "lrSchedulerType": "polynomial" }),
            "lrSchedulerType",
        ),
        (json!({ "maxSteps": -1 }), "maxSteps"),
        (json!({ "learningRate": "fast" }), "learningRate"),
        (json!({ "model": "/no/such/model" }), "model"),
        (
            json!({ "datasetSource": { "type": "huggingface" } }),
            "datasetSource",
        ),
        (
            json!({ "datasetSource": { "type": "blob", "url": "file:///no/such/rows.jsonl" } }),
            "datasetSource",
        ),
        (json!({ "datasetSource": bad_row }), "line 3"),
        (json!({ "datasetSource": empty }), "no rows"),
    ];
    for (more, expected) in cases {
        let body = json!({ "name": "t", "config": project.config(&more) });
        let (status, answer) = server.post("/v1/jobs", &body).await;
        assert_eq!(status, 400, "{more}: {answer}");
        assert!(
            answer["error"].as_str().unwrap().contains(expected),
            "{more}: {answer}"
        );
    }
    assert_eq!(
        server
            .post("/v1/jobs", &json!({ "config": project.config(&json!({})) }))
            .await
            .0,
        400
    );
    assert_eq!(server.get("/v1/jobs").await.1["jobs"], json!([]));
}

#[tokio::test]
async fn a_model_of_another_architecture_is_refused_by_name() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let model = tempfile::tempdir().unwrap();
    std::fs::write(
        model.path().join("config.json"),
        r#"{"architectures":["GPT2LMHeadModel"]}"#,
    )
    .unwrap();
    let body = json!({ "name": "t", "config": project.config(&json!({ "model": model.path() })) });
    let (status, answer) = server.post("/v1/jobs", &body).await;
    assert_eq!(status, 400);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("GPT2LMHeadModel"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_dataset_is_downloaded_with_its_token_which_is_not_stored() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for number in 0..8 {
        writeln!(
            gz,
            "{}",
            json!({ "prompt": format!("{number} is"), "completion": " a number" })
        )
        .unwrap();
    }
    let data = gz.finish().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/rows.jsonl.gz", listener.local_addr().unwrap());
    let serve = async move |headers: axum::http::HeaderMap| match headers.get("authorization") {
        Some(token) if token == "Bearer secret" => Ok(data.clone()),
        _ => Err(axum::http::StatusCode::UNAUTHORIZED),
    };
    let app = axum::Router::new().route("/rows.jsonl.gz", axum::routing::get(serve));
    let files = tokio::spawn(async move { axum::serve(listener, app).await });

    let source =
        |token: &Value| json!({ "datasetSource": { "type": "blob", "url": url, "token": token } });
    let config = project.config(&source(&json!("wrong")));
    let (status, answer) = server
        .post("/v1/jobs", &json!({ "name": "t", "config": config }))
        .await;
    assert_eq!(status, 400);
    assert!(
        answer["error"].as_str().unwrap().contains("401"),
        "{answer}"
    );
    let (id, events) = server
        .complete(&project.config(&source(&json!("secret"))))
        .await;
    assert_eq!(events[events.len() - 2].kind, "training.completed");
    let (_, body) = server.get(&format!("/v1/jobs/{id}")).await;
    assert!(!body.to_string().contains("secret"));
    files.abort();
}
