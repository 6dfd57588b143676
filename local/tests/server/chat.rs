//! Chats with a base, a checkpoint and a final adapter.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Project, Server, directory};

const CHAT: &str = "/v1/inference/chat";

/// A request for a few tokens, with `more` fields.
fn request(more: &Value) -> Value {
    let mut body = json!({
        "messages": [{ "role": "user", "content": "Question 3?" }],
        "baseModel": "arkor-tiny",
        "temperature": 0,
        "maxTokens": 12,
        "stream": false,
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    body
}

/// The chunks of a streamed response.
async fn streamed(server: &Server, body: &Value) -> Vec<Value> {
    let response = server
        .request(Method::POST, CHAT)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let mut lines: Vec<&str> = text.split_terminator("\n\n").collect();
    assert_eq!(lines.pop(), Some("data: [DONE]"));
    lines
        .iter()
        .map(|line| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

fn content(chunks: &[Value]) -> String {
    chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect()
}

#[tokio::test]
async fn streamed_or_not_the_answer_is_the_same_and_is_counted() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (status, whole) = server.post(CHAT, &request(&json!({}))).await;
    assert_eq!(status, 200, "{whole}");
    assert_eq!(
        (&whole["object"], &whole["model"]),
        (&json!("chat.completion"), &json!("arkor-tiny"))
    );
    let choice = &whole["choices"][0];
    assert_eq!(choice["message"]["role"], "assistant");
    let usage = &whole["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(
        count("total_tokens"),
        count("prompt_tokens") + count("completion_tokens")
    );
    assert!((1..=12).contains(&count("completion_tokens")));

    let chunks = streamed(&server, &request(&json!({ "stream": true }))).await;
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk")
    );
    assert_eq!(
        content(&chunks),
        choice["message"]["content"].as_str().unwrap()
    );
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], choice["finish_reason"]);
    assert_eq!(&last["usage"], usage);
}

#[tokio::test]
async fn an_adapter_answers_as_it_was_trained_and_the_base_does_not() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let more = json!({ "maxSteps": 40, "trainOnResponsesOnly": true, "learningRate": 5e-3, "saveSteps": 20 });
    let (id, _) = server.complete(&project.config(&more)).await;
    let answer = async |adapter: Value| {
        let body = request(&json!({ "baseModel": null, "adapter": adapter }));
        let (status, body) = server.post(CHAT, &body).await;
        assert_eq!(status, 200, "{body}");
        body["choices"][0].clone()
    };
    let last = answer(json!({ "kind": "final", "jobId": id })).await;
    let text = last["message"]["content"].as_str().unwrap();
    assert!(["even", "odd"].contains(&text), "{text}");
    assert_eq!(last["finish_reason"], "stop");
    assert_eq!(
        answer(json!({ "kind": "checkpoint", "jobId": id, "step": 40 })).await,
        last
    );
    let (_, base) = server.post(CHAT, &request(&json!({}))).await;
    assert_ne!(base["choices"][0]["message"]["content"], text);
}

#[tokio::test]
async fn it_answers_while_a_job_is_training() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let id = server.submit(&project.endless()).await;
    let mut events = server.events(&id, None).await;
    let step = events.until("checkpoint.saved").await.data["step"].clone();
    let adapter = json!({ "kind": "checkpoint", "jobId": id, "step": step });
    let body = request(&json!({ "baseModel": null, "adapter": adapter, "stream": true }));
    assert!(!streamed(&server, &body).await.is_empty());
    assert_eq!(
        server.get(&format!("/v1/jobs/{id}")).await.1["job"]["status"],
        "running"
    );
    events.until("training.log").await;
}

#[tokio::test]
async fn sampling_is_random_but_the_same_for_the_same_seed() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let ask = async |seed: u64| {
        let more = json!({ "temperature": 1.5, "topP": 0.95, "seed": seed, "maxTokens": 40 });
        server.post(CHAT, &request(&more)).await.1["choices"][0]["message"]["content"].clone()
    };
    assert_eq!(ask(1).await, ask(1).await);
    assert_ne!(ask(1).await, ask(2).await);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_says_so() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let (_, body) = server
        .post(CHAT, &request(&json!({ "maxTokens": 1 })))
        .await;
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 1);
}

