//! A server, training data, and a reader of event streams.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::worker::worker;

/// A running server. It's killed when it's dropped.
pub struct Server {
    pub child: Child,
    pub url: String,
    pub token: String,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with a store and open pipes. Its token and its engine don't come from the environment.
pub fn command(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arkor-local"));
    command
        .arg("--store")
        .arg(store)
        .env_remove("ARKOR_LOCAL_TOKEN")
        .env_remove("ARKOR_ENGINE")
        // Models that aren't on this machine must not be looked up on the real Hub.
        .env("HF_HUB_OFFLINE", "1");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The program with the tests' worker.
pub fn with_worker(store: &Path, args: &[&str]) -> Command {
    let mut command = command(store);
    command.arg("--worker").arg(worker());
    for arg in args {
        command.args(["--worker-arg", arg]);
    }
    command
}

/// A client that doesn't use a proxy.
pub fn client() -> Client {
    // An error means that another test has already installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

impl Server {
    pub fn start(store: &Path) -> Self {
        Self::from_command(&mut command(store))
    }

    /// Starts the program, and waits for the line that tells that it's ready.
    pub fn from_command(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        // Nobody reads stderr during the test, but its output is short.
        Self {
            child,
            url: text("url"),
            token: text("token"),
            client: client(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.request(Method::POST, path).body(body.to_string());
        answer(request.send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Submits a job and returns its id.
    pub async fn submit(&self, config: &Value) -> String {
        let (status, body) = self
            .post(
                "/v1/jobs?projectSlug=demo",
                &json!({ "name": "t", "config": config }),
            )
            .await;
        assert_eq!(status, 201, "{body}");
        body["job"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn events(&self, job: &str, last_event_id: Option<&str>) -> Events {
        let mut request = self.request(Method::GET, &format!("/v1/jobs/{job}/events/stream"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            response,
            buffer: Vec::new(),
        }
    }

    /// Submits a job and waits until it's over. Returns its id and its events.
    pub async fn complete(&self, config: &Value) -> (String, Vec<Event>) {
        let id = self.submit(config).await;
        let events = self.events(&id, None).await.rest().await;
        (id, events)
    }

    /// Closes stdin and waits until the server exits. Returns its status and its output on stderr.
    pub fn wait(mut self) -> (ExitStatus, String) {
        drop::<Option<ChildStdin>>(self.child.stdin.take());
        let mut text = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        (self.child.wait().unwrap(), text)
    }
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// An event, or a bare `end`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub kind: String,
    pub data: Value,
}

/// An open event stream.
pub struct Events {
    response: Response,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event that isn't a ping. `None` if the stream is closed.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let event = parse(std::str::from_utf8(&block).unwrap());
                if event.kind != "ping" {
                    return Some(event);
                }
                continue;
            }
            // A server that was killed closes the connection in the middle of a response.
            let chunk = self.response.chunk().await.unwrap_or(None)?;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// Waits for an event of this kind.
    pub async fn until(&mut self, kind: &str) -> Event {
        while let Some(event) = self.next().await {
            if event.kind == kind {
                return event;
            }
        }
        panic!("the stream ended before {kind}");
    }

    /// All events up to the end of the stream.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Event {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    Event {
        id: field("id: ").map(str::to_owned),
        kind: field("event: ").unwrap().to_owned(),
        data: arkor_local::wire::value(field("data: ").unwrap().as_bytes()).unwrap(),
    }
}

pub fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// A temporary directory with a store and a dataset.
pub struct Project {
    dir: TempDir,
}

impl Project {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rows: Vec<String> = (0..24)
            .map(|number| {
                let messages = json!([
                    { "role": "user", "content": format!("Question {number}?") },
                    { "role": "assistant", "content": if number % 2 == 0 { "even" } else { "odd" } },
                ]);
                json!({ "messages": messages }).to_string()
            })
            .collect();
        std::fs::write(dir.path().join("rows.jsonl"), rows.join("\n")).unwrap();
        Self { dir }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// The path of a file.
    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Writes a file and returns its `datasetSource`.
    pub fn dataset(&self, name: &str, content: &[u8]) -> Value {
        std::fs::write(self.dir.path().join(name), content).unwrap();
        self.source(name)
    }

    fn source(&self, name: &str) -> Value {
        let url = reqwest::Url::from_file_path(self.dir.path().join(name)).unwrap();
        json!({ "type": "blob", "url": url.as_str() })
    }

    /// A config with `more` fields.
    pub fn config(&self, more: &Value) -> Value {
        let mut config = json!({
            "model": "arkor-tiny",
            "datasetSource": self.source("rows.jsonl"),
            "maxSteps": 4,
            "batchSize": 4,
            "loraR": 4,
            "learningRate": 3e-3,
        });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        config
    }

    /// The config of a run that doesn't end during a test.
    pub fn endless(&self) -> Value {
        self.config(&json!({ "maxSteps": 1_000_000, "saveSteps": 2, "evalSteps": 1_000_000 }))
    }
}

/// The built-in base as a Hugging Face directory, with an index and a single weights file.
pub fn directory() -> TempDir {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/arkor-tiny");
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(assets.join(name), dir.path().join(name)).unwrap();
    }
    let weights = "model-00001-of-00001.safetensors";
    std::fs::copy(assets.join("model.safetensors"), dir.path().join(weights)).unwrap();
    let names = candle_core::safetensors::load(dir.path().join(weights), &candle_core::Device::Cpu);
    let map: serde_json::Map<String, Value> = names
        .unwrap()
        .into_keys()
        .map(|name| (name, json!(weights)))
        .collect();
    let index = json!({ "metadata": {}, "weight_map": map }).to_string();
    std::fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    dir
}
