#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::json;

use super::*;
use crate::engine::Schedule;
use crate::engine::candle::CandleModel;
use crate::engine::candle::model::random;

fn plan(batch_size: usize) -> Plan {
    Plan {
        total_steps: 1,
        batch_size,
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        warmup_steps: 0,
        weight_decay: 0.0,
        logging_steps: 1,
        save_steps: 1,
        eval_steps: 1,
        lora_r: 8,
        lora_alpha: 8.0,
        seed: 1,
        load_in_4bit: false,
    }
}

fn rows(length: usize) -> Vec<Example> {
    let row = Example {
        ids: vec![0; length],
        trained: vec![true; length],
    };
    vec![row; 8]
}

fn fitted(length: usize, limit: Option<u64>, free: Option<u64>, cores: usize) -> Result<Fit> {
    let config = CandleModel::built_in().unwrap().config;
    fit(
        &config,
        (MEGABYTE, 0),
        &plan(8),
        &rows(length),
        (limit, free),
        cores,
    )
}

#[test]
fn layers_are_recomputed_until_a_run_fits_and_then_fewer_cores_are_used() {
    let plenty = fitted(512, None, Some(64 << 30), 4).unwrap();
    assert_eq!((plenty.recomputed, plenty.cores), (0, 4));
    let less = fitted(512, Some(plenty.bytes - 1), None, 4).unwrap();
    assert_eq!((less.recomputed, less.cores), (1, 4));
    assert!(less.bytes < plenty.bytes);
    let free = fitted(
        512,
        None,
        Some((plenty.bytes - PROCESS - MEGABYTE) / 9 * 10 - MEGABYTE),
        4,
    )
    .unwrap();
    assert_eq!(free, less);

    // As if it had a limit of a byte, but nobody set one: it's tried.
    let least = fitted(512, None, Some(1), 4).unwrap();
    let layers = CandleModel::built_in().unwrap().config.layers;
    assert_eq!((least.recomputed, least.cores), (layers, 1));
    assert_eq!(fitted(512, Some(least.bytes), None, 4).unwrap(), least);
    let error = fitted(512, Some(least.bytes - 1), None, 4).unwrap_err();
    assert!(error.is_refusal());
    assert!(error.to_string().contains("--memory"), "{error}");
}

#[test]
fn more_cores_or_longer_rows_take_more_memory() {
    let bytes = |length, cores| fitted(length, None, Some(64 << 30), cores).unwrap().bytes;
    assert!(bytes(512, 2) > bytes(512, 1));
    assert!(bytes(1024, 2) > bytes(512, 2));
}

#[test]
fn a_size_is_read_as_people_write_it() {
    for (text, bytes) in [
        ("4GB", 4_000_000_000),
        ("1.5gib", 1_610_612_736),
        ("800 MB", 800_000_000),
        ("1024", 1024),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "GB", "4TB", "-1GB", "0", "4.5.1GB", "0.1"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
}

#[test]
fn norms_of_heads_take_memory_and_windows_save_some() {
    let bytes = |special: &serde_json::Value| {
        let config = random::model(special).config;
        let free = (None, Some(64 << 30));
        fit(&config, (MEGABYTE, 0), &plan(8), &rows(256), free, 2)
            .unwrap()
            .bytes
    };
    let llama = bytes(&json!({ "architectures": ["LlamaForCausalLM"], "head_dim": 16 }));
    let qwen3 = bytes(&json!({ "architectures": ["Qwen3ForCausalLM"], "head_dim": 16 }));
    assert!(qwen3 > llama, "{qwen3} {llama}");
    assert!(bytes(&json!({ "architectures": ["LlamaForCausalLM"], "head_dim": 32 })) > llama);
    let window = |window: usize| {
        bytes(&json!({
            "architectures": ["MistralForCausalLM"], "head_dim": 16, "sliding_window": window,
        }))
    };
    assert!(window(8) < llama, "{} {llama}", window(8));
    assert_eq!(window(250), llama);
}
