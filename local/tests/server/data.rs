//! Datasets: refusals before a job is created, and the resources that a file may use up.

use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Project, Server, directory};

/// The response to a job with these rows.
async fn submitted(
    server: &Server,
    project: &Project,
    content: &[u8],
    more: Value,
) -> (u16, String) {
    let mut more = more;
    more["datasetSource"] = project.dataset("rows", content);
    let body = json!({ "name": "t", "config": project.config(&more) });
    let (status, answer) = server.post("/v1/jobs", &body).await;
    (
        status,
        answer["error"].as_str().unwrap_or_default().to_owned(),
    )
}

fn lines(rows: &[Value]) -> Vec<u8> {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    lines.join("\n").into_bytes()
}

fn chat(answer: &Value) -> Value {
    json!({ "messages": [{ "role": "user", "content": "hi" }, answer] })
}

#[tokio::test]
async fn a_row_that_can_not_be_trained_got_a_201_or_lost_a_part() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let good = chat(&json!({ "role": "assistant", "content": "yo" }));
    let call = json!([{ "type": "function", "function": { "name": "f", "arguments": "{}" } }]);
    let mut with_tools = good.clone();
    with_tools["tools"] = json!([{ "type": "function", "function": { "name": "f" } }]);
    for (bad, expected) in [
        (
            chat(&json!({ "role": "assistant", "content": null, "tool_calls": call })),
            "line 2: messages[1].tool_calls: the chat template",
        ),
        (with_tools, "line 2: tools: the chat template"),
        (
            chat(&json!({ "role": "assistant", "content": "yo", "reasoning_content": "hm" })),
            "line 2: messages[1].reasoning_content: the chat template",
        ),
        (
            chat(&json!({ "role": "assistant", "content": "yo", "train": false })),
            "line 2: messages[1].train: the chat template",
        ),
        (
            chat(&json!({ "role": "narrator", "content": "yo" })),
            "line 2: messages[1].role",
        ),
        (
            json!({ "prompt": "p", "chosen": "a", "rejected": "b" }),
            "line 2: is a preference row",
        ),
    ] {
        let rows = lines(&[good.clone(), bad]);
        for more in [json!({}), json!({ "dryRun": true })] {
            let (status, error) = submitted(&server, &project, &rows, more).await;
            assert_eq!(status, 400, "{expected}");
            assert!(
                error.starts_with(&format!("datasetSource: {expected}")),
                "{error}"
            );
        }
    }
    let short = json!({ "maxLength": 8, "trainOnResponsesOnly": true });
    let (status, error) = submitted(&server, &project, &lines(&[good]), short).await;
    assert_eq!(status, 400);
    assert!(error.starts_with("maxLength: "), "{error}");
    assert_eq!(server.get("/v1/jobs").await.1["jobs"], json!([]));
}

#[tokio::test]
async fn a_dry_run_whose_rows_are_all_too_long_does_not_speak_for_the_others() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let row = |prompt: &str| json!({ "prompt": prompt, "completion": "yo" });
    let long = row(&"hi ".repeat(100));
    let mut rows = vec![long; 32];
    rows.push(row("hi"));
    let more = json!({ "dryRun": true, "maxLength": 64, "trainOnResponsesOnly": true });
    let (status, error) = submitted(&server, &project, &lines(&rows), more).await;
    assert_eq!(status, 400);
    let expected = "maxLength: none of the first 32 rows, which a dry run trains, has a trained token within 64";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_dry_run_checks_the_rows_that_it_does_not_train() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let mut rows = vec![chat(&json!({ "role": "assistant", "content": "yo" })); 300];
    rows.push(chat(
        &json!({ "role": "assistant", "content": "yo", "name": "ann" }),
    ));
    let more = json!({ "dryRun": true });
    let (status, error) = submitted(&server, &project, &lines(&rows), more).await;
    assert_eq!(status, 400);
    assert!(
        error.starts_with("datasetSource: line 301: messages[1].name"),
        "{error}"
    );
}

#[tokio::test]
async fn a_model_without_a_chat_template_is_refused_for_conversations_only() {
    let project = Project::new();
    let model = directory();
    let path = model.path().join("tokenizer_config.json");
    std::fs::write(path, json!({ "eos_token": "<|im_end|>" }).to_string()).unwrap();
    let server = Server::start(&project.store());
    let more = json!({ "model": model.path(), "dryRun": true });
    let rows = lines(&[chat(&json!({ "role": "assistant", "content": "yo" }))]);
    let (status, error) = submitted(&server, &project, &rows, more.clone()).await;
    assert_eq!(status, 400);
    assert!(
        error.contains("line 1: ") && error.contains("no chat template"),
        "{error}"
    );
    let (status, _) = submitted(&server, &project, b"{\"text\":\"a\"}", more).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn a_dry_run_kept_a_warm_up_that_is_longer_than_it() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let more = json!({ "dryRun": true, "maxSteps": 1000, "warmupSteps": 100 });
    let (_, events) = server.complete(&project.config(&more)).await;
    let rates: Vec<f64> = events
        .iter()
        .filter_map(|event| event.data["learningRate"].as_f64())
        .collect();
    assert_eq!(rates.len(), 6);
    // One step of warm-up, and then a decay from the highest rate.
    assert!(rates[0] < 1e-9 && rates[1] > 2.9e-3, "{rates:?}");
}