#[tokio::test]
async fn what_it_can_not_do_is_refused_by_field() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "thing" } } });
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let long = json!([{ "role": "user", "content": "x".repeat(2000) }]);
    let cases = [
        (json!({ "tools": {} }), 400, "tools"),
        (
            json!({ "tools": [{ "type": "function" }] }),
            400,
            "tools[0]",
        ),
        (json!({ "tools": tools }), 400, "chat template"),
        (json!({ "toolChoice": "required" }), 400, "toolChoice"),
        (
            json!({ "responseFormat": { "type": "yaml" } }),
            400,
            "responseFormat.type",
        ),
        (json!({ "responseFormat": schema }), 400, "responseFormat"),
        (
            json!({ "structuredOutputs": { "choice": [] } }),
            400,
            "structuredOutputs.choice",
        ),
        (
            json!({ "structuredOutputs": { "choice": ["a"], "regex": "b" } }),
            400,
            "structuredOutputs",
        ),
        (
            json!({ "structuredOutputs": { "grammar": "root ::= x" } }),
            400,
            "structuredOutputs.grammar",
        ),
        (
            json!({ "structuredOutputs": { "regex": "(" } }),
            400,
            "structuredOutputs",
        ),
        (
            json!({ "structuredOutputs": { "choice": ["a"], "speed": 1 } }),
            400,
            "structuredOutputs.speed",
        ),
        (
            json!({ "structuredOutputs": { "choice": ["a"], "disable_any_whitespace": true } }),
            400,
            "structuredOutputs.disable_any_whitespace",
        ),
        (json!({ "parallelToolCalls": 1 }), 400, "parallelToolCalls"),
        (json!({ "temperature": -1 }), 400, "temperature"),
        (json!({ "topP": 0 }), 400, "topP"),
        (json!({ "maxTokens": 0 }), 400, "maxTokens"),
        (json!({ "messages": [] }), 400, "messages"),
        (
            json!({ "messages": [{ "role": "robot", "content": "" }] }),
            400,
            "messages[0].role",
        ),
        (
            json!({ "messages": [{ "role": "user" }] }),
            400,
            "messages[0].content",
        ),
        (json!({ "messages": long }), 400, "messages"),
        (json!({ "baseModel": null }), 400, "adapter"),
        (
            json!({ "baseModel": null, "adapter": { "kind": "final", "jobId": "nope" } }),
            404,
            "job",
        ),
    ];
    for (more, expected, field) in cases {
        let (status, body) = server.post(CHAT, &request(&more)).await;
        assert_eq!(status, expected, "{more}: {body}");
        assert!(
            body["error"].as_str().unwrap().contains(field),
            "{more}: {body}"
        );
    }
    let text = request(&json!({ "responseFormat": { "type": "text" } }));
    assert_eq!(server.post(CHAT, &text).await.0, 200);
}

#[tokio::test]
async fn an_answer_has_the_form_that_was_asked_for_streamed_or_not() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let schema = json!({
        "type": "object",
        "properties": { "team": { "enum": ["a", "b"] }, "urgent": { "type": "boolean" } },
        "required": ["team", "urgent"],
        "additionalProperties": false,
    });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema } });
    // At this temperature, only the constraint determines the format.
    let ask = async |more: Value| {
        let mut body = request(&json!({ "temperature": 2, "seed": 3, "maxTokens": 200 }));
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (status, answer) = server.post(CHAT, &body).await;
        assert_eq!(status, 200, "{answer}");
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "stop", "{answer}");
        let text = choice["message"]["content"].as_str().unwrap().to_owned();
        body["stream"] = json!(true);
        assert_eq!(content(&streamed(&server, &body).await), text);
        text
    };
    let json: Value =
        serde_json::from_str(&ask(json!({ "responseFormat": format })).await).unwrap();
    assert!(["a", "b"].contains(&json["team"].as_str().unwrap()) && json["urgent"].is_boolean());
    let compact = json!({ "json": schema, "disable_any_whitespace": true });
    let text = ask(json!({ "structuredOutputs": compact })).await;
    assert!(!text.contains(' '), "{text}");
    let choice = ask(json!({ "structuredOutputs": { "choice": ["yes", "no"] } })).await;
    assert!(["yes", "no"].contains(&choice.as_str()), "{choice}");
    let regex = ask(json!({ "structuredOutputs": { "regex": "[0-9]{3}-[a-f]" } })).await;
    assert!(regex.len() == 5 && regex.as_bytes()[3] == b'-', "{regex}");
}

