//! The learning rate over a run, with the formulas of Hugging Face's schedulers.

use serde::{Deserialize, Serialize};

use crate::number::as_f64;

/// The schedules that a job can name in `lrSchedulerType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Linear decay to zero.
    Linear,
    /// Cosine decay to zero.
    Cosine,
    /// A constant rate without warm-up.
    Constant,
    /// A constant rate after the warm-up.
    ConstantWithWarmup,
}

impl Schedule {
    /// The factor for the update that follows `done` of `total` updates.
    #[must_use]
    pub fn factor(self, done: usize, warmup: usize, total: usize) -> f64 {
        // Hugging Face's `constant` ignores the warm-up steps.
        if done < warmup && self != Self::Constant {
            return as_f64(done) / as_f64(warmup);
        }
        let rest = as_f64(total.saturating_sub(warmup).max(1));
        let progress = (as_f64(done.saturating_sub(warmup)) / rest).min(1.0);
        match self {
            Self::Linear => 1.0 - progress,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Self::Constant | Self::ConstantWithWarmup => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule::{Constant, ConstantWithWarmup, Cosine, Linear};
    use super::*;

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-12, "{left} is not {right}");
    }

    #[test]
    fn every_schedule_but_constant_warms_up_in_a_straight_line() {
        for schedule in [Linear, Cosine, ConstantWithWarmup] {
            near(schedule.factor(0, 4, 12), 0.0);
            near(schedule.factor(1, 4, 12), 0.25);
            near(schedule.factor(4, 4, 12), 1.0);
        }
    }

    #[test]
    fn linear_falls_to_zero_at_the_end() {
        near(Linear.factor(6, 4, 12), 0.75);
        near(Linear.factor(8, 4, 12), 0.5);
        near(Linear.factor(11, 4, 12), 0.125);
        near(Linear.factor(12, 4, 12), 0.0);
    }

    #[test]
    fn cosine_is_half_way_at_half_time() {
        near(Cosine.factor(8, 4, 12), 0.5);
        near(
            Cosine.factor(6, 4, 12),
            0.5 * (1.0 + std::f64::consts::FRAC_1_SQRT_2),
        );
        near(Cosine.factor(12, 4, 12), 0.0);
    }

    #[test]
    fn constant_warmed_up_when_there_were_warm_up_steps() {
        for done in [0, 3, 4, 11] {
            near(Constant.factor(done, 4, 12), 1.0);
        }
        near(ConstantWithWarmup.factor(11, 4, 12), 1.0);
    }

    #[test]
    fn names_are_those_of_hugging_face() {
        let named = |name: &str| serde_json::from_value::<Schedule>(name.into()).ok();
        assert_eq!(named("constant"), Some(Constant));
        assert_eq!(named("constant_with_warmup"), Some(ConstantWithWarmup));
        assert_eq!(named("polynomial"), None);
    }
}