/// Rows that take far longer to encode than a test lasts, on any machine.
fn slow(project: &Project) -> Value {
    let turn = json!([
        { "role": "user", "content": "x".repeat(2000) },
        { "role": "assistant", "content": "y".repeat(2000) },
    ]);
    let turns: Vec<Value> = (0..40)
        .flat_map(|_| turn.as_array().unwrap().clone())
        .collect();
    let row = json!({ "messages": turns }).to_string();
    let content = vec![row; 600].join("\n");
    let source = project.dataset("slow.jsonl", content.as_bytes());
    let more = json!({ "datasetSource": source, "trainOnResponsesOnly": true, "maxLength": 65536 });
    json!({ "name": "t", "config": project.config(&more) })
}

#[tokio::test]
async fn encoding_goes_on_for_a_client_that_is_gone() {
    let project = Project::new();
    let server = Server::start(&project.store());
    let body = slow(&project).to_string();
    // As many requests as may be prepared at the same time.
    for _ in 0..2 {
        let request = server.request(Method::POST, "/v1/jobs").body(body.clone());
        let answer = request.timeout(Duration::from_millis(500)).send().await;
        assert!(answer.unwrap_err().is_timeout());
    }
    let started = Instant::now();
    server
        .submit(&project.config(&json!({ "dryRun": true })))
        .await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_encodes_can_not_be_stopped() {
    let project = Project::new();
    let server =
        Server::from_command(crate::support::command(&project.store()).arg("--with-parent"));
    let body = slow(&project).to_string();
    let mut request = pin!(server.request(Method::POST, "/v1/jobs").body(body).send());
    let answer = tokio::time::timeout(Duration::from_millis(500), &mut request).await;
    assert!(answer.is_err(), "it is being prepared");
    let started = Instant::now();
    let (status, _) = server.wait();
    assert!(status.success());
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

/// The peak memory of a process, in MiB.
#[cfg(target_os = "linux")]
fn peak(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.child.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1024
}

/// A compressed text that repeats a part.
#[cfg(target_os = "linux")]
fn unfolding(start: &str, part: &str, count: usize, end: &str) -> Vec<u8> {
    use std::io::Write;

    let fast = flate2::Compression::fast();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), fast);
    gz.write_all(start.as_bytes()).unwrap();
    let many = part.repeat(10_000);
    for _ in 0..count / 10_000 {
        gz.write_all(many.as_bytes()).unwrap();
    }
    gz.write_all(end.as_bytes()).unwrap();
    gz.finish().unwrap()
}

/// A Parquet file that repeats a text.
pub fn parquet_of(text: &str, count: usize) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;

    let schema = "message schema { REQUIRED BYTE_ARRAY text (UTF8); }";
    let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::ZSTD(
            parquet::basic::ZstdLevel::default(),
        ))
        .set_dictionary_page_size_limit(16 << 20)
        .build();
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema.into(), properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = vec![ByteArray::from(text); count];
    column
        .typed::<ByteArrayType>()
        .write_batch(&values, None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_small_file_filled_the_memory() {
    let project = Project::new();
    let rows_of_text = format!("{{\"text\":\"{}\"}}\n", "x".repeat(1000));
    for (name, content, expected) in [
        (
            "nulls",
            unfolding("{\"messages\":[", "null,", 3_000_000, "null]}"),
            "64 MiB of memory",
        ),
        (
            "nulls in a list",
            unfolding("[{\"text\":\"a\"},[", "null,", 3_000_000, "null]]"),
            "64 MiB of memory",
        ),
        (
            "one line",
            unfolding("{\"text\":\"", "x", 200_000_000, "\"}"),
            "longer than 16 MiB",
        ),
        (
            "blank lines",
            unfolding("{\"text\":\"a\"}", "\n", 600_000_000, ""),
            "more than 512 MiB",
        ),
        (
            "rows",
            unfolding("", &rows_of_text, 600_000, ""),
            "more than 512 MiB",
        ),
        (
            "Parquet",
            parquet_of(&"x".repeat(1_000_000), 1400),
            "more than 512 MiB",
        ),
    ] {
        assert!(content.len() < 8 << 20, "{name}: {}", content.len());
        let server = Server::start(&project.store());
        let (status, error) =
            submitted(&server, &project, &content, json!({ "maxLength": 8 })).await;
        assert_eq!(status, 400, "{name}");
        assert!(error.contains(expected), "{name}: {error}");
        let peak = peak(&server);
        assert!(peak < 400, "{name}: {peak} MiB");
    }
}
