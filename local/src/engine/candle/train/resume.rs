//! What a checkpoint holds beside the adapter, so that a run can resume from it as if it had never ended.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use crate::engine::candle::adapter;
use crate::engine::candle::model::lora::Lora;
use crate::error::{Error, Result, refused};
use crate::folder;
use crate::wire;

const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "trainer_state.json";

/// Where a run is, besides its tensors. The order of the rows follows from the seed and the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainerState {
    /// The engine that wrote it, and its version.
    pub engine: String,
    /// Updates done.
    pub step: usize,
    /// Summed loss of the steps since the last log.
    pub loss_since_log: f64,
    /// Steps since the last log.
    pub steps_since_log: usize,
    /// The last logged loss; not a number before the first log.
    #[serde(with = "wire::loose_number")]
    pub last_loss: f64,
    /// The last eval loss; not a number before the first one.
    #[serde(with = "wire::loose_number")]
    pub last_eval_loss: f64,
}

/// Writes the state into the folder of a checkpoint.
pub fn save(folder: &Path, optimizer: &AdamW, state: &TrainerState) -> Result<()> {
    candle_core::safetensors::save(&optimizer.moments(), folder.join(OPTIMIZER))?;
    let path = folder.join(STATE);
    let json = wire::text(&serde_json::to_value(state)?);
    std::fs::write(&path, json).map_err(|source| Error::io("can't write", &path, source))
}

/// Brings the adapter and the optimizer back to where the checkpoint was saved.
pub fn restore(
    folder: &Path,
    lora: &Lora,
    vars: &[(String, Var)],
    optimizer: &mut AdamW,
) -> Result<TrainerState> {
    let broken =
        |error: Error| Error::Refused(format!("can't resume from {}: {error}", folder.display()));
    let mut read = || -> Result<TrainerState> {
        let state: TrainerState =
            serde_json::from_value(wire::value(&folder::read(folder, STATE)?).unwrap_or_default())?;
        if state.engine != engine() {
            return refused(format!(
                "it was saved by {}, and this is {}",
                state.engine,
                engine()
            ));
        }
        let saved = adapter::load(folder)?.lora;
        if (saved.r, saved.pairs.len()) != (lora.r, lora.pairs.len()) {
            return refused("its adapter has another shape");
        }
        for (name, var) in vars {
            let (module, part) = name.rsplit_once('.').unwrap_or_default();
            let Some(pair) = saved.pairs.get(module) else {
                return refused(format!("its adapter lacks {module}"));
            };
            var.set(if part == "lora_A" { &pair.a } else { &pair.b })?;
        }
        let moments: HashMap<String, Tensor> =
            candle_core::safetensors::load(folder.join(OPTIMIZER), &Device::Cpu)?;
        optimizer.restore(&moments, state.step)?;
        Ok(state)
    };
    read().map_err(broken)
}

/// The engine, and the version whose checkpoints it can resume.
#[must_use]
pub fn engine() -> String {
    format!("candle {}", env!("CARGO_PKG_VERSION"))
}
