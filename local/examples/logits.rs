//! Prints the logits of a model with an adapter, for the comparison with PEFT in `local/check`. Takes two
//! directories as arguments, and token ids as JSON on stdin. Writes little-endian `f32` values to stdout,
//! one row of the vocabulary per token.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use arkor_local::base::Source;
use arkor_local::engine::candle::model::Llama;
use arkor_local::engine::candle::{CandleModel, adapter};

fn main() -> Result<(), Box<dyn Error>> {
    let mut directories = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(model), Some(adapter)) = (directories.next(), directories.next()) else {
        return Err("usage: logits MODEL ADAPTER < ids.json".into());
    };
    let base = CandleModel::load(&Source::at(&model)?, false, &|| false, &mut |_, _| {})?;
    let lora = adapter::load(&adapter)?.lora;
    let model = Llama::new(&base.config, &base.weights, Some(&lora))?;
    let ids: Vec<u32> = serde_json::from_reader(io::stdin())?;
    let logits = model.logits(&model.hidden(&[&ids])?)?;
    let values = logits.flatten_all()?.to_vec1::<f32>()?;
    let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    io::stdout().write_all(&bytes)?;
    Ok(())
}
