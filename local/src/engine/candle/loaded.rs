//! The models and adapters that are in memory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::adapter;
use super::model::lora::Lora;
use super::model::{LlamaConfig, Weights, weights};
use crate::base::{Source, built_in};
use crate::error::Result;
use crate::folder::{self, FileStamp};
use crate::gguf::Gguf;
use crate::stop::Stop;

/// At most this many models stay in memory, besides the built-in one.
const KEPT_MODELS: usize = 1;

/// At most this many adapters stay in memory.
const KEPT_ADAPTERS: usize = 8;

/// A model's shape and weights. Never changed once loaded.
#[derive(Debug)]
pub struct CandleModel {
    /// Its shape.
    pub config: LlamaConfig,
    /// Its weights.
    pub weights: Weights,
}

impl CandleModel {
    /// Loads a model. With `in_4bit`, it's quantised as it's loaded. `progress` gets how many of its tensors are
    /// loaded, and how many there are.
    pub fn load(
        source: &Source,
        in_4bit: bool,
        stop: &dyn Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        match source {
            Source::BuiltIn => Ok(Self {
                config: LlamaConfig::from_json(&serde_json::from_str(built_in::CONFIG)?)?,
                weights: Weights::from_bytes(built_in::WEIGHTS, in_4bit)?,
            }),
            Source::Dir(dir) => {
                let config = config_of(dir)?;
                let weights = Weights::from_dir(dir, &config, in_4bit, stop, progress)?;
                Ok(Self { config, weights })
            }
            Source::Gguf(file) => {
                let gguf = Gguf::open(file)?;
                let config = LlamaConfig::from_json(&gguf.config)?;
                let weights = Weights::from_gguf(&gguf, &config, stop, progress)?;
                Ok(Self { config, weights })
            }
        }
    }

    /// The built-in model.
    pub fn built_in() -> Result<Self> {
        Self::load(&Source::BuiltIn, false, &|| false, &mut |_, _| {})
    }

    /// Refuses a model that can't be loaded. Reads the config and the headers of the weight files.
    pub fn check(source: &Source, in_4bit: bool) -> Result<()> {
        match source {
            Source::BuiltIn => Ok(()),
            Source::Dir(dir) => Weights::check(dir, &config_of(dir)?, in_4bit),
            Source::Gguf(file) => {
                let gguf = Gguf::open(file)?;
                weights::check_gguf(&gguf, &LlamaConfig::from_json(&gguf.config)?)
            }
        }
    }
}

/// The config in a model's directory.
pub fn config_of(dir: &Path) -> Result<LlamaConfig> {
    LlamaConfig::from_json(&folder::read_json(dir, "config.json")?)
}

/// Something that was loaded from files, and how they were then.
#[derive(Debug)]
struct Kept<K, T> {
    key: K,
    stamps: Vec<FileStamp>,
    value: Arc<T>,
}

/// Where a model's files are, and whether it was quantised.
type ModelKey = (Source, bool);

/// The models in memory. The lists are in order of use, most recent last.
#[derive(Debug, Default)]
pub struct LoadedModels {
    built_in: Mutex<Option<Arc<CandleModel>>>,
    models: Mutex<Vec<Kept<ModelKey, CandleModel>>>,
    adapters: Mutex<Vec<Kept<PathBuf, Lora>>>,
}

