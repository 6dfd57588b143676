//! Writes the weights of a GGUF file to `model.safetensors`. 16 bits are enough for them: more wouldn't
//! bring back what quantisation has lost.

use std::path::Path;

use candle_core::DType;
use safetensors::View;
use serde_json::{Map, Value, json};

use super::merge::{Merger, check_values};
use super::merged::largest;
use super::progress::Progress;
use super::target::Target;
use crate::engine::candle::model::{LlamaConfig, target};
use crate::error::Result;
use crate::folder;

/// The name of the file.
const FILE: &str = "model.safetensors";

/// The type of all weights.
const DTYPE: DType = DType::F16;

/// The size of the file, in bytes.
pub fn size(dir: &Path) -> Result<u64> {
    let (_, header, data) = layout(dir)?;
    Ok(header.len() as u64 + data)
}

/// Writes the file. `dir` contains the model's config.
pub fn write(dir: &Path, merger: &Merger, target: &Target, progress: &mut Progress) -> Result<()> {
    let (config, header, _) = layout(dir)?;
    merger.check(dir, &config)?;
    let mut file = target.create(FILE, progress)?;
    file.write(&header)?;
    for (name, _) in target::tensors(&config) {
        let tensor = merger.tensor(&name)?;
        check_values(&name, &tensor, largest(DTYPE))?;
        file.write(&tensor.to_dtype(DTYPE)?.data())?;
    }
    file.end()
}

/// The model's config, the header of the file, and the size of its data in bytes.
fn layout(dir: &Path) -> Result<(LlamaConfig, Vec<u8>, u64)> {
    let config = LlamaConfig::from_json(&folder::read_json(dir, "config.json")?)?;
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut end = 0;
    for (name, shape) in target::tensors(&config) {
        let start = end;
        end += shape.iter().product::<usize>() * DTYPE.size_in_bytes();
        let info = json!({ "dtype": "F16", "shape": shape, "data_offsets": [start, end] });
        header.insert(name, info);
    }
    let mut json = serde_json::to_vec(&Value::Object(header))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut json);
    Ok((config, bytes, end as u64))
}
