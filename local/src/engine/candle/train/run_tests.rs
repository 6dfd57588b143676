#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Tensor;

use super::*;
use crate::base::{Base, Source};
use crate::data::{Row, encode};
use crate::engine::Schedule;
use crate::engine::candle::adapter;
use crate::engine::cores::with_all_cores;

#[derive(Default)]
struct Seen {
    logs: Vec<Log>,
    checkpoints: Vec<usize>,
    /// The step whose checkpoint is saved, and where.
    save: Option<(usize, PathBuf)>,
}

impl Observer for Seen {
    fn log(&mut self, log: &Log) -> Result<()> {
        self.logs.push(log.clone());
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let step = checkpoint.state.step;
        self.checkpoints.push(step);
        if let Some((saved, folder)) = &self.save
            && *saved == step
        {
            adapter::write(folder, checkpoint.lora, "arkor-tiny")?;
            resume::save(folder, checkpoint.optimizer, &checkpoint.state)?;
        }
        Ok(())
    }
}

fn plan(total_steps: usize) -> Plan {
    Plan {
        total_steps,
        batch_size: 4,
        learning_rate: 5e-3,
        schedule: Schedule::Linear,
        warmup_steps: 0,
        weight_decay: 0.0,
        logging_steps: 1,
        save_steps: 3,
        eval_steps: 4,
        lora_r: 4,
        lora_alpha: 8.0,
        seed: 3,
        load_in_4bit: false,
    }
}

fn rows(base: &Base) -> Split {
    let examples = (0..20)
        .map(|number| Row::Text(format!("row {number}: qzx vkj wpf")))
        .map(|row| encode::encode(row, &base.text, 64, false).unwrap())
        .collect();
    split(examples)
}

fn split(mut examples: Vec<Example>) -> Split {
    let train = examples.split_off(2);
    Split {
        train,
        eval: examples,
        held_out: true,
    }
}

fn train(plan: &Plan, stop: &dyn Stop) -> (Result<Trained>, Seen) {
    let mut seen = Seen::default();
    let trained = train_from(None, plan, stop, &mut seen);
    (trained, seen)
}

fn train_from(
    resume: Option<&Path>,
    plan: &Plan,
    stop: &dyn Stop,
    seen: &mut Seen,
) -> Result<Trained> {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let model = CandleModel::built_in().unwrap();
    with_all_cores(|| run(&model, &rows(&base), plan, (resume, 0), stop, seen))
}

#[test]
fn layers_that_are_computed_twice_learn_the_same() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let model = CandleModel::built_in().unwrap();
    let losses = |recomputed| {
        let mut seen = Seen::default();
        let rows = rows(&base);
        with_all_cores(|| {
            run(
                &model,
                &rows,
                &plan(3),
                (None, recomputed),
                &|| false,
                &mut seen,
            )
        })
        .unwrap();
        seen.logs.iter().map(bits).collect::<Vec<_>>()
    };
    let kept = losses(0);
    assert_eq!(losses(2), kept);
    assert_eq!(losses(model.config.layers), kept);
}

#[test]
fn a_run_resumes_as_if_it_had_never_ended() {
    let plan = Plan {
        logging_steps: 2,
        weight_decay: 0.01,
        ..plan(9)
    };
    let (whole, expected) = train(&plan, &|| false);
    for step in [3, 6, 9] {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Seen {
            save: Some((step, dir.path().join("c"))),
            ..Seen::default()
        };
        train_from(None, &plan, &|| false, &mut first).unwrap();
        let mut rest = Seen::default();
        let end = train_from(Some(&dir.path().join("c")), &plan, &|| false, &mut rest).unwrap();
        let after = expected.logs.iter().filter(|log| log.step > step);
        let after: Vec<(u64, u64)> = after.map(bits).collect();
        assert_eq!(
            rest.logs.iter().map(bits).collect::<Vec<_>>(),
            after,
            "{step}"
        );
        let whole = whole.as_ref().unwrap();
        let ends = [whole.loss, whole.eval_loss].map(f64::to_bits);
        assert_eq!([end.loss, end.eval_loss].map(f64::to_bits), ends);
        for (module, pair) in &whole.lora.pairs {
            let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(
                values(&end.lora.pairs[module].b),
                values(&pair.b),
                "{module}"
            );
        }
    }
}

