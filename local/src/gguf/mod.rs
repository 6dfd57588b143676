//! GGUF files as bases. Their config, tokenizer and tensor names are converted to those of a Hugging Face
//! directory, so that the rest of the code only handles that format.

mod config;
mod metadata;
pub mod names;
pub mod pre;
mod sentencepiece;
mod tokenizer;
mod unturned;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{GgmlDType, QTensor};
use serde_json::Value;

use crate::base::TEXT_FILES;
use crate::error::{Error, Result, refused};
use crate::folder;
use metadata::Metadata;

/// Data types and their names.
const TYPES: [(GgmlDType, &str); 15] = [
    (GgmlDType::F32, "f32"),
    (GgmlDType::F16, "f16"),
    (GgmlDType::BF16, "bf16"),
    (GgmlDType::Q4_0, "q4_0"),
    (GgmlDType::Q4_1, "q4_1"),
    (GgmlDType::Q5_0, "q5_0"),
    (GgmlDType::Q5_1, "q5_1"),
    (GgmlDType::Q8_0, "q8_0"),
    (GgmlDType::Q8_1, "q8_1"),
    (GgmlDType::Q2K, "q2_k"),
    (GgmlDType::Q3K, "q3_k"),
    (GgmlDType::Q4K, "q4_k"),
    (GgmlDType::Q5K, "q5_k"),
    (GgmlDType::Q6K, "q6_k"),
    (GgmlDType::Q8K, "q8_k"),
];

/// The name of a data type.
#[must_use]
pub fn type_name(dtype: GgmlDType) -> &'static str {
    let known = TYPES.iter().find(|(known, _)| *known == dtype);
    known.map_or("unknown", |(_, name)| name)
}

/// Whether a path has the file extension of a GGUF file.
#[must_use]
pub fn is_gguf(path: &Path) -> bool {
    path.extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("gguf"))
}

/// A GGUF file whose header has been read.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    content: Content,
    /// The equivalent of a `config.json`.
    pub config: Value,
}

impl Gguf {
    /// Reads the header. Refuses a file that isn't GGUF, or whose architecture isn't supported.
    pub fn open(path: &Path) -> Result<Self> {
        let broken = |why: &dyn std::fmt::Display| {
            Error::Refused(format!("model: can't read {}: {why}", path.display()))
        };
        let file = File::open(path).map_err(|source| broken(&source))?;
        if !file.metadata().is_ok_and(|file| file.is_file()) {
            return Err(broken(&"it isn't a file"));
        }
        let content = Content::read(&mut BufReader::new(file))
            .map_err(|error| broken(&header_error(&error)))?;
        let mut gguf = Self {
            path: path.to_owned(),
            content,
            config: Value::Null,
        };
        gguf.check_layout()?;
        gguf.config = config::config(&gguf)?;
        Ok(gguf)
    }

    /// Refuses tensors that extend beyond the end of the file, before memory is allocated for them.
    fn check_layout(&self) -> Result<()> {
        let size = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        for (name, info) in &self.content.tensor_infos {
            let dims = info.shape.dims();
            let values = dims
                .iter()
                .try_fold(1_usize, |values, size| values.checked_mul(*size));
            let block = info.ggml_dtype.block_size();
            let whole = dims.last().is_some_and(|width| width % block == 0);
            let bytes =
                values.and_then(|values| (values / block).checked_mul(info.ggml_dtype.type_size()));
            let end = bytes.and_then(|bytes| {
                let start = self.content.tensor_data_offset.checked_add(info.offset)?;
                start.checked_add(u64::try_from(bytes).ok()?)
            });
            if !whole {
                return self.refuse(&format!(
                    "the tensor {name} has the shape {dims:?}, whose rows aren't whole blocks of {block} values"
                ));
            }
            if end.is_none_or(|end| end > size) {
                return self.refuse(&format!("it ends before the data of the tensor {name}"));
            }
        }
        Ok(())
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata in its header.
    fn metadata(&self) -> Metadata<'_> {
        Metadata(self)
    }

