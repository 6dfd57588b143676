//! The weights of a model: named tensors, `f32` or quantised, their shapes checked against the config.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor, safetensors};
use serde_json::Value;

use super::config::LlamaConfig;
use super::matrix::Matrix;
use super::rope::Rope;
use super::shard::Shard;
use super::{memory, target};
use crate::error::{Result, refused};
use crate::folder;
use crate::gguf::{Gguf, type_name};
use crate::stop::Stop;

/// How the linear layers of a decoder are quantised, and the embedding and the output head, whose values matter
/// more (decision 0032).
const LAYERS: GgmlDType = GgmlDType::Q4_1;
const TABLES: GgmlDType = GgmlDType::Q8_0;

/// The tensors of a model by their Hugging Face names.
#[derive(Debug, Clone)]
pub struct Weights {
    tensors: HashMap<String, Matrix>,
    /// Shared by all models with these weights: its tables grow with the longest text.
    rope: Arc<OnceLock<Rope>>,
}

impl Weights {
    /// From tensors that are already there.
    #[must_use]
    pub fn from_tensors<T: Into<Matrix>>(tensors: HashMap<String, T>) -> Self {
        let tensors = tensors.into_iter();
        Self {
            tensors: tensors
                .map(|(name, tensor)| (name, tensor.into()))
                .collect(),
            rope: Arc::default(),
        }
    }

    /// From the content of one safetensors file. With `in_4bit`, it's quantised.
    pub fn from_bytes(bytes: &[u8], in_4bit: bool) -> Result<Self> {
        let mut tensors = HashMap::new();
        for (name, tensor) in safetensors::load_buffer(bytes, &Device::Cpu)? {
            let tensor = tensor.to_dtype(DType::F32)?;
            let matrix = held(&name, tensor, in_4bit)?;
            tensors.insert(name, matrix);
        }
        Ok(Self::from_tensors(tensors))
    }

    /// Whether the weights in a Hugging Face directory are those of a model of this shape. Only the
    /// files' headers are read: cheap enough for a request.
    pub fn check(dir: &Path, config: &LlamaConfig, in_4bit: bool) -> Result<()> {
        checked(dir, config, in_4bit).map(drop)
    }

    /// From a Hugging Face directory. `progress` gets how many tensors are loaded, and how many there are. With
    /// `in_4bit`, the weights are quantised as they come.
    pub fn from_dir(
        dir: &Path,
        config: &LlamaConfig,
        in_4bit: bool,
        stop: &dyn Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let shards = checked(dir, config, in_4bit)?;
        each(config, stop, progress, |name| {
            let mut shards = shards.iter();
            match shards.find(|shard| shard.tensors.contains_key(name)) {
                Some(shard) => held(name, shard.read_weight(name)?, in_4bit),
                None => refused(format!("model: the weight files have no tensor {name}")),
            }
        })
    }

    /// From a GGUF file. What is quantised in it stays so.
    pub fn from_gguf(
        gguf: &Gguf,
        config: &LlamaConfig,
        stop: &dyn Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        check_gguf(gguf, config)?;
        each(config, stop, progress, |name| {
            let tensor = gguf.read(name)?;
            if tensor.rank() == 1 || tensor.dtype() == GgmlDType::F32 {
                return Ok(tensor.dequantize(&Device::Cpu)?.into());
            }
            Ok(tensor.into())
        })
    }

    /// A norm or a bias. Errors when it is missing or its shape is not `shape`.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.matrix(name, shape)? {
            Matrix::Plain(tensor) => Ok(tensor),
            matrix => refused(format!(
                "model: the tensor {name} is {}",
                type_name(matrix.dtype())
            )),
        }
    }

    /// The weight of a linear layer or an embedding. Errors when it is missing or its shape is not `shape`.
    pub fn matrix(&self, name: &str, shape: &[usize]) -> Result<Matrix> {
        match self.tensors.get(name) {
            None => refused(format!("model: the weight files have no tensor {name}")),
            Some(matrix) if matrix.dims() != shape => refused(format!(
                "model: the tensor {name} has the shape {:?}, config.json says {shape:?}",
                matrix.dims()
            )),
            Some(matrix) => Ok(matrix.clone()),
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
        let bytes: usize = self.tensors.values().map(Matrix::bytes).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Number of values that each core converts to `f32` at once.
    #[must_use]
    pub fn converted(&self) -> usize {
        let parts = self.tensors.values().map(Matrix::converted);
        parts.max().unwrap_or(0)
    }

    /// Number of values.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(values).sum()
    }

    /// The type of most values, unless it's `f32`.
    #[must_use]
    pub fn dtype(&self) -> Option<&'static str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for matrix in self.tensors.values() {
            *counts.entry(type_name(matrix.dtype())).or_default() += values(matrix);
        }
        let (name, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        Some(name).filter(|name| *name != type_name(GgmlDType::F32))
    }
}

