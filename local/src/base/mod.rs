//! Bases. Flows in: what a job calls its model. Flows out: a config, weights, a tokenizer and a
//! chat template, shared by training and chat. A module because the built-in base and a Hugging
//! Face directory are loaded by the same code.

pub mod resolve;
pub mod text;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::{LlamaConfig, Weights};
pub use resolve::{Resolved, Source};
use text::TextCodec;

/// The name of the built-in base.
pub const BUILT_IN: &str = "arkor-tiny";

/// At most this many bases stay in memory: the built-in one, and one of another size.
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
        let config = LlamaConfig::from_json(include_str!("../../assets/arkor-tiny/config.json"))?;
        let text = TextCodec::new(
            include_bytes!("../../assets/arkor-tiny/tokenizer.json"),
            &serde_json::from_str(include_str!(
                "../../assets/arkor-tiny/tokenizer_config.json"
            ))?,
            None,
            &config.eos_token_ids,
        )?;
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
        let mut config = LlamaConfig::from_json(&read_text(dir, "config.json")?)?;
        if let Ok(text) = read_text(dir, "generation_config.json") {
            let json: Value = serde_json::from_str(&text)?;
            config
                .eos_token_ids
                .extend(crate::model::config::token_ids(json.get("eos_token_id")));
        }
        let tokenizer = read_text(dir, "tokenizer.json")?;
        let tokenizer_config = serde_json::from_str(&read_text(dir, "tokenizer_config.json")?)?;
        let template = read_text(dir, "chat_template.jinja").ok();
        let text = TextCodec::new(
            tokenizer.as_bytes(),
            &tokenizer_config,
            template.as_deref(),
            &config.eos_token_ids,
        )?;
        let weights = Weights::from_dir(dir)?;
        Ok(Self {
            name: dir.display().to_string(),
            config,
            weights,
            text,
        })
    }
}

fn read_text(dir: &Path, name: &str) -> Result<String> {
    let path = dir.join(name);
    fs::read_to_string(&path)
        .map_err(|source| Error::Refused(format!("model: can't read {}: {source}", path.display())))
}

/// The bases that are in memory.
#[derive(Debug, Default)]
pub struct Bases {
    loaded: Mutex<HashMap<Option<PathBuf>, Arc<Base>>>,
}

impl Bases {
    /// A base, from memory or from its files.
    pub fn get(&self, source: &Source) -> Result<Arc<Base>> {
        let key = match source {
            Source::BuiltIn => None,
            Source::Dir(dir) => Some(dir.clone()),
        };
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(base) = loaded.get(&key) {
            return Ok(Arc::clone(base));
        }
        let base = Arc::new(Base::load(source)?);
        if loaded.len() >= KEPT {
            loaded.retain(|key, _| key.is_none());
        }
        loaded.insert(key, Arc::clone(&base));
        Ok(base)
    }
}
