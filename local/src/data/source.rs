//! Where a dataset comes from: a config's `datasetSource`.

use std::path::PathBuf;

use reqwest::Url;
use serde_json::{Map, Value};

use super::hub::HubDataset;
use crate::error::{Result, refused};
use crate::json::kind;

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
