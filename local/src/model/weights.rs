//! Named tensors. Flow in: safetensors files of a Hugging Face directory (one, or several with an
//! index), or bytes in memory. Flow out: `f32` tensors by name, their shape checked. A module
//! because a wrong file must be an error that names the tensor, not a panic in a matmul.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Tensor, safetensors};
use serde_json::Value;

use super::config::LlamaConfig;
use super::layers::Rope;
use crate::error::{Error, Result, refused};

/// The tensors of a model by their Hugging Face names.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: HashMap<String, Tensor>,
    /// Made once: its tables have a row for each position that the model knows, often very many.
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

    /// From a Hugging Face directory: `model.safetensors`, or the files that
    /// `model.safetensors.index.json` lists.
    pub fn from_dir(dir: &Path) -> Result<Self> {
        let mut tensors = HashMap::new();
        for name in files(dir)? {
            let path = dir.join(&name);
            let bytes = fs::read(&path)
                .map_err(|source| Error::io("can't read the weights", &path, source))?;
            tensors.extend(Self::from_bytes(&bytes)?.tensors);
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
    pub fn rope(&self, config: &LlamaConfig) -> Result<Rope> {
        if let Some(rope) = self.rope.get() {
            return Ok(rope.clone());
        }
        let rope = Rope::new(config, &Device::Cpu)?;
        Ok(self.rope.get_or_init(|| rope).clone())
    }

    /// Number of values in all tensors.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(Tensor::elem_count).sum()
    }
}

/// The weight files of a directory. A name from the index must be a plain file name: it must not
/// lead out of the directory.
fn files(dir: &Path) -> Result<BTreeSet<String>> {
    let index = dir.join("model.safetensors.index.json");
    if !index.exists() {
        return Ok(BTreeSet::from(["model.safetensors".to_owned()]));
    }
    let text =
        fs::read_to_string(&index).map_err(|source| Error::io("can't read", &index, source))?;
    let json: Value = serde_json::from_str(&text)?;
    let Some(map) = json.get("weight_map").and_then(Value::as_object) else {
        return refused(format!("model: {} has no weight_map", index.display()));
    };
    let mut names = BTreeSet::new();
    for name in map.values().filter_map(Value::as_str) {
        if Path::new(name).file_name().and_then(|file| file.to_str()) != Some(name) {
            return refused(format!(
                "model: {} names the file {name:?}",
                index.display()
            ));
        }
        names.insert(name.to_owned());
    }
    Ok(names)
}