impl LoadedModels {
    /// A model from memory, quantised or not. Loads it if it isn't there, or its files have changed.
    pub fn model(
        &self,
        source: &Source,
        in_4bit: bool,
        stop: &dyn Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Arc<CandleModel>> {
        if *source == Source::BuiltIn && !in_4bit {
            let mut built_in = self.built_in.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(model) = &*built_in {
                return Ok(Arc::clone(model));
            }
            let model = Arc::new(CandleModel::load(source, false, stop, progress)?);
            return Ok(Arc::clone(built_in.insert(model)));
        }
        let key = (source.clone(), in_4bit);
        kept(&self.models, KEPT_MODELS, key, source.stamps(), || {
            CandleModel::load(source, in_4bit, stop, progress)
        })
    }

    /// An adapter from memory, or from its folder.
    pub fn adapter(&self, dir: &Path) -> Result<Arc<Lora>> {
        let (key, stamps) = (dir.to_owned(), folder::stamps(dir));
        kept(&self.adapters, KEPT_ADAPTERS, key, stamps, || {
            Ok(adapter::load(dir)?.lora)
        })
    }
}

/// What was loaded from files, which is loaded now if it wasn't, or if the files have changed. Drops what was
/// used longest ago before it loads, so that there is room.
fn kept<K: PartialEq, T>(
    list: &Mutex<Vec<Kept<K, T>>>,
    most: usize,
    key: K,
    stamps: Vec<FileStamp>,
    load: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    let known = list.iter().position(|kept| kept.key == key);
    let known = known.map(|index| list.remove(index));
    if let Some(known) = known.filter(|known| known.stamps == stamps) {
        let value = Arc::clone(&known.value);
        list.push(known);
        return Ok(value);
    }
    while list.len() >= most {
        list.remove(0);
    }
    let value = Arc::new(load()?);
    list.push(Kept {
        key,
        stamps,
        value: Arc::clone(&value),
    });
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::cell::Cell;

    use super::*;
    use crate::error::Error;

    fn exported() -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        built_in::export(dir.path()).unwrap();
        let source = Source::Dir(dir.path().to_owned());
        (dir, source)
    }

    #[test]
    fn loading_says_how_far_it_is_and_stops_between_two_tensors() {
        let (_dir, source) = exported();
        let mut seen = Vec::new();
        let models = LoadedModels::default();
        let progress = &mut |done, total| seen.push((done, total));
        models.model(&source, false, &|| false, progress).unwrap();
        let total = seen[0].1;
        assert_eq!(
            seen,
            (0..total).map(|done| (done, total)).collect::<Vec<_>>()
        );

        let stopped = std::sync::atomic::AtomicBool::new(false);
        let stop = || stopped.load(std::sync::atomic::Ordering::Relaxed);
        let loaded = Cell::new(0);
        let progress = &mut |done, _| {
            loaded.set(done);
            stopped.store(done == 3, std::sync::atomic::Ordering::Relaxed);
        };
        let result = LoadedModels::default().model(&source, false, &stop, progress);
        assert!(matches!(result, Err(Error::Stopped)));
        assert_eq!(loaded.get(), 3);
    }

    #[test]
    fn what_was_loaded_stays_until_its_files_change() {
        let (dir, source) = exported();
        let models = LoadedModels::default();
        let load = || {
            let model = models.model(&source, false, &|| false, &mut |_, _| {});
            model.unwrap()
        };
        let first = load();
        assert!(Arc::ptr_eq(&first, &load()));
        std::fs::write(dir.path().join("generation_config.json"), "{}").unwrap();
        assert!(!Arc::ptr_eq(&first, &load()));
    }

    #[test]
    fn the_adapter_that_was_used_longest_ago_makes_room() {
        let root = tempfile::tempdir().unwrap();
        let model = CandleModel::built_in().unwrap();
        let (lora, _) = Lora::fresh(&model.config, 2, 2.0, 1).unwrap();
        let dirs: Vec<PathBuf> = (0..=KEPT_ADAPTERS)
            .map(|number| root.path().join(number.to_string()))
            .collect();
        for dir in &dirs {
            adapter::write(dir, &lora, built_in::NAME).unwrap();
        }
        let models = LoadedModels::default();
        let load = |number: usize| models.adapter(&dirs[number]).unwrap();
        let first = load(0);
        let second = load(1);
        for number in 2..KEPT_ADAPTERS {
            load(number);
        }
        assert!(Arc::ptr_eq(&first, &load(0)));
        load(KEPT_ADAPTERS);
        assert!(Arc::ptr_eq(&first, &load(0)));
        assert!(!Arc::ptr_eq(&second, &load(1)));
    }
}
