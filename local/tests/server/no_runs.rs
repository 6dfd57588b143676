//! `--no-runs`: a server for commands that only need information.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Project, Server, command};

#[tokio::test]
async fn without_runs_an_interrupted_job_waits_for_the_next_server_but_the_rest_is_served() {
    let project = Project::new();
    let id = {
        let mut server = Server::start(&project.store());
        let id = server.submit(&project.endless()).await;
        let mut events = server.events(&id, None).await;
        events.until("training.log").await;
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        id
    };
    let log = project.store().join("jobs").join(&id).join("events.jsonl");
    let before = fs::read(&log).unwrap();

    let server = Server::from_command(command(&project.store()).arg("--no-runs"));
    let announced = fs::read(project.store().join("server.json")).unwrap();
    let announced: Value = serde_json::from_slice(&announced).unwrap();
    assert_eq!(announced["runs"], false);
    let chat = json!({
        "baseModel": "arkor-tiny", "stream": false, "maxTokens": 4,
        "messages": [{ "role": "user", "content": "Hello" }],
    });
    let (status, answer) = server.post("/v1/inference/chat", &chat).await;
    assert_eq!(status, 200, "{answer}");
    let job = json!({ "name": "t", "config": project.config(&json!({})) });
    let (status, refusal) = server.post("/v1/jobs?projectSlug=demo", &job).await;
    assert_eq!(status, 400);
    assert!(
        refusal["error"].as_str().unwrap().contains("--no-runs"),
        "{refusal}"
    );
    let (_, shown) = server.get(&format!("/v1/jobs/{id}")).await;
    assert_eq!(shown["job"]["status"], "running");
    assert_eq!(fs::read(&log).unwrap(), before);

    let (status, _) = server.delete(&format!("/v1/jobs/{id}")).await;
    assert_eq!(status, 409);
    let path = format!("/v1/jobs/{id}/cancel");
    let (_, cancelled) = server.post(&path, &json!({})).await;
    assert_eq!(cancelled["job"]["status"], "cancelled");
    let (status, _) = server.delete(&format!("/v1/jobs/{id}")).await;
    assert_eq!(status, 204);
}

#[tokio::test]
async fn a_server_with_runs_says_so() {
    let project = Project::new();
    let _server = Server::start(&project.store());
    let announced = fs::read(project.store().join("server.json")).unwrap();
    let announced: Value = serde_json::from_slice(&announced).unwrap();
    assert_eq!(announced["runs"], true);
}
