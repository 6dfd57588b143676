//! Adapters on disk, in PEFT's format: `peft.PeftModel.from_pretrained` loads what is written here,
//! name by name.

mod config;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::adapter_folder::{CONFIG, WEIGHTS};
use crate::engine::candle::model::Target;
use crate::engine::candle::model::lora::{Lora, LoraPair};
use crate::engine::candle::model::shard::Shard;
use crate::error::{Error, Result, refused};
use crate::folder;
use config::AdapterConfig;

/// What PEFT puts before a module's name.
const PREFIX: &str = "base_model.model.";

/// Writes an adapter into a folder, which is made anew.
pub fn write(folder: &Path, lora: &Lora, base: &str) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|source| Error::io("can't remove", folder, source))?;
    }
    fs::create_dir_all(folder).map_err(|source| Error::io("can't create", folder, source))?;
    let config = serde_json::to_string_pretty(&config_json(lora, base))?;
    for (name, bytes) in [
        (CONFIG, format!("{config}\n").into_bytes()),
        (WEIGHTS, serialize(lora)?),
    ] {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|source| Error::io("can't write", &path, source))?;
    }
    Ok(())
}

/// An adapter that was read, and the base that it names.
#[derive(Debug)]
pub struct Loaded {
    /// The adapter.
    pub lora: Lora,
    /// `base_model_name_or_path`.
    pub base: String,
}

/// Reads the adapter in `dir`, whether this crate or PEFT wrote it. Refuses anything that would behave
/// differently here.
pub fn load(dir: &Path) -> Result<Loaded> {
    let config = AdapterConfig::from_json(&folder::read_json(dir, CONFIG)?)?;
    if !dir.join(WEIGHTS).is_file() {
        return refused(format!(
            "adapter: {} has no {WEIGHTS}. Save the adapter as safetensors.",
            dir.display()
        ));
    }
    let shard = Shard::open(&dir.join(WEIGHTS), "adapter")?;
    Ok(Loaded {
        lora: Lora {
            r: config.r,
            alpha: config.alpha,
            pairs: pairs(&shard, &config)?,
        },
        base: config.base,
    })
}

/// The pairs of a weight file, `[r, in]` and `[out, r]`.
fn pairs(shard: &Shard, config: &AdapterConfig) -> Result<BTreeMap<String, LoraPair>> {
    Shard::check_memory(std::slice::from_ref(shard))?;
    let mut pairs = BTreeMap::new();
    for (name, info) in &shard.tensors {
        let module = |part: &str| name.strip_prefix(PREFIX)?.strip_suffix(part);
        let other = |module: &str, part: &str| format!("{PREFIX}{module}.{part}.weight");
        match (module(".lora_A.weight"), module(".lora_B.weight")) {
            (Some(module), _) => {
                let b = other(module, "lora_B");
                if !shard.tensors.contains_key(&b) {
                    return shard.refuse(&format!("lora_B of {module} is missing"));
                }
                let rank = info.shape.first().copied().unwrap_or_default();
                let pair = LoraPair {
                    scale: config.scale(module, rank)?,
                    a: shard.read(name)?,
                    b: shard.read(&b)?,
                };
                pairs.insert(module.to_owned(), pair);
            }
            (None, Some(module)) if shard.tensors.contains_key(&other(module, "lora_A")) => {}
            _ => {
                return shard.refuse(&format!(
                    "the tensor {name} is not supported, only lora_A and lora_B of linear layers"
                ));
            }
        }
    }
    Ok(pairs)
}

fn config_json(lora: &Lora, base: &str) -> Value {
    let modules: BTreeSet<&str> = Target::ALL.into_iter().map(Target::name).collect();
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.r,
        "lora_alpha": whole_or_not(lora.alpha),
        "lora_dropout": 0.0,
        "target_modules": modules,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": null,
        "use_dora": false,
        "use_rslora": false,
    })
}

/// PEFT's own files have a whole number here.
#[allow(
    clippy::cast_possible_truncation,
    reason = "checked to be a whole number in range"
)]
fn whole_or_not(alpha: f64) -> Value {
    if alpha.fract() == 0.0 && alpha < 1e15 {
        json!(alpha as i64)
    } else {
        json!(alpha)
    }
}