fn unnamed(vars: Vec<(String, Var)>) -> Vec<Var> {
    vars.into_iter().map(|(_, var)| var).collect()
}

fn bits(log: &Log) -> (u64, u64) {
    (
        log.loss.to_bits(),
        log.eval_loss.unwrap_or_default().to_bits(),
    )
}

#[test]
fn a_checkpoint_of_another_adapter_or_engine_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("c");
    let mut first = Seen {
        save: Some((3, folder.clone())),
        ..Seen::default()
    };
    train_from(None, &plan(3), &|| false, &mut first).unwrap();
    let refusal = |plan: &Plan| {
        let result = train_from(Some(&folder), plan, &|| false, &mut Seen::default());
        let error = result.err().unwrap();
        assert!(error.is_refusal(), "{error}");
        error.to_string()
    };
    let other = Plan {
        lora_r: 8,
        ..plan(3)
    };
    assert!(refusal(&other).contains("another shape"));
    let path = folder.join("trainer_state.json");
    let state = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, state.replace("candle ", "candle 9.")).unwrap();
    assert!(refusal(&plan(3)).contains("it was saved by candle 9."));
    std::fs::remove_file(folder.join("optimizer.safetensors")).unwrap();
    std::fs::write(&path, state).unwrap();
    let result = train_from(Some(&folder), &plan(3), &|| false, &mut Seen::default());
    assert!(result.is_err());
}

fn losses(seen: &Seen) -> Vec<(f64, Option<f64>)> {
    seen.logs
        .iter()
        .map(|log| (log.loss, log.eval_loss))
        .collect()
}

#[test]
fn a_run_learns_and_logs_evaluates_and_saves_when_it_is_due() {
    let (trained, seen) = train(&plan(8), &|| false);
    let trained = trained.unwrap();
    assert_eq!(
        seen.logs.iter().map(|log| log.step).collect::<Vec<_>>(),
        (1..=8).collect::<Vec<_>>()
    );
    let evaluated: Vec<usize> = seen
        .logs
        .iter()
        .filter(|log| log.eval_loss.is_some())
        .map(|log| log.step)
        .collect();
    assert_eq!(evaluated, [1, 4, 8]);
    assert_eq!(seen.checkpoints, [3, 6, 8]);
    assert!(
        trained.eval_loss < seen.logs[0].eval_loss.unwrap(),
        "{:?}",
        seen.logs
    );
    assert!(seen.logs[7].loss < seen.logs[0].loss, "{:?}", seen.logs);
    assert!((seen.logs[0].learning_rate - 5e-3).abs() < 1e-12);
    assert!((seen.logs[7].learning_rate - 5e-3 / 8.0).abs() < 1e-12);
    assert!((seen.logs[0].epoch - 4.0 / 18.0).abs() < 1e-12);
}

#[test]
fn the_same_seed_gives_the_same_losses_and_another_seed_does_not() {
    let (_, first) = train(&plan(3), &|| false);
    let (_, second) = train(&plan(3), &|| false);
    assert_eq!(losses(&first), losses(&second));
    let (_, other) = train(&Plan { seed: 4, ..plan(3) }, &|| false);
    assert_ne!(losses(&first), losses(&other));
}

#[test]
fn a_stopped_run_ends_with_stopped_and_not_as_a_failure() {
    let asked = AtomicUsize::new(0);
    let (result, seen) = train(&plan(50), &|| asked.fetch_add(1, Ordering::SeqCst) > 30);
    assert!(matches!(result, Err(Error::Stopped)));
    assert!(seen.logs.len() < 50);
}

