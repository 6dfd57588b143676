//! The numbers of a run that depend on the number of rows.

use crate::data::held_out;
use crate::engine::Plan;
use crate::number::as_f64;
use crate::run_config::{DRY_RUN_STEPS, RunConfig};

/// Computes the numbers of a run that trains on `rows` rows. `all` counts the rows of the dataset, of
/// which a dry run only uses a few.
pub fn plan(config: &RunConfig, rows: usize, all: usize) -> Plan {
    let steps = |rows: usize| {
        let per_epoch = rows.div_ceil(config.batch_size);
        let by_epochs = || round(as_f64(per_epoch) * config.num_train_epochs, f64::ceil);
        config.max_steps.unwrap_or_else(by_epochs).max(1)
    };
    let mut total_steps = steps(rows);
    let mut warmup_steps = config.warmup_steps;
    if config.dry_run {
        total_steps = total_steps.min(DRY_RUN_STEPS);
        // Warmup takes the same share of the steps as in the real run.
        let real = steps(all - held_out(all));
        let part = as_f64(warmup_steps) / as_f64(real);
        warmup_steps = round(part * as_f64(total_steps), f64::round);
    }
    let part = |count: usize| total_steps.div_ceil(count);
    let within = |steps: Option<usize>, default: usize| {
        if config.dry_run {
            default
        } else {
            steps.unwrap_or(default)
        }
    };
    Plan {
        total_steps,
        batch_size: config.batch_size,
        learning_rate: config.learning_rate,
        schedule: config.schedule,
        warmup_steps,
        weight_decay: config.weight_decay,
        logging_steps: if config.dry_run {
            1
        } else {
            config.logging_steps
        },
        save_steps: within(config.save_steps, part(3)),
        eval_steps: within(config.eval_steps, part(5)),
        lora_r: config.lora_r,
        lora_alpha: config.lora_alpha,
        seed: config.seed,
        load_in_4bit: config.load_in_4bit,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of steps; a float that is too large becomes the largest integer"
)]
fn round(steps: f64, how: fn(f64) -> f64) -> usize {
    how(steps) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::{Value, json};

    use super::*;

    fn config(more: &Value) -> RunConfig {
        let mut config = json!({
            "model": "arkor-tiny",
            "datasetSource": { "type": "blob", "url": "https://data.example/rows.jsonl" },
        });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        RunConfig::from_json(&config).unwrap()
    }

    #[test]
    fn a_plan_that_an_older_version_stored_quantises_nothing() {
        let whole = plan(&config(&json!({})), 9, 10);
        let mut stored = serde_json::to_value(&whole).unwrap();
        assert_eq!(stored["loadIn4bit"], false);
        stored.as_object_mut().unwrap().remove("loadIn4bit");
        assert_eq!(serde_json::from_value::<Plan>(stored).unwrap(), whole);
    }

    #[test]
    fn a_dry_run_kept_a_warm_up_of_100_in_6_steps() {
        let warmup = |more: Value, rows: usize, all: usize| {
            let plan = plan(&config(&more), rows, all);
            (plan.warmup_steps, plan.total_steps)
        };
        let long = json!({ "dryRun": true, "maxSteps": 1000, "warmupSteps": 100 });
        assert_eq!(warmup(long, 29, 10_000), (1, 6));
        let half = json!({ "dryRun": true, "maxSteps": 200, "warmupSteps": 100 });
        assert_eq!(warmup(half, 29, 10_000), (3, 6));
        // 8000 rows in steps of 8. 32 rows are held out.
        let epoch = json!({ "dryRun": true, "warmupSteps": 498 });
        assert_eq!(warmup(epoch, 29, 8000), (2, 4));
        let real = json!({ "maxSteps": 1000, "warmupSteps": 100 });
        assert_eq!(warmup(real, 900, 1000), (100, 1000));
    }
}
