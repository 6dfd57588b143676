//! Where a dataset comes from. Flows in: a config's `datasetSource`. Flow out: the bytes of a file.
//! A module because it is the only place that reads files and addresses that a client names.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use reqwest::Url;
use serde_json::Value;

use super::rows::kind;
use crate::error::{Error, Result, refused};

/// A dataset may be at most this large, in bytes.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// A download may take at most this long: the SDK gives a submission up after 60 s, and should get
/// the reason.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(50);

/// A dataset that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetSource {
    /// A file on this machine.
    File(PathBuf),
    /// A file on a server, with the token that it asks for.
    Http(Url, Option<String>),
}

impl DatasetSource {
    /// Reads a `datasetSource`. Refuses what can't be read here.
    pub fn from_json(value: &Value) -> Result<Self> {
        let Some(fields) = value.as_object() else {
            return refused(format!(
                "datasetSource must be an object, it is {}",
                kind(value)
            ));
        };
        match fields.get("type").and_then(Value::as_str) {
            Some("blob") => {}
            Some("huggingface") => {
                return refused(
                    "datasetSource.type: \"huggingface\" is not supported by this version of the local \
                     backend. Save the dataset as JSONL and use { type: \"blob\", url: \"file:///...\" }.",
                );
            }
            _ => return refused("datasetSource.type must be \"blob\""),
        }
        let Some(text) = fields.get("url").and_then(Value::as_str) else {
            return refused("datasetSource.url must be a string: file:// or http(s)://");
        };
        let token = match fields.get("token") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => Some(token.clone()),
            Some(other) => {
                return refused(format!(
                    "datasetSource.token must be a string, it is {}",
                    kind(other)
                ));
            }
        };
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => {
                return refused(format!("datasetSource.url: {text:?} is no URL: {error}"));
            }
        };
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::File(path)),
                Err(()) => refused(format!(
                    "datasetSource.url: {text:?} is no local file. Use an absolute path."
                )),
            },
            "http" | "https" => Ok(Self::Http(url, token)),
            other => refused(format!(
                "datasetSource.url: {other}:// is not supported. Use file:// or http(s)://."
            )),
        }
    }

    /// Reads it. Every failure is a refusal: the run can't start.
    pub async fn fetch(&self) -> Result<Vec<u8>> {
        match self {
            Self::File(path) => {
                let failed = |error: std::io::Error| {
                    Error::Refused(format!(
                        "datasetSource.url: can't read {}: {error}",
                        path.display()
                    ))
                };
                let length = tokio::fs::metadata(path).await.map_err(failed)?.len();
                if length > MAX_BYTES as u64 {
                    return too_large();
                }
                tokio::fs::read(path).await.map_err(failed)
            }
            Self::Http(url, token) => {
                let download = download(url, token.as_deref());
                match tokio::time::timeout(DOWNLOAD_LIMIT, download).await {
                    Ok(result) => result,
                    Err(_) => refused(format!(
                        "datasetSource.url: no complete answer within {DOWNLOAD_LIMIT:?}"
                    )),
                }
            }
        }
    }
}

fn too_large<T>() -> Result<T> {
    refused(format!(
        "datasetSource.url: the dataset is larger than {MAX_BYTES} bytes"
    ))
}

async fn download(url: &Url, token: Option<&str>) -> Result<Vec<u8>> {
    let failed = |error: reqwest::Error| {
        Error::Refused(format!(
            "datasetSource.url: can't download the dataset: {}",
            chain(&error)
        ))
    };
    let mut client = reqwest::Client::builder();
    if matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        client = client.no_proxy();
    }
    let mut request = client.build().map_err(failed)?.get(url.clone());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return refused(format!(
            "datasetSource.url: the server answered {}",
            answer.status()
        ));
    }
    let mut bytes = Vec::new();
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
        if bytes.len() > MAX_BYTES {
            return too_large();
        }
    }
    Ok(bytes)
}

/// An error and what caused it: reqwest's own text stops before the reason.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;

    #[test]
    fn files_and_web_addresses_are_accepted() {
        let source =
            DatasetSource::from_json(&json!({ "type": "blob", "url": "file:///a/b%20c.jsonl" }));
        if cfg!(unix) {
            assert_eq!(
                source.unwrap(),
                DatasetSource::File(PathBuf::from("/a/b c.jsonl"))
            );
        }
        let source = DatasetSource::from_json(
            &json!({ "type": "blob", "url": "https://x.example/a", "token": "t" }),
        );
        assert!(matches!(source.unwrap(), DatasetSource::Http(_, Some(token)) if token == "t"));
    }

    #[test]
    fn everything_else_is_refused_by_field() {
        for (source, field) in [
            (json!("file:///a"), "datasetSource must be"),
            (
                json!({ "type": "huggingface", "name": "a/b" }),
                "datasetSource.type",
            ),
            (json!({ "type": "blob" }), "datasetSource.url"),
            (
                json!({ "type": "blob", "url": "s3://bucket/key" }),
                "datasetSource.url",
            ),
            (
                json!({ "type": "blob", "url": "data.jsonl" }),
                "datasetSource.url",
            ),
            (
                json!({ "type": "blob", "url": "http://x", "token": 1 }),
                "datasetSource.token",
            ),
        ] {
            let error = DatasetSource::from_json(&source).unwrap_err();
            assert!(
                error.is_refusal() && error.to_string().starts_with(field),
                "{error}"
            );
        }
    }
}
