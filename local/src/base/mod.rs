//! The models that are trained and talked to: their config, weights, tokenizer and chat templates.

pub mod resolve;
mod template;
pub mod text;
mod text_files;
mod tokenizer;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::error::Result;
use crate::folder;
use crate::model::{LlamaConfig, Weights};
pub use resolve::{BUILT_IN, Resolved, Source};
pub use template::{Rendered, on_large_stack};
use text::{TextCodec, TextFiles};

/// At most this many bases stay in memory. The built-in one is never evicted.
const KEPT: usize = 2;

/// A model to adapt or to talk to. Never changed once loaded.
#[derive(Debug)]
pub struct Base {
    /// What adapters name as their base: `arkor-tiny`, or the directory.
    pub name: String,
    /// Its shape.
    pub config: LlamaConfig,
    /// Its weights.
    pub weights: Weights,
    /// Its tokenizer and chat template.
    pub text: TextCodec,
}

impl Base {
    /// Loads a base. Errors with a refusal when a file is missing or not supported.
    pub fn load(source: &Source) -> Result<Self> {
        match source {
            Source::BuiltIn => Self::built_in(),
            Source::Dir(dir) => Self::from_dir(dir),
        }
    }

    fn built_in() -> Result<Self> {
        let config = LlamaConfig::from_json(&serde_json::from_str(include_str!(
            "../../assets/arkor-tiny/config.json"
        ))?)?;
        let tokenizer_config = serde_json::from_str(include_str!(
            "../../assets/arkor-tiny/tokenizer_config.json"
        ))?;
        let text = TextFiles {
            tokenizer: include_bytes!("../../assets/arkor-tiny/tokenizer.json"),
            tokenizer_config: &tokenizer_config,
            special_tokens_map: None,
            templates: text_files::configured_templates(&tokenizer_config)?,
        };
        let text = TextCodec::new(&text, &config.eos_token_ids, config.vocab_size)?;
        let weights =
            Weights::from_bytes(include_bytes!("../../assets/arkor-tiny/model.safetensors"))?;
        Ok(Self {
            name: BUILT_IN.to_owned(),
            config,
            weights,
            text,
        })
    }

    fn from_dir(dir: &Path) -> Result<Self> {
        let config = resolve::config_of(dir)?;
        let tokenizer_config = folder::read_json(dir, "tokenizer_config.json")?;
        let special_tokens_map = folder::read_json_if_any(dir, "special_tokens_map.json")?;
        let text = TextFiles {
            tokenizer: &folder::read(dir, "tokenizer.json")?,
            tokenizer_config: &tokenizer_config,
            special_tokens_map: special_tokens_map.as_ref(),
            templates: text_files::templates(dir, &tokenizer_config)?,
        };
        let text = TextCodec::new(&text, &config.eos_token_ids, config.vocab_size)?;
        let weights = Weights::from_dir(dir, &config)?;
        Ok(Self {
            name: dir.display().to_string(),
            config,
            weights,
            text,
        })
    }
}

/// The bases that are in memory.
#[derive(Debug, Default)]
pub struct Bases {
    loaded: Mutex<HashMap<Option<PathBuf>, Loaded>>,
}

/// A base, and how its folder was when it was loaded.
#[derive(Debug)]
struct Loaded {
    stamps: Vec<FileStamp>,
    base: Arc<Base>,
}

/// A file's name, length and modification time. If any of them differs, the folder was edited.
type FileStamp = (OsString, u64, Option<SystemTime>);

fn stamps(dir: &Path) -> Vec<FileStamp> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut stamps: Vec<FileStamp> = entries
        .filter_map(|entry| {
            // Follows symlinks: the stamp is the target file's.
            let meta = std::fs::metadata(entry.path()).ok()?;
            Some((entry.file_name(), meta.len(), meta.modified().ok()))
        })
        .collect();
    stamps.sort();
    stamps
}

impl Bases {
    /// Returns a base from memory, or loads it if it isn't there or its files have changed.
    pub fn get(&self, source: &Source) -> Result<Arc<Base>> {
        let (key, stamps) = match source {
            Source::BuiltIn => (None, Vec::new()),
            Source::Dir(dir) => (Some(dir.clone()), stamps(dir)),
        };
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.get(&key).filter(|known| known.stamps == stamps) {
            return Ok(Arc::clone(&known.base));
        }
        let base = Arc::new(Base::load(source)?);
        if loaded.len() >= KEPT {
            loaded.retain(|key, _| key.is_none());
        }
        let known = Loaded {
            stamps,
            base: Arc::clone(&base),
        };
        loaded.insert(key, known);
        Ok(base)
    }
}
