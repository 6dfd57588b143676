//! The models and adapters that are in memory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::adapter;
use super::model::lora::Lora;
use super::model::{LlamaConfig, Weights};
use crate::base::{Source, built_in};
use crate::error::Result;
use crate::folder::{self, FileStamp};
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
    /// Loads a model. `progress` gets how many of its tensors are loaded, and how many there are.
    pub fn load(
        source: &Source,
        stop: &dyn Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        match source {
            Source::BuiltIn => Ok(Self {
                config: LlamaConfig::from_json(&serde_json::from_str(built_in::CONFIG)?)?,
                weights: Weights::from_bytes(built_in::WEIGHTS)?,
            }),
            Source::Dir(dir) => {
                let config = config_of(dir)?;
                let weights = Weights::from_dir(dir, &config, stop, progress)?;
                Ok(Self { config, weights })
            }
        }
    }

    /// The built-in model.
    pub fn built_in() -> Result<Self> {
        Self::load(&Source::BuiltIn, &|| false, &mut |_, _| {})
    }

    /// Refuses a model that can't be loaded. Reads the config and the headers of the weight files.
    pub fn check(source: &Source) -> Result<()> {
        match source {
            Source::BuiltIn => Ok(()),
            Source::Dir(dir) => Weights::check(dir, &config_of(dir)?),
        }
    }
}

/// The config in a model's directory.
pub fn config_of(dir: &Path) -> Result<LlamaConfig> {
    LlamaConfig::from_json(&folder::read_json(dir, "config.json")?)
}

/// Something that was loaded from a folder, and how the folder was then.
#[derive(Debug)]
struct Kept<T> {
    dir: PathBuf,
    stamps: Vec<FileStamp>,
    value: Arc<T>,
}

/// The models in memory. The lists are in order of use, most recent last.
#[derive(Debug, Default)]
pub struct LoadedModels {
    built_in: Mutex<Option<Arc<CandleModel>>>,
    models: Mutex<Vec<Kept<CandleModel>>>,
    adapters: Mutex<Vec<Kept<Lora>>>,
}

impl LoadedModels {
    /// A model from memory. Loads it if it isn't there, or its files have changed.
    pub fn model(
        &self,
        source: &Source,
        stop: &dyn Stop,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Arc<CandleModel>> {
        let Source::Dir(dir) = source else {
            let mut built_in = self.built_in.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(model) = &*built_in {
                return Ok(Arc::clone(model));
            }
            let model = Arc::new(CandleModel::load(source, stop, progress)?);
            return Ok(Arc::clone(built_in.insert(model)));
        };
        kept(&self.models, KEPT_MODELS, dir, || {
            CandleModel::load(source, stop, progress)
        })
    }

    /// An adapter from memory, or from its folder.
    pub fn adapter(&self, dir: &Path) -> Result<Arc<Lora>> {
        kept(&self.adapters, KEPT_ADAPTERS, dir, || {
            Ok(adapter::load(dir)?.lora)
        })
    }
}

/// What was loaded from a folder, which is loaded now if it wasn't, or if the folder has changed. Drops
/// what was used longest ago before it loads, so that there is room.
fn kept<T>(
    list: &Mutex<Vec<Kept<T>>>,
    most: usize,
    dir: &Path,
    load: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    let stamps = folder::stamps(dir);
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    let known = list.iter().position(|kept| kept.dir == dir);
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
        dir: dir.to_owned(),
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
        models.model(&source, &|| false, progress).unwrap();
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
        let result = LoadedModels::default().model(&source, &stop, progress);
        assert!(matches!(result, Err(Error::Stopped)));
        assert_eq!(loaded.get(), 3);
    }

    #[test]
    fn what_was_loaded_stays_until_its_files_change() {
        let (dir, source) = exported();
        let models = LoadedModels::default();
        let load = || models.model(&source, &|| false, &mut |_, _| {}).unwrap();
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
