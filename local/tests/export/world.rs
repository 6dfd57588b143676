//! A trained job, and exports of it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use crate::support::{Project, Server, command};

/// The answer that the job is trained on.
pub const ANSWER: &str = "blue whale";

/// A store that contains a job.
pub struct World {
    pub project: Project,
    pub job: String,
}

impl World {
    /// Trains a job with `more` in its config, on a server with additional `args`.
    pub async fn trained(more: &Value, args: &[&str]) -> Self {
        let project = Project::new();
        let messages = json!([
            { "role": "user", "content": "Which one?" },
            { "role": "assistant", "content": ANSWER },
        ]);
        let rows = vec![json!({ "messages": messages }).to_string(); 8];
        let source = project.dataset("rows.jsonl", rows.join("\n").as_bytes());
        let config = json!({
            "model": "arkor-tiny", "datasetSource": source, "maxSteps": 24, "saveSteps": 8, "batchSize": 4,
            "learningRate": 2e-2, "loraR": 4, "loraAlpha": 8, "evalSteps": 1000,
        });
        let mut config = config;
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let server = Server::from_command(command(&project.store()).args(args));
        let (job, events) = server.complete(&config).await;
        assert_eq!(
            events[events.len() - 2].kind,
            "training.completed",
            "{events:?}"
        );
        Self { project, job }
    }

    pub fn job_dir(&self) -> PathBuf {
        self.project.store().join("jobs").join(&self.job)
    }

    /// A path in the project.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.project.file(name))
    }

    /// Runs an export of the job to `to`.
    pub fn export(&self, to: &str, args: &[&str]) -> Export {
        self.export_of(&self.job, to, args)
    }

    pub fn export_of(&self, job: &str, to: &str, args: &[&str]) -> Export {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_arkor-local"))
            .args(["export", "--job", job, "--store"])
            .arg(self.project.store())
            .arg("--to")
            .arg(self.path(to))
            .args(args)
            .env("HF_HUB_OFFLINE", "1")
            .env("ARKOR_LOCAL_TOKEN", "of another command")
            .output()
            .unwrap();
        Export::from(output)
    }

    /// The answer of a model without sampling. `model` selects it in the request.
    pub async fn answer(&self, model: Value) -> String {
        let server = Server::start(&self.project.store());
        let mut body = json!({
            "messages": [{ "role": "user", "content": "Which one?" }],
            "temperature": 0, "maxTokens": 16, "stream": false,
        });
        body.as_object_mut()
            .unwrap()
            .extend(model.as_object().unwrap().clone());
        let (status, answer) = server.post("/v1/inference/chat", &body).await;
        assert_eq!(status, 200, "{answer}");
        answer["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// The tensors of the base, merged with the adapter in `dir`.
pub fn merged(dir: &Path, scale: f64) -> HashMap<String, Tensor> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/arkor-tiny");
    let load = |path: PathBuf| candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let adapter = load(dir.join("adapter_model.safetensors"));
    let mut merged = HashMap::new();
    for (name, tensor) in load(assets.join("model.safetensors")) {
        let tensor = tensor.to_dtype(candle_core::DType::F32).unwrap();
        let part = |part: &str| {
            let module = name.strip_suffix(".weight").unwrap();
            adapter.get(&format!("base_model.model.{module}.{part}.weight"))
        };
        let added = match (part("lora_A"), part("lora_B")) {
            (Some(a), Some(b)) => (tensor + (b.matmul(a).unwrap() * scale).unwrap()).unwrap(),
            _ => tensor,
        };
        merged.insert(name, added);
    }
    merged
}

/// The output of an export.
pub struct Export {
    pub code: i32,
    pub lines: Vec<Value>,
    pub error: String,
}

impl From<Output> for Export {
    fn from(output: Output) -> Self {
        let text = String::from_utf8(output.stdout).unwrap();
        Self {
            code: output.status.code().unwrap(),
            lines: text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Export {
    /// The last line. Panics if the export failed.
    #[track_caller]
    pub fn done(&self) -> &Value {
        assert_eq!((self.code, self.error.as_str()), (0, ""));
        let last = self.lines.last().unwrap();
        assert_eq!(last["type"], "done");
        last
    }

    #[track_caller]
    pub fn notes(&self) -> Vec<&str> {
        let notes = self.done()["notes"].as_array().unwrap();
        notes.iter().map(|note| note.as_str().unwrap()).collect()
    }
}

/// The names in a directory.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The root mean square of the differences, relative to that of `expected`.
pub fn difference(expected: &Tensor, actual: &Tensor) -> f32 {
    let size = |tensor: &Tensor| {
        let square = tensor.sqr().unwrap().mean_all().unwrap();
        square.to_scalar::<f32>().unwrap().sqrt()
    };
    size(&(actual - expected).unwrap()) / size(expected)
}
