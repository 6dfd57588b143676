//! Previews of datasets: the rows, tokens and refusals are the same as those of a job.

use serde_json::{Value, json};

use crate::support::{Project, Server};

async fn preview(server: &Server, config: &Value, more: Value) -> (u16, Value) {
    let mut body = more;
    body["config"] = config.clone();
    server.post("/v1/dataset/preview", &body).await
}

/// A row's text, with its trained parts in `[]` and the part that's cut off in `{}`.
fn marked(row: &Value) -> String {
    let segments = row["segments"].as_array().unwrap();
    let part = |segment: &Value| {
        let text = segment["text"].as_str().unwrap();
        let is = |name: &str| segment[name].as_bool().unwrap();
        match (is("trained"), is("cut")) {
            (true, false) => format!("[{text}]"),
            (false, true) => format!("{{{text}}}"),
            (false, false) => text.to_owned(),
            (true, true) => panic!("what is cut off can't be trained: {segment}"),
        }
    };
    segments.iter().map(part).collect()
}

#[tokio::test]
async fn rows_are_rendered_and_what_is_trained_and_cut_off_is_marked() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let all = project.config(&json!({ "trainOnResponsesOnly": true }));
    let (status, body) = preview(&server, &all, json!({ "offset": 2, "limit": 1 })).await;
    assert_eq!(status, 200, "{body}");
    let rows = body["rows"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &body["offset"], &body["model"]),
        (1, &json!(2), &json!("arkor-tiny"))
    );
    assert_eq!(rows[0]["source"], json!({ "unit": "line", "number": 3 }));
    assert_eq!(
        marked(&rows[0]),
        "<|im_start|>user\nQuestion 2?<|im_end|>\n<|im_start|>assistant\n[even<|im_end|>]\n"
    );
    assert_eq!(body["totals"]["rows"], 24);
    assert_eq!(body["totals"]["cutRows"], 0);

    let tokens = rows[0]["tokens"].as_u64().unwrap();
    let short = project.config(&json!({ "maxLength": tokens - 2 }));
    let (_, body) = preview(&server, &short, json!({ "offset": 2, "limit": 1 })).await;
    let row = &body["rows"][0];
    assert_eq!(
        marked(row),
        "<|im_start|>[user\nQuestion 2?<|im_end|>\n<|im_start|>assistant\neven]{<|im_end|>\n}"
    );
    assert_eq!(
        (&row["tokens"], &row["cutTokens"], &row["trainedTokens"]),
        (&json!(tokens), &json!(2), &json!(tokens - 3))
    );
    assert_eq!(body["maxLength"], tokens - 2);
    assert!(body["totals"]["cutRows"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn totals_are_those_of_the_run() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let whole = preview(&server, &project.config(&json!({})), json!({}))
        .await
        .1;
    let short = whole["totals"]["longest"].as_u64().unwrap() - 3;
    let config = project.config(&json!({ "trainOnResponsesOnly": true, "maxLength": short }));
    let (_, body) = preview(&server, &config, json!({ "limit": 100 })).await;
    let (rows, totals) = (body["rows"].as_array().unwrap(), &body["totals"]);
    let job = server.submit(&config).await;
    let started = server
        .events(&job, None)
        .await
        .until("training.started")
        .await;
    let metadata = &started.data["metadata"];
    let number = |value: &Value| value.as_u64().unwrap();
    let held_out = rows.iter().filter(|row| row["heldOut"] == true).count() as u64;
    assert_eq!(held_out, number(&totals["heldOut"]));
    assert_eq!(held_out, number(&metadata["rows"]["eval"]));
    let kept = |row: &&Value| row["trainedTokens"] != 0;
    let seen = |row: &Value| number(&row["tokens"]) - number(&row["cutTokens"]);
    let trained = rows
        .iter()
        .filter(kept)
        .filter(|row| row["heldOut"] == false);
    assert_eq!(
        trained.clone().count() as u64,
        number(&metadata["rows"]["train"])
    );
    assert_eq!(
        trained.map(seen).sum::<u64>(),
        number(&metadata["tokens"]["train"])
    );
    assert_eq!(
        rows.iter().map(seen).sum::<u64>(),
        number(&totals["tokens"])
    );
    let bars = body["lengths"].as_array().unwrap();
    assert_eq!(bars.iter().map(|bar| number(&bar["rows"])).sum::<u64>(), 24);
}

#[tokio::test]
async fn what_a_submission_refuses_is_refused_in_the_same_words_and_leaves_nothing() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let bad = project.dataset("bad.jsonl", b"{\"text\":\"a\"}\n{\"text\":7}\n");
    for more in [
        json!({ "datasetSource": bad }),
        json!({ "maxLength": 2, "trainOnResponsesOnly": true }),
        json!({ "loraR": 0 }),
        json!({ "datasetSource": null }),
    ] {
        let config = project.config(&more);
        let (status, shown) = preview(&server, &config, json!({})).await;
        let submission = json!({ "name": "t", "config": config });
        assert_eq!((status, shown), server.post("/v1/jobs", &submission).await);
        assert_eq!(status, 400);
    }
    for (more, name) in [
        (json!({ "limit": 0 }), "limit"),
        (json!({ "limit": 101 }), "limit"),
        (json!({ "offset": -1 }), "offset"),
        (json!({ "offset": "2" }), "offset"),
    ] {
        let (status, body) = preview(&server, &project.config(&json!({})), more).await;
        assert_eq!(status, 400);
        let error = body["error"].as_str().unwrap();
        assert!(
            error.starts_with(&format!("{name} must be a whole number")),
            "{error}"
        );
    }
    let left: Vec<_> = std::fs::read_dir(project.store().join("jobs"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn tokens_that_the_tokenizer_adds_and_rows_that_a_dry_run_leaves_out_are_told() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let text = project.dataset("text.jsonl", &b"{\"text\":\"plain\"}\n".repeat(40));
    let config = project.config(&json!({ "datasetSource": text, "dryRun": true }));
    let (_, body) = preview(&server, &config, json!({ "limit": 1, "offset": 31 })).await;
    assert_eq!(body["totals"]["rows"], 32);
    assert_eq!(body["totals"]["notInDryRun"], 8);
    let last = body["rows"][0]["segments"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(
        (&last["added"], &last["trained"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(last["text"], "<|im_end|>");
}

#[tokio::test]
async fn a_preview_needs_the_token() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let url = format!("{}/v1/dataset/preview", server.url);
    let answer = crate::support::client()
        .post(url)
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}