    /// The Hugging Face names of its tensors. Unknown tensors keep their own names.
    pub fn tensors(&self) -> impl Iterator<Item = String> + '_ {
        self.content
            .tensor_infos
            .keys()
            .map(|name| names::hugging_face(name).unwrap_or_else(|| name.clone()))
    }

    /// The type and shape of a tensor, by its name in Hugging Face's files.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<(GgmlDType, &[usize])> {
        let info = self.content.tensor_infos.get(&names::llama_cpp(name)?)?;
        Some((info.ggml_dtype, info.shape.dims()))
    }

    /// The size of a tensor in the file, by its Hugging Face name.
    #[must_use]
    pub fn bytes(&self, name: &str) -> u64 {
        self.tensor(name).map_or(0, |(dtype, shape)| {
            let values: usize = shape.iter().product();
            (values / dtype.block_size() * dtype.type_size()) as u64
        })
    }

    /// Reads a tensor by its Hugging Face name. Rows of queries and keys are put in Hugging Face's order,
    /// without changing any bit of a row.
    pub fn read(&self, name: &str) -> Result<QTensor> {
        let Some(own) = names::llama_cpp(name) else {
            return self.refuse(&format!("it has no tensor {name}"));
        };
        let tensor = self.read_own(&own)?;
        let heads = match self.config["model_type"].as_str() {
            Some("llama") if own.contains(".attn_q.") => "num_attention_heads",
            Some("llama") if own.contains(".attn_k.") => "num_key_value_heads",
            _ => return Ok(tensor),
        };
        let heads = self.config[heads].as_u64().unwrap_or(1);
        Ok(unturned::unturned(
            &tensor,
            usize::try_from(heads).unwrap_or(1),
        )?)
    }

    /// Reads a tensor by its own name, without changing it.
    fn read_own(&self, name: &str) -> Result<QTensor> {
        let failed = |source| Error::io("can't read the weights", &self.path, source);
        let mut file = File::open(&self.path).map_err(failed)?;
        Ok(self.content.tensor(&mut file, name, &Device::Cpu)?)
    }

    /// The contents of its `tokenizer.json` and its `tokenizer_config.json`. Files next to the GGUF file
    /// take precedence over its metadata.
    pub fn text_files(&self) -> Result<(Vec<u8>, Value)> {
        let dir = self.path.parent().unwrap_or(&self.path);
        let beside = |name: &str| dir.join(name).is_file();
        let [tokenizer, config] = TEXT_FILES;
        if !beside(tokenizer) {
            let json = tokenizer::tokenizer(self.metadata())?;
            let config = tokenizer::tokenizer_config(self.metadata())?;
            return Ok((serde_json::to_vec(&json)?, config));
        }
        let config = if beside(config) {
            folder::read_json(dir, config)?
        } else {
            tokenizer::tokenizer_config(self.metadata())?
        };
        Ok((folder::read(dir, tokenizer)?, config))
    }

    /// Writes all files of a Hugging Face directory except the weights.
    pub fn write_text_files(&self, dir: &Path) -> Result<()> {
        let (tokenizer, tokenizer_config) = self.text_files()?;
        let json = |value: &Value| serde_json::to_vec_pretty(value);
        for (name, content) in [
            ("config.json", json(&self.config)?),
            (TEXT_FILES[0], tokenizer),
            (TEXT_FILES[1], json(&tokenizer_config)?),
        ] {
            let path = dir.join(name);
            std::fs::write(&path, content)
                .map_err(|source| Error::io("can't write", &path, source))?;
        }
        Ok(())
    }

    /// A refusal that names the file.
    pub fn refuse<T>(&self, why: &str) -> Result<T> {
        refused(format!("model: {}: {why}", self.path.display()))
    }
}

/// The reason why a header can't be read, without a backtrace.
fn header_error(error: &candle_core::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    match first.rsplit_once("unknown dtype for tensor ") {
        Some((_, number)) => format!(
            "it has tensors of GGML's type {number}, which isn't supported. Supported are F32, F16, BF16, Q8_0, Q5_0, Q5_1, \
             Q4_0, Q4_1 and Q2_K to Q6_K."
        ),
        None => format!("it isn't a complete GGUF file ({first})"),
    }
}

#[cfg(test)]
mod tests;
