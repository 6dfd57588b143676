//! The source of a dataset: a config's `datasetSource`.

use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::hub::HubDataset;
use crate::error::{Result, refused};

/// The source of a dataset that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetSource {
    /// A single file.
    Blob(Blob),
    /// A dataset on the Hugging Face Hub.
    Hub(HubDataset),
}

/// A dataset of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// A file on this machine.
    File(PathBuf),
    /// A file on a server, with the token that the server requires.
    Http(Url, Option<String>),
}

/// A config's `datasetSource`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFields {
    r#type: Kind,
    url: Option<String>,
    token: Option<String>,
    name: Option<String>,
    subset: Option<String>,
    split: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Blob,
    HuggingFace,
}

impl SourceFields {
    /// Reads the source, and the `datasetSplit` next to it. Refuses one that can't be read here.
    pub fn dataset(&self, split: Option<&str>) -> Result<DatasetSource> {
        let Self {
            r#type,
            url,
            token,
            name,
            subset,
            split: own,
        } = self;
        let (kind, others) = match r#type {
            Kind::Blob => ("blob", [("name", name), ("subset", subset), ("split", own)]),
            Kind::HuggingFace => ("huggingface", [("url", url), ("token", token), ("", &None)]),
        };
        if let Some((other, _)) = others.iter().find(|(_, value)| value.is_some()) {
            return refused(format!(
                "datasetSource.{other} means nothing for the type {kind:?}. Remove it."
            ));
        }
        match r#type {
            Kind::Blob => self.blob(split).map(DatasetSource::Blob),
            Kind::HuggingFace => self.hub(split).map(DatasetSource::Hub),
        }
    }

    fn blob(&self, split: Option<&str>) -> Result<Blob> {
        if let Some(name) = split.filter(|name| *name != "train") {
            return refused(format!(
                "datasetSplit: {name:?} is not supported by the local backend: a file is one split. \
                 Remove it, or use \"train\"."
            ));
        }
        let header = self.token.as_deref().map(HeaderValue::from_str);
        if matches!(header, Some(Err(_))) {
            return refused("datasetSource.token has a character that no header can have");
        }
        let Some(text) = &self.url else {
            return refused("datasetSource.url is missing: give a file:// or http(s):// URL");
        };
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => {
                // Leave out the URL, because a part of it may be a password.
                return refused(format!(
                    "datasetSource.url is no URL: {error}. A file needs file:// and its absolute path."
                ));
            }
        };
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Blob::File(path)),
                Err(()) => refused(
                    "datasetSource.url is no file of this machine. Use file:/// and an absolute path.",
                ),
            },
            "http" | "https" => Ok(Blob::Http(url, self.token.clone())),
            other => refused(format!(
                "datasetSource.url: {other}:// is not supported. Use file:// or http(s)://."
            )),
        }
    }

    fn hub(&self, split: Option<&str>) -> Result<HubDataset> {
        let fields = [
            ("name", &self.name),
            ("subset", &self.subset),
            ("split", &self.split),
        ];
        if let Some((name, _)) = fields
            .iter()
            .find(|(_, value)| value.as_deref() == Some(""))
        {
            return refused(format!("datasetSource.{name} must not be empty"));
        }
        let Some(name) = self.name.clone() else {
            return refused("datasetSource.name is missing: name a dataset of Hugging Face's");
        };
        let split = match (&self.split, split) {
            (Some(own), Some(other)) if own != other => {
                return refused(format!(
                    "datasetSplit: {other:?} is not datasetSource.split, {own:?}. Remove one of them."
                ));
            }
            (Some(own), _) => own,
            (None, other) => other.unwrap_or("train"),
        };
        Ok(HubDataset {
            name,
            subset: self.subset.clone(),
            split: split.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::{Value, json};

    use super::*;
    use crate::request_fields;

    /// Reads a config with this source and this split.
    fn read(source: &Value, split: Option<&str>) -> Result<DatasetSource> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Config {
            dataset_source: SourceFields,
        }
        let config: Config = request_fields::read(&json!({ "datasetSource": source }))?;
        config.dataset_source.dataset(split)
    }

    #[test]
    fn files_and_web_addresses_are_accepted() {
        let source = read(
            &json!({ "type": "blob", "url": "file:///a/b%20c.jsonl" }),
            None,
        );
        if cfg!(unix) {
            assert_eq!(
                source.unwrap(),
                DatasetSource::Blob(Blob::File(PathBuf::from("/a/b c.jsonl")))
            );
        }
        let source = read(
            &json!({ "type": "blob", "url": "https://x.example/a", "token": "t" }),
            Some("train"),
        );
        assert!(
            matches!(source.unwrap(), DatasetSource::Blob(Blob::Http(_, Some(token))) if token == "t")
        );
    }

    #[test]
    fn everything_else_is_refused_by_field() {
        for (source, field) in [
            (json!("file:///a"), "datasetSource: "),
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
            (
                json!({ "type": "blob", "url": "http://x", "split": "test" }),
                "datasetSource.split",
            ),
            (
                json!({ "type": "huggingface", "name": "a/b", "revision": "v2" }),
                "datasetSource.revision",
            ),
        ] {
            let error = read(&source, Some("train")).unwrap_err();
            assert!(
                error.is_refusal() && error.to_string().starts_with(field),
                "{error}"
            );
        }
    }

    #[test]
    fn a_split_is_named_in_the_source_or_beside_it() {
        let split = |source: Value, beside: Option<&str>| match read(&source, beside) {
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
