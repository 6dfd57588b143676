//! Where a dataset comes from. Flows in: a config's `datasetSource`. Flow out: the bytes of a file.
//! A module because it is the only place that reads files and addresses that a client names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use reqwest::Url;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use super::hub::HubDataset;
use super::rows::{File, kind};
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
    /// In Hugging Face's cache folder.
    Hub(HubDataset),
}

impl DatasetSource {
    /// Reads a `datasetSource`, and the `datasetSplit` beside it. Refuses what can't be read here.
    pub fn from_json(value: &Value, split: Option<&str>) -> Result<Self> {
        let Some(fields) = value.as_object() else {
            return refused(format!(
                "datasetSource must be an object, it is {}",
                kind(value)
            ));
        };
        match fields.get("type").and_then(Value::as_str) {
            Some("blob") => {}
            Some("huggingface") => return hub(fields, split).map(Self::Hub),
            _ => return refused("datasetSource.type must be \"blob\" or \"huggingface\""),
        }
        if let Some(name) = split.filter(|name| *name != "train") {
            return refused(format!(
                "datasetSplit: {name:?} is not supported by the local backend: a file is one split. \
                 Remove it, or use \"train\"."
            ));
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
                // Without the text: a part of it may be a password.
                return refused(format!("datasetSource.url is no URL: {error}"));
            }
        };
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::File(path)),
                Err(()) => refused(
                    "datasetSource.url is no file of this machine. Use file:/// and an absolute path.",
                ),
            },
            "http" | "https" => Ok(Self::Http(url, token)),
            other => refused(format!(
                "datasetSource.url: {other}:// is not supported. Use file:// or http(s)://."
            )),
        }
    }

    /// Reads it. Every failure is a refusal: the run can't start.
    pub async fn fetch(&self) -> Result<Vec<File>> {
        let bytes = match self {
            Self::File(path) => {
                let failed = |error: std::io::Error| {
                    Error::Refused(format!(
                        "datasetSource.url: can't read {}: {error}",
                        path.display()
                    ))
                };
                // A device or a pipe may have no end, and no length.
                let metadata = tokio::fs::metadata(path).await.map_err(failed)?;
                if !metadata.is_file() {
                    return refused(format!(
                        "datasetSource.url: {} is no regular file",
                        path.display()
                    ));
                }
                if metadata.len() > MAX_BYTES as u64 {
                    return too_large();
                }
                let bytes = read_file(path, MAX_BYTES).await.map_err(failed)?;
                // It may have grown since.
                if bytes.len() > MAX_BYTES {
                    return too_large();
                }
                bytes
            }
            Self::Http(url, token) => {
                let download = download(url, token.as_deref());
                match tokio::time::timeout(DOWNLOAD_LIMIT, download).await {
                    Ok(result) => result?,
                    Err(_) => {
                        return refused(format!(
                            "datasetSource.url: no complete answer within {DOWNLOAD_LIMIT:?}"
                        ));
                    }
                }
            }
            Self::Hub(dataset) => return read_all(dataset.files()?).await,
        };
        Ok(vec![File {
            name: None,
            bytes: bytes.into(),
        }])
    }
}

/// A dataset of Hugging Face's: `name`, and perhaps `subset` and `split`.
fn hub(fields: &Map<String, Value>, split: Option<&str>) -> Result<HubDataset> {
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(other) => refused(format!(
            "datasetSource.{name} must be a string that is not empty, it is {other}"
        )),
    };
    let Some(name) = text("name")? else {
        return refused("datasetSource.name is missing: name a dataset of Hugging Face's");
    };
    let own = text("split")?;
    let split = match (own, split) {
        (Some(own), Some(other)) if own != other => {
            return refused(format!(
                "datasetSplit: {other:?} is not datasetSource.split, {own:?}. Remove one of them."
            ));
        }
        (Some(own), _) => own,
        (None, other) => other.unwrap_or("train").to_owned(),
    };
    Ok(HubDataset {
        name,
        subset: text("subset")?,
        split,
    })
}

async fn read_all(paths: Vec<PathBuf>) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut total = 0;
    for path in paths {
        let bytes = read_file(&path, MAX_BYTES - total).await.map_err(|error| {
            Error::Refused(format!(
                "datasetSource.name: can't read {}: {error}",
                path.display()
            ))
        })?;
        total += bytes.len();
        if total > MAX_BYTES {
            return refused(format!(
                "datasetSource.name: the files of this split are larger than {MAX_BYTES} bytes"
            ));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push(File {
            name: Some(name.into_owned()),
            bytes: bytes.into(),
        });
    }
    Ok(files)
}

/// Reads a file, and no further than one byte beyond `limit`.
async fn read_file(path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn too_large<T>() -> Result<T> {
    refused(format!(
        "datasetSource.url: the dataset is larger than {MAX_BYTES} bytes"
    ))
}

async fn download(url: &Url, token: Option<&str>) -> Result<Vec<u8>> {
    // Without the URL: its query may be a signature.
    let failed = |error: reqwest::Error| {
        Error::Refused(format!(
            "datasetSource.url: can't download the dataset from {}: {}",
            url.host_str().unwrap_or_default(),
            chain(&error.without_url())
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
        let source = DatasetSource::from_json(
            &json!({ "type": "blob", "url": "file:///a/b%20c.jsonl" }),
            None,
        );
        if cfg!(unix) {
            assert_eq!(
                source.unwrap(),
                DatasetSource::File(PathBuf::from("/a/b c.jsonl"))
            );
        }
        let source = DatasetSource::from_json(
            &json!({ "type": "blob", "url": "https://x.example/a", "token": "t" }),
            Some("train"),
        );
        assert!(matches!(source.unwrap(), DatasetSource::Http(_, Some(token)) if token == "t"));
    }

    #[test]
    fn everything_else_is_refused_by_field() {
        for (source, field) in [
            (json!("file:///a"), "datasetSource must be"),
            (json!({ "type": "huggingface" }), "datasetSource.name"),
            (
                json!({ "type": "huggingface", "name": "a/b", "subset": 1 }),
                "datasetSource.subset",
            ),
            (
                json!({ "type": "huggingface", "name": "a/b", "split": "test" }),
                "datasetSplit",
            ),
            (json!({ "type": "s3" }), "datasetSource.type"),
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
            let error = DatasetSource::from_json(&source, Some("train")).unwrap_err();
            assert!(
                error.is_refusal() && error.to_string().starts_with(field),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_refused_without_a_secret_and_without_end() {
        // As `main` does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let download = Url::parse("http://user:hunter2@127.0.0.1:1/a?sig=SECRET").unwrap();
        let sources = [
            (DatasetSource::Http(download, None), "from 127.0.0.1: "),
            (DatasetSource::File("/dev/zero".into()), "no regular file"),
        ];
        for (source, expected) in sources {
            let error = source.fetch().await.err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(
                !error.contains("SECRET") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_split_is_named_in_the_source_or_beside_it() {
        let split =
            |source: Value, beside: Option<&str>| match DatasetSource::from_json(&source, beside) {
                Ok(DatasetSource::Hub(dataset)) => dataset.split,
                other => panic!("{other:?}"),
            };
        let source = json!({ "type": "huggingface", "name": "a/b" });
        assert_eq!(split(source.clone(), None), "train");
        assert_eq!(split(source, Some("test")), "test");
        let source = json!({ "type": "huggingface", "name": "a/b", "split": "test" });
        assert_eq!(split(source, None), "test");
    }
}