fn serialize(lora: &Lora) -> Result<Vec<u8>> {
    let mut data: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (module, pair) in &lora.pairs {
        for (part, tensor) in [("lora_A", &pair.a), ("lora_B", &pair.b)] {
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
            data.insert(
                format!("{PREFIX}{module}.{part}.weight"),
                (tensor.dims().to_vec(), bytes),
            );
        }
    }
    let mut views = Vec::new();
    for (name, (shape, bytes)) in &data {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use candle_core::Device;

    use super::*;
    use crate::base::built_in;
    use crate::engine::candle::CandleModel;

    #[test]
    fn an_adapter_has_pefts_names_and_comes_back_the_same() {
        let base = CandleModel::built_in().unwrap();
        let (lora, _) = Lora::fresh(&base.config, 4, 8.0, 1).unwrap();
        let store = tempfile::tempdir().unwrap();
        let dir = store.path().join("checkpoint-1");
        write(&dir, &lora, built_in::NAME).unwrap();
        let tensors = candle_core::safetensors::load(dir.join(WEIGHTS), &Device::Cpu).unwrap();
        assert_eq!(tensors.len(), base.config.layers * Target::ALL.len() * 2);
        let a = &tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"];
        assert_eq!(a.dims(), [4, base.config.hidden_size]);
        let b = &tensors["base_model.model.model.layers.0.mlp.down_proj.lora_B.weight"];
        assert_eq!(b.dims(), [base.config.hidden_size, 4]);

        let loaded = load(&dir).unwrap();
        assert_eq!((loaded.base.as_str(), loaded.lora.r), ("arkor-tiny", 4));
        let module = "model.layers.1.mlp.up_proj";
        let values = |lora: &Lora| lora.pairs[module].a.to_vec2::<f32>().unwrap();
        assert_eq!(values(&loaded.lora), values(&lora));
        assert!((loaded.lora.pairs[module].scale - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_setting_of_peft_that_changes_the_adapter_is_honoured_or_refused_by_its_name_and_never_unseen()
     {
        let base = CandleModel::built_in().unwrap();
        let (lora, _) = Lora::fresh(&base.config, 4, 8.0, 1).unwrap();
        let store = tempfile::tempdir().unwrap();
        let dir = store.path().join("adapter");
        write(&dir, &lora, built_in::NAME).unwrap();
        let text = fs::read_to_string(dir.join(CONFIG)).unwrap();
        let with = |name: &str, value: Value| {
            let mut config: Value = serde_json::from_str(&text).unwrap();
            config[name] = value;
            fs::write(dir.join(CONFIG), config.to_string()).unwrap();
            load(&dir)
        };
        let scale = |loaded: Result<Loaded>, module: &str| loaded.unwrap().lora.pairs[module].scale;
        let (query, up) = (
            "model.layers.0.self_attn.q_proj",
            "model.layers.1.mlp.up_proj",
        );
        assert!((scale(with("use_rslora", json!(true)), query) - 4.0).abs() < 1e-12);
        let pattern = json!({ "q_proj": 2, "layers.1.mlp.up_proj": 16, "proj": 100 });
        assert!((scale(with("alpha_pattern", pattern.clone()), query) - 0.5).abs() < 1e-12);
        assert!((scale(with("alpha_pattern", pattern), up) - 4.0).abs() < 1e-12);
        for (name, value) in [
            ("a_key_of_next_year", Value::Null),
            ("another", json!([])),
            ("init_lora_weights", json!("gaussian")),
            ("loftq_config", json!({})),
            ("runtime_config", json!({ "ephemeral_gpu_offload": false })),
            ("megatron_core", json!("megatron.core")),
            ("qalora_group_size", json!(16)),
            ("lora_dropout", json!(0.1)),
            ("layers_to_transform", json!([0, 1])),
            ("peft_version", json!("0.21.2")),
        ] {
            assert!(with(name, value).is_ok(), "{name}");
        }
        for (name, value) in [
            ("use_dora", json!(true)),
            ("bias", json!("all")),
            ("modules_to_save", json!(["lm_head"])),
            ("peft_type", json!("LOHA")),
            ("fan_in_fan_out", json!(true)),
            ("layer_replication", json!([[0, 2]])),
            ("trainable_token_indices", json!([1])),
            ("alora_invocation_tokens", json!([1, 2])),
            ("init_lora_weights", json!("pissa_niter_16")),
            ("init_lora_weights", json!("olora")),
            ("init_lora_weights", json!("loftq")),
            ("init_lora_weights", json!("corda")),
            ("target_parameters", json!(["experts.w"])),
            ("arrow_config", json!({ "top_k": 3 })),
            ("revision", json!("v2")),
            ("a_key_of_next_year", json!(0.5)),
            ("use_rslora", json!("yes")),
            ("r", json!(8)),
            ("lora_alpha", json!("16")),
            ("alpha_pattern", json!({ "layers\\.[01]\\..*": 2 })),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(
                error.is_refusal() && error.to_string().contains(name),
                "{error}"
            );
        }
    }
}
