//! The weights of a model: named `f32` tensors, their shapes checked against the config.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Tensor, safetensors};
use serde_json::Value;

use super::config::LlamaConfig;
use super::rope::Rope;
use super::shard::Shard;
use super::target;
use crate::error::{Result, refused};
use crate::folder;
use crate::stop::Stop;

/// The tensors of a model by their Hugging Face names.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: HashMap<String, Tensor>,
    /// Shared by all models with these weights: its tables grow with the longest text.
    rope: Arc<OnceLock<Rope>>,
}

impl Weights {
    /// From tensors that are already there.
    #[must_use]
    pub fn from_tensors(tensors: HashMap<String, Tensor>) -> Self {
        Self {
            tensors,
            rope: Arc::default(),
        }
    }

    /// From the content of one safetensors file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut tensors = HashMap::new();
        for (name, tensor) in safetensors::load_buffer(bytes, &Device::Cpu)? {
            tensors.insert(name, tensor.to_dtype(DType::F32)?);
        }
        Ok(Self::from_tensors(tensors))
    }

    /// Whether the weights in a Hugging Face directory are those of a model of this shape. Only the
    /// files' headers are read: cheap enough for a request.
    pub fn check(dir: &Path, config: &LlamaConfig) -> Result<()> {
        checked(dir, config).map(drop)
    }

    /// From a Hugging Face directory. `progress` gets how many tensors are loaded, and how many there are.
    pub fn from_dir(
        dir: &Path,
        config: &LlamaConfig,
        stop: &dyn Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let shards = checked(dir, config)?;
        let mut tensors = HashMap::new();
        let names = target::tensors(config);
        let total = names.len() as u64;
        for (done, (name, _)) in names.into_iter().enumerate() {
            stop.check()?;
            progress(done as u64, total);
            if let Some(shard) = shards
                .iter()
                .find(|shard| shard.tensors.contains_key(&name))
            {
                let tensor = shard.read(&name)?;
                tensors.insert(name, tensor);
            }
        }
        Ok(Self::from_tensors(tensors))
    }

    /// One tensor. Errors when it is missing or its shape is not `shape`.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.tensors.get(name) {
            None => refused(format!("model: the weight files have no tensor {name}")),
            Some(tensor) if tensor.dims() != shape => refused(format!(
                "model: the tensor {name} has the shape {:?}, config.json says {shape:?}",
                tensor.dims()
            )),
            Some(tensor) => Ok(tensor.clone()),
        }
    }

    /// The rotary embedding of the model that these weights are of.
    #[must_use]
    pub fn rope(&self, config: &LlamaConfig) -> Rope {
        self.rope.get_or_init(|| Rope::new(config)).clone()
    }

    /// Memory that all tensors take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        let bytes: usize = self.tensors.values().map(bytes).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Number of values.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(Tensor::elem_count).sum()
    }
}

/// The weight files of a directory, which fit into memory.
fn checked(dir: &Path, config: &LlamaConfig) -> Result<Vec<Shard>> {
    let shards = open(dir)?;
    check_tensors(dir, config, &shards)?;
    Shard::check_memory(&shards)?;
    Ok(shards)
}

/// The weight files of a directory.
pub fn open(dir: &Path) -> Result<Vec<Shard>> {
    let files = files(dir)?;
    let open = |name: String| Shard::open(&dir.join(name), "model");
    files.into_iter().map(open).collect()
}

/// Refuses weight files that don't have exactly the tensors that the config asks for.
pub fn check_tensors(dir: &Path, config: &LlamaConfig, shards: &[Shard]) -> Result<()> {
    let expected: HashMap<String, Vec<usize>> = target::tensors(config).into_iter().collect();
    for (name, shape) in &expected {
        let Some(shard) = shards.iter().find(|shard| shard.tensors.contains_key(name)) else {
            return refused(format!(
                "model: the weight files in {} have no tensor {name}",
                dir.display()
            ));
        };
        shard.dtype(name)?;
        if shard.tensors[name].shape != *shape {
            return shard.refuse(&format!(
                "the tensor {name} has the shape {:?}, config.json says {shape:?}",
                shard.tensors[name].shape
            ));
        }
    }
    for shard in shards {
        if let Some(name) = shard
            .tensors
            .keys()
            .find(|name| !expected.contains_key(*name) && !is_idle(name, config))
        {
            return shard.refuse(&format!(
                "the tensor {name} is none of the model that config.json describes, so it would be ignored"
            ));
        }
    }
    Ok(())
}

/// What weight files may hold although the model is complete without it.
fn is_idle(name: &str, config: &LlamaConfig) -> bool {
    name.ends_with("rotary_emb.inv_freq")
        || (name == "lm_head.weight" && config.tie_word_embeddings)
}

/// The weight files of a directory. As in transformers, a whole file counts before an index. A name
/// from the index must be a plain file name: it must not lead out of the directory.
fn files(dir: &Path) -> Result<BTreeSet<String>> {
    const WHOLE: &str = "model.safetensors";
    const INDEX: &str = "model.safetensors.index.json";
    if dir.join(WHOLE).exists() {
        return Ok([WHOLE.to_owned()].into());
    }
    if !dir.join(INDEX).exists() {
        return refused(without_weights(dir));
    }
    let json = folder::read_json(dir, INDEX)?;
    let Some(map) = json.get("weight_map").and_then(Value::as_object) else {
        return refused(format!(
            "model: {} has no weight_map",
            dir.join(INDEX).display()
        ));
    };
    let mut names = BTreeSet::new();
    for name in map.values() {
        let name = name.as_str().unwrap_or_default();
        if Path::new(name).file_name().and_then(|file| file.to_str()) != Some(name) {
            return refused(format!(
                "model: {} names the file {name:?}",
                dir.join(INDEX).display()
            ));
        }
        if !dir.join(name).exists() {
            return refused(format!(
                "model: {} names the shard {name}, which isn't there. Download the model again.",
                dir.join(INDEX).display()
            ));
        }
        names.insert(name.to_owned());
    }
    Ok(names)
}

/// Says which weights there are instead.
fn without_weights(dir: &Path) -> String {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let other = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            let kind = Path::new(name).extension().and_then(|kind| kind.to_str());
            matches!(kind, Some("bin" | "gguf" | "pt" | "pth" | "h5" | "msgpack"))
        })
        .min();
    let dir = dir.display();
    match other {
        Some(name) => format!(
            "model: {dir} has its weights as {name}, only safetensors is supported. Save the model as safetensors."
        ),
        None => format!("model: {dir} has no model.safetensors"),
    }
}