fn values(matrix: &Matrix) -> usize {
    matrix.dims().iter().product()
}

/// Loads every tensor of a model.
fn each(
    config: &LlamaConfig,
    stop: &dyn Stop,
    progress: &mut dyn FnMut(u64, u64),
    mut load: impl FnMut(&str) -> Result<Matrix>,
) -> Result<Weights> {
    let names = target::tensors(config);
    let total = names.len() as u64;
    let mut tensors = HashMap::new();
    for (done, (name, _)) in names.into_iter().enumerate() {
        stop.check()?;
        progress(done as u64, total);
        let matrix = load(&name)?;
        tensors.insert(name, matrix);
    }
    Ok(Weights::from_tensors(tensors))
}

/// A tensor as it's held in memory.
fn held(name: &str, tensor: Tensor, in_4bit: bool) -> Result<Matrix> {
    match in_4bit.then(|| type_in_4bit(name, tensor.dims())).flatten() {
        Some(dtype) => Ok(QTensor::quantize(&tensor.to_dtype(DType::F32)?, dtype)?.into()),
        None if tensor.rank() < 2 => Ok(tensor.to_dtype(DType::F32)?.into()),
        None => Ok(tensor.into()),
    }
}

/// The type that a tensor is quantised to. `None`: it stays as it is.
fn type_in_4bit(name: &str, shape: &[usize]) -> Option<GgmlDType> {
    let in_layer = name.starts_with("model.layers.");
    (shape.len() == 2).then_some(if in_layer { LAYERS } else { TABLES })
}

/// The memory of a model that is quantised when it's loaded. Refuses one whose rows can't be.
pub fn bytes_in_4bit(config: &LlamaConfig) -> Result<u64> {
    let mut bytes = 0_u64;
    for (name, shape) in target::tensors(config) {
        let dtype = type_in_4bit(&name, &shape).unwrap_or(GgmlDType::F32);
        let (block, width) = (dtype.block_size(), shape.last().copied().unwrap_or(1));
        if width % block != 0 {
            return refused(format!(
                "loadIn4bit: the rows of {name} have {width} values, and blocks of {block} are quantised. Remove \
                 loadIn4bit."
            ));
        }
        let values: usize = shape.iter().product();
        bytes = bytes.saturating_add((values / block * dtype.type_size()) as u64);
    }
    Ok(bytes)
}

/// The weight files of a directory, which fit into memory.
fn checked(dir: &Path, config: &LlamaConfig, in_4bit: bool) -> Result<Vec<Shard>> {
    let shards = open(dir)?;
    check_tensors(dir, config, &shards)?;
    if in_4bit {
        let what = format!("model: {}", dir.display());
        memory::check(&what, bytes_in_4bit(config)?)?;
    } else {
        Shard::check_memory(&shards)?;
    }
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

/// Refuses a GGUF file that doesn't have exactly the tensors that its metadata asks for, or doesn't fit into
/// memory.
pub fn check_gguf(gguf: &Gguf, config: &LlamaConfig) -> Result<()> {
    let expected = target::tensors(config);
    for (name, shape) in &expected {
        let Some((dtype, found)) = gguf.tensor(name) else {
            return gguf.refuse(&format!("it has no tensor for {name}"));
        };
        if found != shape.as_slice() {
            return gguf.refuse(&format!(
                "the tensor for {name} has the shape {found:?}, the metadata says {shape:?}"
            ));
        }
        if shape.len() == 1 && dtype != GgmlDType::F32 && dtype != GgmlDType::F16 {
            return gguf.refuse(&format!(
                "the tensor for {name} is {}, only F32 and F16 are supported for it",
                type_name(dtype)
            ));
        }
    }
    let known: BTreeSet<&String> = expected.iter().map(|(name, _)| name).collect();
    if let Some(name) = gguf
        .tensors()
        .find(|name| !known.contains(name) && name != "rope_freqs.weight")
    {
        return gguf.refuse(&format!(
            "the tensor {name} is none of the model that its metadata describes, so it would be ignored"
        ));
    }
    let bytes = expected.iter().map(|(name, _)| gguf.bytes(name)).sum();
    memory::check(&format!("model: {}", gguf.path().display()), bytes)
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