/// A run whose first update ruins the adapter.
fn diverging(more: impl FnOnce(&mut Plan)) -> (Error, Seen) {
    let mut plan = plan(8);
    plan.learning_rate = 1e30;
    more(&mut plan);
    let (result, seen) = train(&plan, &|| false);
    (result.err().unwrap(), seen)
}

#[test]
fn a_run_that_diverged_in_its_last_step_was_completed_with_an_adapter_of_nan() {
    let (error, seen) = diverging(|plan| plan.total_steps = 1);
    assert!(
        matches!(error, Error::Diverged { step: 1, .. }),
        "{error:?}"
    );
    let words = error.to_string();
    assert!(words.contains("diverged at step 1") && words.contains("learningRate"));
    let last = seen.logs.last().unwrap();
    assert!(
        !last.eval_loss.unwrap().is_finite(),
        "the log shows it: {last:?}"
    );
    assert!(seen.checkpoints.is_empty(), "{:?}", seen.checkpoints);
}

#[test]
fn a_step_whose_loss_is_nan_was_not_logged() {
    let (error, seen) = diverging(|plan| (plan.logging_steps, plan.eval_steps) = (5, 5));
    assert!(
        matches!(error, Error::Diverged { step: 2, .. }),
        "{error:?}"
    );
    let last = seen.logs.last().unwrap();
    assert!(last.step == 2 && !last.loss.is_finite(), "{last:?}");
}

#[test]
fn a_checkpoint_was_written_from_values_that_are_not_finite() {
    let base = CandleModel::built_in().unwrap();
    let (_, vars) = Lora::fresh(&base.config, 4, 8.0, 1).unwrap();
    let vars = unnamed(vars);
    assert!(step::non_finite(&vars).unwrap().is_finite());
    let large = (vars[0].ones_like().unwrap() * f64::from(f32::MAX)).unwrap();
    vars[0].set(&large).unwrap();
    assert!(step::non_finite(&vars).unwrap().is_finite());
    for value in [f64::NAN, f64::INFINITY] {
        vars[3]
            .set(&(vars[3].ones_like().unwrap() * value).unwrap())
            .unwrap();
        assert!(!step::non_finite(&vars).unwrap().is_finite(), "{value}");
    }
}

#[test]
fn only_the_adapter_gets_gradients_and_a_new_adapter_changes_nothing() {
    let base = CandleModel::built_in().unwrap();
    let text = Base::load(&Source::BuiltIn).unwrap();
    let (lora, vars) = Lora::fresh(&base.config, 4, 8.0, 1).unwrap();
    let vars = unnamed(vars);
    let plain = Llama::new(&base.config, &base.weights, None).unwrap();
    let adapted = Llama::new(&base.config, &base.weights, Some(&lora)).unwrap();
    let rows = rows(&text);
    let batch: Vec<&Example> = rows.train.iter().take(2).collect();
    let before = step::loss(&plain, &batch, &|| false).unwrap();
    let (after, mut grads) = step::gradients(&adapted, &batch, 0, &|| false).unwrap();
    assert!((before - after).abs() < 1e-6, "{before} {after}");

    // B is zero at first, so that A's gradient is zero and B's is not.
    let size = |grad: &Tensor| {
        grad.abs()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    for pair in vars.chunks(2) {
        assert!(size(grads.get(&pair[0]).unwrap()) == 0.0);
        assert!(size(grads.get(&pair[1]).unwrap()) > 0.0);
    }
    let embedding = base
        .weights
        .get("model.embed_tokens.weight", &[260, 128])
        .unwrap();
    assert!(grads.get(&embedding).is_none());
    let norm = step::clip(&mut grads, &vars, 1e-3).unwrap();
    assert!(norm > 1e-3);
    assert!((step::clip(&mut grads, &vars, 1.0).unwrap() - 1e-3).abs() < 1e-6);
}
