//! A Hub with models and datasets, and servers that only know this Hub.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hub_server::{HubServer, etag};
use crate::support::{Event, Project, Server, command, kinds};

/// The model on the Hub: the built-in base under another name.
pub const MODEL: &str = "acme/tiny";
pub const WEIGHTS: &str = "model.safetensors";

/// A Hub with [`MODEL`], an empty cache, and a project.
pub struct World {
    pub hub: HubServer,
    pub project: Project,
    cache: TempDir,
}

/// The files of a model folder.
pub fn files_of(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// The folder of the built-in base. It contains a README, which no job needs.
fn built_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/arkor-tiny")
}

pub fn weights() -> Vec<u8> {
    fs::read(built_in().join(WEIGHTS)).unwrap()
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            hub: HubServer::start(),
            project: Project::new(),
            cache: tempfile::tempdir().unwrap(),
        };
        world.add_model(MODEL, &files_of(&built_in()));
        world
    }

    /// Adds a model to the Hub, with its weights in LFS.
    pub fn add_model(&self, name: &str, files: &[(String, Vec<u8>)]) {
        let files: Vec<(&str, &[u8], bool)> = files
            .iter()
            .map(|(path, content)| {
                let path = path.as_str();
                (path, content.as_slice(), path.ends_with(".safetensors"))
            })
            .collect();
        self.hub.add(&format!("models/{name}"), &files);
    }

    /// The program with the project's store, this Hub, and its own cache.
    pub fn command(&self) -> Command {
        self.command_for(&self.project)
    }

    /// Like `command`, with another project's store.
    pub fn command_for(&self, project: &Project) -> Command {
        let mut command = command(&project.store());
        for name in [
            "HF_HUB_OFFLINE",
            "TRANSFORMERS_OFFLINE",
            "HF_TOKEN",
            "HUGGING_FACE_HUB_TOKEN",
            "HF_TOKEN_PATH",
        ] {
            command.env_remove(name);
        }
        command
            .env("HF_ENDPOINT", &self.hub.url)
            // A token might be in this folder.
            .env("HF_HOME", self.cache.path())
            .env("HF_HUB_CACHE", self.cache.path());
        command
    }

    pub fn start(&self) -> Server {
        Server::from_command(&mut self.command())
    }

    /// A config for [`MODEL`] with `more` fields.
    pub fn config(&self, more: &Value) -> Value {
        let mut config = self.project.config(&json!({ "model": MODEL }));
        let fields = config.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        config
    }

    /// The files that were requested from the Hub, including repeated requests.
    pub fn files_asked(&self) -> Vec<String> {
        let paths = self.hub.asked().into_iter().map(|asked| asked.path);
        paths
            .filter_map(|path| {
                let (_, file) = path.split_once("/resolve/")?;
                Some(file.split_once('/')?.1.to_owned())
            })
            .collect()
    }

    /// The first byte that each request for a file asks for. 0 for a request without a range.
    pub fn starts(&self, file: &str) -> Vec<u64> {
        let asked = self.hub.asked_for(&format!("/{file}"));
        let start = |range: &str| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        };
        asked
            .iter()
            .map(|asked| {
                asked
                    .header("range")
                    .map_or(0, |range| start(range).unwrap())
            })
            .collect()
    }

    /// The blob of the model's weights.
    pub fn blob(&self) -> PathBuf {
        let blobs = self.cache.path().join("models--acme--tiny/blobs");
        blobs.join(etag(&weights(), true))
    }

    /// How many bytes of the weights a partial download has on disk.
    pub fn incomplete(&self) -> u64 {
        let file = fs::metadata(self.blob().with_extension("incomplete"));
        file.unwrap().len()
    }

    pub fn job_dir(&self, id: &str) -> PathBuf {
        self.project.store().join("jobs").join(id)
    }
}

/// Submits a job that must be refused. Returns the reason, and checks that no job was created.
pub async fn refusal(server: &Server, config: &Value) -> String {
    let (_, before) = server.get("/v1/jobs").await;
    let body = json!({ "name": "t", "config": config });
    let (status, answer) = server.post("/v1/jobs", &body).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(server.get("/v1/jobs").await.1, before);
    answer["error"].as_str().unwrap().to_owned()
}

/// Checks that a run completed, with every event once and in order.
pub fn expect_completed(events: &[Event]) {
    let last = &events[events.len() - 2];
    assert_eq!(last.kind, "training.completed", "{last:?}");
    let ids: Vec<&str> = events
        .iter()
        .filter_map(|event| event.id.as_deref())
        .collect();
    let expected: Vec<String> = (1..events.len()).map(|id| id.to_string()).collect();
    assert_eq!(ids, expected);
    let mut kinds = kinds(events);
    kinds.retain(|kind| *kind == "training.started");
    assert_eq!(kinds.len(), 1);
}

/// The error of a failed run.
pub fn failure(events: &[Event]) -> String {
    let last = &events[events.len() - 2];
    assert_eq!(last.kind, "training.failed", "{last:?}");
    last.data["error"].as_str().unwrap().to_owned()
}

/// The metadata of `training.started`.
pub fn metadata(events: &[Event]) -> &Value {
    let mut events = events.iter();
    let started = events.find(|event| event.kind == "training.started");
    &started.unwrap().data["metadata"]
}

pub fn losses(events: &[Event]) -> Vec<(Value, Value)> {
    let logs = events.iter().filter(|event| event.kind == "training.log");
    logs.map(|event| (event.data["loss"].clone(), event.data["evalLoss"].clone()))
        .collect()
}
