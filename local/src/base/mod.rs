//! Models without their weights, which are up to the engine: tokenizer, chat templates and context
//! length.

pub mod built_in;
pub mod config_fields;
pub mod resolve;
pub(crate) mod template;
pub mod text;
pub(crate) mod text_files;
mod tokenizer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::error::{Result, refused};
use crate::folder::{self, FileStamp};
use crate::gguf::Gguf;
pub use resolve::{Resolved, Source};
pub use template::{Rendered, on_large_stack};
use text::{TextCodec, TextFiles};

/// The most bases that stay in memory, without their weights.
const KEPT: usize = 4;

/// The text files without which a directory isn't a model.
pub const TEXT_FILES: [&str; 2] = ["tokenizer.json", "tokenizer_config.json"];

/// A model, without its weights. Never changed once loaded.
#[derive(Debug)]
pub struct Base {
    /// The place of its files.
    pub source: Source,
    /// The longest text that it was made for, in tokens.
    pub context: usize,
    /// Its tokenizer and chat templates.
    pub text: TextCodec,
}

/// The fields of `config.json` that concern text.
struct TextConfig {
    vocab_size: usize,
    context: usize,
    eos_token_ids: Vec<u32>,
}

impl TextConfig {
    fn from_json(json: &Value) -> Result<Self> {
        // A model that also reads images keeps the fields of its language model in an object of their
        // own.
        let json = json
            .get("text_config")
            .filter(|text| text.is_object())
            .unwrap_or(json);
        let vocab_size = config_fields::size(json, "vocab_size", config_fields::VOCAB)?;
        let positions = config_fields::POSITIONS;
        Ok(Self {
            vocab_size,
            context: config_fields::optional_size(json, "max_position_embeddings", positions)?
                .unwrap_or(2048),
            eos_token_ids: config_fields::token_ids(json, "config.json", vocab_size)?,
        })
    }
}

impl Base {
    /// Loads a base. Refuses one if a file is missing or isn't supported.
    pub fn load(source: &Source) -> Result<Self> {
        match source {
            Source::BuiltIn => Self::built_in(),
            Source::Dir(dir) => Self::from_dir(dir),
            Source::Gguf(file) => Self::from_gguf(file),
        }
    }

    fn built_in() -> Result<Self> {
        let config = TextConfig::from_json(&serde_json::from_str(built_in::CONFIG)?)?;
        let tokenizer_config = serde_json::from_str(built_in::TOKENIZER_CONFIG)?;
        let files = TextFiles {
            tokenizer: built_in::TOKENIZER,
            tokenizer_config: &tokenizer_config,
            special_tokens_map: None,
            templates: text_files::configured_templates(&tokenizer_config)?,
        };
        Self::new(Source::BuiltIn, &config, &files)
    }

    fn from_dir(dir: &Path) -> Result<Self> {
        for name in TEXT_FILES {
            if !dir.join(name).is_file() {
                return refused(format!("model: {} has no {name}", dir.display()));
            }
        }
        let mut config = TextConfig::from_json(&folder::read_json(dir, "config.json")?)?;
        let generation = "generation_config.json";
        if let Some(json) = folder::read_json_if_any(dir, generation)? {
            let more = config_fields::token_ids(&json, generation, config.vocab_size)?;
            config.eos_token_ids.extend(more);
        }
        let tokenizer_config = folder::read_json(dir, "tokenizer_config.json")?;
        let special_tokens_map = folder::read_json_if_any(dir, "special_tokens_map.json")?;
        let files = TextFiles {
            tokenizer: &folder::read(dir, "tokenizer.json")?,
            tokenizer_config: &tokenizer_config,
            special_tokens_map: special_tokens_map.as_ref(),
            templates: text_files::templates(dir, &tokenizer_config)?,
        };
        Self::new(Source::Dir(dir.to_owned()), &config, &files)
    }

    fn from_gguf(file: &Path) -> Result<Self> {
        let gguf = Gguf::open(file)?;
        let config = TextConfig::from_json(&gguf.config)?;
        let (tokenizer, tokenizer_config) = gguf.text_files()?;
        let files = TextFiles {
            tokenizer: &tokenizer,
            special_tokens_map: None,
            templates: text_files::configured_templates(&tokenizer_config)?,
            tokenizer_config: &tokenizer_config,
        };
        Self::new(Source::Gguf(file.to_owned()), &config, &files)
    }

    fn new(source: Source, config: &TextConfig, files: &TextFiles) -> Result<Self> {
        Ok(Self {
            source,
            context: config.context,
            text: TextCodec::new(files, &config.eos_token_ids, config.vocab_size)?,
        })
    }
}

/// The bases that are in memory.
#[derive(Debug, Default)]
pub struct Bases {
    built_in: Mutex<Option<Arc<Base>>>,
    loaded: Mutex<HashMap<Source, Loaded>>,
}

/// A base, and the state of its files when it was loaded.
type Loaded = (Vec<FileStamp>, Arc<Base>);

impl Bases {
    /// Returns a base from memory. Loads it if it isn't there or its files have changed.
    pub fn get(&self, source: &Source) -> Result<Arc<Base>> {
        if *source == Source::BuiltIn {
            let mut built_in = self.built_in.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(base) = &*built_in {
                return Ok(Arc::clone(base));
            }
            return Ok(Arc::clone(built_in.insert(Arc::new(Base::load(source)?))));
        }
        let stamps = source.stamps();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, base)) = loaded.get(source).filter(|(known, _)| *known == stamps) {
            return Ok(Arc::clone(base));
        }
        let base = Arc::new(Base::load(source)?);
        if loaded.len() >= KEPT {
            loaded.clear();
        }
        loaded.insert(source.clone(), (stamps, Arc::clone(&base)));
        Ok(base)
    }
}
