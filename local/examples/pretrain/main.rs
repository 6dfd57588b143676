//! Trains the built-in base, `arkor-tiny`, from scratch and writes it as a Hugging Face directory. It's an
//! example, not a subcommand, so that it stays out of the shipped program:
//!
//! ```text
//! cargo run --profile local -p arkor-local --example pretrain -- --out DIR --steps N --seed S
//! ```

mod corpus;
mod files;
mod words;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use arkor_local::data::Example;
use arkor_local::engine::candle::model::{Llama, LlamaConfig, Target, Weights};
use arkor_local::engine::candle::train::step;
use arkor_local::engine::{Schedule, cores};
use arkor_local::error::{Error, Result};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use clap::Parser;
use corpus::Corpus;
use tokenizers::Tokenizer;

#[derive(Parser)]
struct Args {
    /// The output directory.
    #[arg(long)]
    out: PathBuf,
    /// The number of updates.
    #[arg(long, default_value_t = 3000)]
    steps: usize,
    /// The seed of the weights and of the corpus.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of documents per update.
    #[arg(long, default_value_t = 12)]
    batch: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 3e-3)]
    learning_rate: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    cores::with_all_cores(|| run(&args))
}

fn run(args: &Args) -> Result<()> {
    write(&args.out, "config.json", &files::config())?;
    write(&args.out, "tokenizer.json", &files::tokenizer())?;
    write(
        &args.out,
        "tokenizer_config.json",
        &files::tokenizer_config(),
    )?;
    let tokenizer =
        Tokenizer::from_file(args.out.join("tokenizer.json")).map_err(Error::Tokenizer)?;
    let config = LlamaConfig::from_json(&files::config())?;
    let vars = fresh(&config, args.seed)?;
    let tensors = vars
        .iter()
        .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
        .collect();
    let weights = Weights::from_tensors(tensors);
    eprintln!("{} parameters", weights.parameters());
    let model = Llama::new(&config, &weights, None)?;
    let trained: Vec<Var> = vars.values().cloned().collect();
    let params = ParamsAdamW {
        lr: 0.0,
        weight_decay: 0.01,
        beta2: 0.99,
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(trained.clone(), params)?;
    let mut corpus = Corpus::new(args.seed);
    let started = Instant::now();
    let (mut tokens, mut window, mut counted) = (0, 0.0, 0.0);
    for done in 0..args.steps {
        let rows: Vec<Example> = (0..args.batch)
            .map(|_| example(&tokenizer, &corpus.document()))
            .collect::<Result<_>>()?;
        tokens += rows.iter().map(|row| row.ids.len()).sum::<usize>();
        let rows: Vec<&Example> = rows.iter().collect();
        optimizer
            .set_learning_rate(args.learning_rate * Schedule::Cosine.factor(done, 100, args.steps));
        let (loss, mut grads) = step::gradients(&model, &rows, 0, &|| false)?;
        step::clip(&mut grads, &trained, 1.0)?;
        optimizer.step(&grads)?;
        window += loss;
        counted += 1.0;
        if (done + 1) % 100 == 0 || done + 1 == args.steps {
            let loss = window / counted;
            let seconds = started.elapsed().as_secs();
            eprintln!(
                "step {}: loss {loss:.4} per byte, {tokens} tokens, {seconds} s",
                done + 1
            );
            (window, counted) = (0.0, 0.0);
            save(&args.out, &vars)?;
        }
    }
    save(&args.out, &vars)
}

/// The initial weights. Matrices are normally distributed with a deviation of 0.02, and less where a
/// layer writes into the residual stream. Norms are ones.
fn fresh(config: &LlamaConfig, seed: u64) -> Result<HashMap<String, Var>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut vars = HashMap::new();
    let mut matrix = |name: String, (out, input): (usize, usize), deviation: f64| -> Result<()> {
        let values: Vec<f32> = (0..out * input)
            .map(|_| normal(&mut rng, deviation))
            .collect();
        vars.insert(name, Var::from_vec(values, (out, input), &Device::Cpu)?);
        Ok(())
    };
    matrix(
        "model.embed_tokens.weight".to_owned(),
        (config.vocab_size, config.hidden_size),
        0.02,
    )?;
    for layer in 0..config.layers {
        for target in Target::ALL {
            let deviation = if matches!(target, Target::Output | Target::Down) {
                0.006
            } else {
                0.02
            };
            matrix(
                format!("{}.weight", target.module(layer)),
                target.shape(config),
                deviation * 2.0,
            )?;
        }
    }
    let mut norms = vec!["model.norm".to_owned()];
    for layer in 0..config.layers {
        norms.push(format!("model.layers.{layer}.input_layernorm"));
        norms.push(format!("model.layers.{layer}.post_attention_layernorm"));
    }
    for norm in norms {
        let ones = Var::ones(config.hidden_size, DType::F32, &Device::Cpu)?;
        vars.insert(format!("{norm}.weight"), ones);
    }
    Ok(vars)
}

/// A sample of a normal distribution, from the Box–Muller transform.
#[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
fn normal(rng: &mut fastrand::Rng, deviation: f64) -> f32 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.f64()).cos() * deviation) as f32
}

/// A document with its end token, whose tokens are all trained.
fn example(tokenizer: &Tokenizer, text: &str) -> Result<Example> {
    let mut ids = tokenizer
        .encode_fast(text, false)
        .map_err(Error::Tokenizer)?
        .get_ids()
        .to_vec();
    ids.push(files::END_OF_TEXT);
    ids.truncate(320);
    Ok(Example {
        trained: vec![true; ids.len()],
        ids,
    })
}

fn save(out: &Path, vars: &HashMap<String, Var>) -> Result<()> {
    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    for (name, var) in vars {
        tensors.insert(name.clone(), var.as_tensor().to_dtype(DType::F16)?);
    }
    candle_core::safetensors::save(&tensors, out.join("model.safetensors"))?;
    Ok(())
}

fn write(out: &Path, name: &str, json: &serde_json::Value) -> Result<()> {
    fs::create_dir_all(out).map_err(|source| Error::io("can't create", out, source))?;
    let path = out.join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(json)?);
    fs::write(&path, text).map_err(|source| Error::io("can't write", &path, source))
}
