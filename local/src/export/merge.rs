//! The base's tensors with an adapter merged into them, one at a time.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::engine::candle::model::lora::{Lora, LoraPair};
use crate::engine::candle::model::shard::Shard;
use crate::engine::candle::model::{LlamaConfig, weights};
use crate::error::{Result, refused};
use crate::gguf::Gguf;

/// The base's weights.
#[derive(Debug)]
pub enum Files {
    /// The files of a Hugging Face directory.
    Shards(Vec<Shard>),
    /// A GGUF file.
    Gguf(Box<Gguf>),
}

impl Files {
    /// The shape of a tensor. Refuses a tensor that can't be read.
    fn shape(&self, name: &str) -> Result<Option<&[usize]>> {
        match self {
            Self::Gguf(gguf) => Ok(gguf.tensor(name).map(|(_, shape)| shape)),
            Self::Shards(shards) => {
                let shard = shards.iter().find(|shard| shard.tensors.contains_key(name));
                let Some(shard) = shard else { return Ok(None) };
                shard.dtype(name)?;
                Ok(Some(&shard.tensors[name].shape))
            }
        }
    }

    /// Reads a tensor as `f32`.
    fn read(&self, name: &str) -> Result<Tensor> {
        match self {
            Self::Gguf(gguf) => Ok(gguf.read(name)?.dequantize(&Device::Cpu)?),
            Self::Shards(shards) => {
                match shards.iter().find(|shard| shard.tensors.contains_key(name)) {
                    Some(shard) => shard.read(name),
                    None => refused(format!("model: the weight files have no tensor {name}")),
                }
            }
        }
    }
}

/// A base and an adapter that fits it.
#[derive(Debug)]
pub struct Merger {
    /// The base's weights.
    pub files: Files,
    lora: Lora,
}

impl Merger {
    /// Opens the base in `dir`. Refuses an adapter for modules that the base doesn't have.
    pub fn open(dir: &Path, lora: Lora) -> Result<Self> {
        Self::new(Files::Shards(weights::open(dir)?), lora, dir)
    }

    /// Like `open`, for a GGUF file.
    pub fn of_gguf(gguf: Gguf, lora: Lora) -> Result<Self> {
        let path = gguf.path().to_owned();
        Self::new(Files::Gguf(Box::new(gguf)), lora, &path)
    }

    fn new(files: Files, lora: Lora, path: &Path) -> Result<Self> {
        for (module, pair) in &lora.pairs {
            let Some(shape) = files.shape(&format!("{module}.weight"))? else {
                return refused(format!(
                    "adapter: it attaches to {module}, which the base in {} doesn't have. Give the base that it \
                     was trained on with --base-model.",
                    path.display()
                ));
            };
            let (a, b) = (pair.a.dims(), pair.b.dims());
            let fits = matches!((a, b), ([r, input], [out, rank]) if r == rank && *shape == [*out, *input]);
            if !fits {
                return refused(format!(
                    "adapter: its matrices of {module} are {a:?} and {b:?}, the base's is {shape:?}. Give the \
                     base that it was trained on with --base-model."
                ));
            }
        }
        Ok(Self { files, lora })
    }

    /// Refuses a base whose tensors aren't exactly those that its config requires.
    pub fn check(&self, dir: &Path, config: &LlamaConfig) -> Result<()> {
        match &self.files {
            Files::Shards(shards) => weights::check_tensors(dir, config, shards),
            Files::Gguf(gguf) => weights::check_gguf(gguf, config),
        }
    }

    /// Whether the adapter changes a tensor.
    pub fn changes(&self, name: &str) -> bool {
        self.pair(name).is_some()
    }

    /// Returns a tensor as `f32`, with the adapter merged into it.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let base = self.files.read(name)?;
        Ok(match self.pair(name) {
            Some(pair) => (base + (pair.b.matmul(&pair.a)? * pair.scale)?)?,
            None => base,
        })
    }

    fn pair(&self, name: &str) -> Option<&LoraPair> {
        self.lora.pairs.get(name.strip_suffix(".weight")?)
    }
}

/// Refuses values that don't fit into a type of weights.
pub fn check_values(name: &str, values: &Tensor, most: f32) -> Result<()> {
    let values = values.flatten_all()?.to_vec1::<f32>()?;
    match values
        .iter()
        .find(|value| !value.is_finite() || value.abs() > most)
    {
        Some(value) => refused(format!(
            "adapter: {name} has the value {value} once it's merged, which can't be stored. Train again with a \
             smaller learning rate, or export an earlier checkpoint."
        )),
        None => Ok(()),
    }
}