#[tokio::test]
async fn json_mode_gives_an_object_or_says_that_it_was_cut_off() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let more = json!({ "responseFormat": { "type": "json_object" }, "maxTokens": 300 });
    let (_, answer) = server.post(CHAT, &request(&more)).await;
    let choice = &answer["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    assert!(text.starts_with('{'), "{text}");
    if choice["finish_reason"] == "stop" {
        assert!(serde_json::from_str::<Value>(text).unwrap().is_object());
    }
}

#[tokio::test]
async fn functions_are_called_where_the_template_knows_them() {
    let project = Project::new();
    let model = directory();
    let path = model.path().join("tokenizer_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["chat_template"] = json!(
        "{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% for m in messages %}{{ m.role }}: \
         {{ m.content }}{% for c in m.tool_calls %}{% if c.function.arguments is string %}\
         {{ raise_exception('text') }}{% endif %}<tool_call>{% endfor %}\n\
         {% endfor %}"
    );
    std::fs::write(&path, config.to_string()).unwrap();
    let server = Server::start(&project.store());
    let parameters = json!({
        "type": "object", "properties": { "n": { "type": "integer", "minimum": 1, "maximum": 9 } },
        "required": ["n"], "additionalProperties": false,
    });
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": parameters } });
    let mut body = request(&json!({
        "baseModel": model.path(), "tools": [tool("f"), tool("g")],
        "toolChoice": { "type": "function", "function": { "name": "g" } },
        "maxTokens": 200, "temperature": 1, "seed": 1,
    }));
    let (status, answer) = server.post(CHAT, &body).await;
    assert_eq!(status, 200, "{answer}");
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls", "{answer}");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "g");
    let arguments: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!((1..=9).contains(&arguments["n"].as_i64().unwrap()));

    body["stream"] = json!(true);
    let chunks = streamed(&server, &body).await;
    let calls: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"].get("tool_calls"))
        .collect();
    assert_eq!((calls.len(), &calls[0][0]["index"]), (1, &json!(0)));
    assert_eq!(calls[0][0]["function"], call["function"]);

    // All the calls in the answer count, or only one.
    let two = r#"(<tool_call>\{"name": "f", "arguments": \{\}\}</tool_call>){2}"#;
    let both = request(&json!({
        "baseModel": model.path(), "tools": [tool("f")], "structuredOutputs": { "regex": two },
        "maxTokens": 300,
    }));
    for (parallel, most) in [(json!(null), 2), (json!(true), 2), (json!(false), 1)] {
        let mut body = both.clone();
        body["parallelToolCalls"] = parallel;
        let (_, answer) = server.post(CHAT, &body).await;
        let message = &answer["choices"][0]["message"];
        let calls = message["tool_calls"].as_array().map(Vec::len);
        assert_eq!(
            (calls, &message["content"]),
            (Some(most), &Value::Null),
            "{answer}"
        );
    }

    // Send the result back. The template reads the call's arguments as an object.
    body["stream"] = json!(false);
    body["toolChoice"] = json!("none");
    body["messages"] = json!([
        { "role": "user", "content": "?" },
        { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "content": "7", "tool_call_id": call["id"] },
    ]);
    let (status, answer) = server.post(CHAT, &body).await;
    assert_eq!(
        (status, &answer["choices"][0]["message"]["tool_calls"]),
        (200, &Value::Null),
        "{answer}"
    );
}
