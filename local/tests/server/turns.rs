//! Many chats at the same time.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Project, Server, directory};

/// The built-in base with such a long context that an answer doesn't end during a test.
fn long_model() -> (tempfile::TempDir, Value) {
    let dir = directory();
    let path = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["max_position_embeddings"] = json!(1_000_000);
    std::fs::write(path, config.to_string()).unwrap();
    let chat = json!({
        "model": dir.path(), "stream": true, "max_tokens": 900_000, "temperature": 0,
        "messages": [{ "role": "user", "content": "Count." }],
        // The model can't end its answer.
        "structured_outputs": { "regex": "a{20000}" },
    });
    (dir, chat)
}

#[tokio::test]
async fn four_chats_are_answered_sixteen_wait_and_the_next_one_is_told_when_to_come_back() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (_dir, chat) = long_model();
    let mut answers: FuturesUnordered<_> = (0..21)
        .map(|_| {
            let request = server.request(Method::POST, "/v1/chat/completions");
            request.body(chat.to_string()).send()
        })
        .collect();
    let mut answered = Vec::new();
    let mut refused = Vec::new();
    while answered.len() + refused.len() < 5 {
        let answer = answers.next().await.unwrap().unwrap();
        match answer.status().as_u16() {
            200 => answered.push(answer),
            429 => refused.push(answer),
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }
    assert_eq!((answered.len(), refused.len()), (4, 1));
    let refused = refused.remove(0);
    assert_eq!(refused.headers()["retry-after"], "5");
    let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["type"], "rate_limit_error");
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("try again in 5 s")
    );

    // A client that disconnects makes room for the next one.
    drop(answered.remove(0));
    assert_eq!(answers.next().await.unwrap().unwrap().status(), 200);

    // Waiting clients that disconnect no longer count.
    drop(answers);
    let request = server.request(Method::POST, "/v1/chat/completions");
    let waiting = request.body(chat.to_string()).send();
    drop(answered);
    assert_eq!(waiting.await.unwrap().status(), 200);
}
