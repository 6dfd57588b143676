//! A model's folder that a test can damage, and the response that is expected for it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Server;

/// The longest time until a refusal, which must come before large allocations and computations.
pub const LONGEST: Duration = Duration::from_secs(20);

/// The built-in model as a folder.
pub fn folder() -> TempDir {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/arkor-tiny");
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        fs::copy(assets.join(name), dir.path().join(name)).unwrap();
    }
    dir
}

pub fn edit(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

pub fn set(dir: &Path, file: &str, field: &str, value: Value) {
    edit(dir, file, |json| json[field] = value);
}

pub async fn chat(server: &Server, model: &str) -> (u16, String) {
    let body = json!({
        "baseModel": model, "messages": [{ "role": "user", "content": "hi" }],
        "maxTokens": 1, "stream": false,
    });
    let (status, answer) = server.post("/v1/inference/chat", &body).await;
    (
        status,
        answer["error"].as_str().unwrap_or_default().to_owned(),
    )
}

/// Checks that a response is a 400 whose error contains all of `parts`, and that it came soon.
#[track_caller]
pub fn expect_refused(
    what: &str,
    (status, error): &(u16, String),
    started: Instant,
    parts: &[&str],
) {
    assert_eq!(*status, 400, "{what}: {error}");
    for part in parts {
        assert!(error.contains(part), "{what}: {error}");
    }
    assert!(
        error.len() < 1000,
        "{what}: a dump of {} bytes",
        error.len()
    );
    assert!(
        started.elapsed() < LONGEST,
        "{what}: {:?}",
        started.elapsed()
    );
}

/// Rewrites the header of the weights, and appends `more` bytes to the data.
pub fn edit_header(dir: &Path, change: impl FnOnce(&mut Value), more: &[u8]) {
    let path = dir.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let (header, data) = bytes[8..].split_at(length);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    change(&mut header);
    let header = header.to_string();
    let size = u64::try_from(header.len()).unwrap().to_le_bytes();
    fs::write(path, [&size, header.as_bytes(), data, more].concat()).unwrap();
}
