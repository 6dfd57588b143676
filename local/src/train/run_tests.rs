#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Tensor;

use super::*;
use crate::base::Source;
use crate::data::{Row, encode, split};
use crate::model::lora::Lora;
use crate::train::with_all_cores;

#[derive(Default)]
struct Seen {
    logs: Vec<Log>,
    checkpoints: Vec<usize>,
}

impl Observer for Seen {
    fn log(&mut self, log: &Log) -> Result<()> {
        self.logs.push(log.clone());
        Ok(())
    }

    fn checkpoint(&mut self, step: usize, _: &Lora) -> Result<()> {
        self.checkpoints.push(step);
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
    }
}

fn rows(base: &Base) -> Split {
    let examples = (0..20)
        .map(|number| Row::Text(format!("row {number}: qzx vkj wpf")))
        .map(|row| encode::encode(row, &base.text, 64, false).unwrap())
        .collect();
    split(examples, 1)
}

fn train(plan: &Plan, stop: &dyn Stop) -> (Result<Trained>, Seen) {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let mut seen = Seen::default();
    let trained = with_all_cores(|| run(&base, &rows(&base), plan, stop, &mut seen));
    (trained, seen)
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
    let base = Base::load(&Source::BuiltIn).unwrap();
    let (_, vars) = Lora::fresh(&base.config, 4, 8.0, 1).unwrap();
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
    let base = Base::load(&Source::BuiltIn).unwrap();
    let (lora, vars) = Lora::fresh(&base.config, 4, 8.0, 1).unwrap();
    let plain = Llama::new(&base.config, &base.weights, None).unwrap();
    let adapted = Llama::new(&base.config, &base.weights, Some(&lora)).unwrap();
    let rows = rows(&base);
    let batch: Vec<&Example> = rows.train.iter().take(2).collect();
    let before = step::loss(&plain, &batch, &|| false).unwrap();
    let (after, mut grads) = step::gradients(&adapted, &batch, &|| false).unwrap();
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

#[test]
fn the_gradients_are_those_of_the_loss() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let (lora, vars) = Lora::fresh(&base.config, 4, 8.0, 1).unwrap();
    // B is not zero, or nothing would depend on A. Rows of more than one block of queries.
    let mut rng = fastrand::Rng::with_seed(2);
    for var in &vars {
        let noise: Vec<f32> = (0..var.elem_count())
            .map(|_| (rng.f32() - 0.5) / 5.0)
            .collect();
        let noise = Tensor::from_vec(noise, var.shape(), var.device()).unwrap();
        var.set(&noise).unwrap();
    }
    let model = Llama::new(&base.config, &base.weights, Some(&lora)).unwrap();
    let examples: Vec<Example> = [150, 70]
        .map(|length| Row::Text("the quick brown fox ".repeat(length / 20 + 1)))
        .into_iter()
        .map(|row| encode::encode(row, &base.text, 150, false).unwrap())
        .collect();
    let batch: Vec<&Example> = examples.iter().collect();
    let (_, grads) = step::gradients(&model, &batch, &|| false).unwrap();
    let scalar = |tensor: Tensor| f64::from(tensor.sum_all().unwrap().to_scalar::<f32>().unwrap());
    // Along the gradient of one kind of matrices, A and B of one layer type at a time.
    for kind in 0..14 {
        let some: Vec<&Var> = vars.iter().skip(kind).step_by(14).collect();
        let grad = |var: &Var| grads.get(var).unwrap().clone();
        let square: f64 = some
            .iter()
            .map(|var| scalar(grad(var).sqr().unwrap()))
            .sum();
        let step = 0.01 / square.sqrt();
        let starts: Vec<Tensor> = some
            .iter()
            .map(|var| var.as_tensor().copy().unwrap())
            .collect();
        let loss_at = |distance: f64| {
            for (var, start) in some.iter().zip(&starts) {
                let moved = (start + (grad(var) * distance).unwrap()).unwrap();
                var.set(&moved).unwrap();
            }
            step::loss(&model, &batch, &|| false).unwrap()
        };
        let slope = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        loss_at(0.0);
        assert!(
            (slope / square - 1.0).abs() < 0.02,
            "kind {kind}: {slope} along the gradient, {square} by it"
        );
    }
}
