//! The base's tensors with an adapter added to them, one at a time.

use std::path::Path;

use candle_core::Tensor;

use crate::engine::candle::model::lora::{Lora, LoraPair};
use crate::engine::candle::model::shard::Shard;
use crate::engine::candle::model::weights;
use crate::error::{Result, refused};

/// A base and an adapter that fits it.
#[derive(Debug)]
pub struct Merger {
    /// The base's weight files.
    pub shards: Vec<Shard>,
    lora: Lora,
}

impl Merger {
    /// Opens the base in `dir`. Refuses an adapter that attaches to what it doesn't have.
    pub fn open(dir: &Path, lora: Lora) -> Result<Self> {
        let merger = Self {
            shards: weights::open(dir)?,
            lora,
        };
        for (module, pair) in &merger.lora.pairs {
            let name = format!("{module}.weight");
            let Some(shard) = merger.shard(&name) else {
                return refused(format!(
                    "adapter: it attaches to {module}, which the base in {} doesn't have. Give the base that it \
                     was trained on with --base-model.",
                    dir.display()
                ));
            };
            shard.dtype(&name)?;
            let (a, b, shape) = (pair.a.dims(), pair.b.dims(), &shard.tensors[&name].shape);
            let fits = matches!((a, b), ([r, input], [out, rank]) if r == rank && *shape == [*out, *input]);
            if !fits {
                return refused(format!(
                    "adapter: its matrices of {module} are {a:?} and {b:?}, the base's is {shape:?}. Give the \
                     base that it was trained on with --base-model."
                ));
            }
        }
        Ok(merger)
    }

    /// The file that a tensor is in.
    pub fn shard(&self, name: &str) -> Option<&Shard> {
        let mut shards = self.shards.iter();
        shards.find(|shard| shard.tensors.contains_key(name))
    }

    /// Whether the adapter changes a tensor.
    pub fn changes(&self, name: &str) -> bool {
        self.pair(name).is_some()
    }

    /// A tensor in `f32`, with what the adapter adds to it.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let Some(shard) = self.shard(name) else {
            return refused(format!("model: the weight files have no tensor {name}"));
        };
        let base = shard.read(name)?;
        Ok(match self.pair(name) {
            Some(pair) => (base + (pair.b.matmul(&pair.a)? * pair.scale)?)?,
            None => base,
        })
    }

    fn pair(&self, name: &str) -> Option<&LoraPair> {
        self.lora.pairs.get(name.strip_suffix(".weight")?)
    }
}

/// Refuses values that a type of weights can't hold.
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
