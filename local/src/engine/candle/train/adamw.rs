//! AdamW. candle-nn has one, but keeps its moments to itself, and a run that resumes needs them back to
//! the bit. The formulas and their order are candle-nn's, which are PyTorch's.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::error::{Result, refused};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The optimizer of a run.
#[derive(Debug)]
pub struct AdamW {
    parameters: Vec<Parameter>,
    weight_decay: f64,
    updates: i32,
}

/// A trained tensor, by its name in checkpoints, and its moments.
#[derive(Debug)]
struct Parameter {
    name: String,
    var: Var,
    first: Tensor,
    second: Tensor,
}

impl AdamW {
    /// An optimizer that has made no update yet.
    pub fn new(vars: Vec<(String, Var)>, weight_decay: f64) -> Result<Self> {
        let parameter = |(name, var): (String, Var)| {
            Ok(Parameter {
                first: var.zeros_like()?,
                second: var.zeros_like()?,
                name,
                var,
            })
        };
        Ok(Self {
            parameters: vars.into_iter().map(parameter).collect::<Result<_>>()?,
            weight_decay,
            updates: 0,
        })
    }

    /// Updates every tensor that has a gradient.
    pub fn step(&mut self, grads: &GradStore, learning_rate: f64) -> Result<()> {
        self.updates += 1;
        let first_scale = 1.0 / (1.0 - BETA_1.powi(self.updates));
        let second_scale = 1.0 / (1.0 - BETA_2.powi(self.updates));
        for parameter in &mut self.parameters {
            let Some(grad) = grads.get(&parameter.var) else {
                continue;
            };
            let first = ((&parameter.first * BETA_1)? + (grad * (1.0 - BETA_1))?)?;
            let second = ((&parameter.second * BETA_2)? + (grad.sqr()? * (1.0 - BETA_2))?)?;
            let decayed = (parameter.var.as_tensor() * (1.0 - learning_rate * self.weight_decay))?;
            let denominator = ((&second * second_scale)?.sqrt()? + EPSILON)?;
            let change = ((&first * first_scale)? / denominator)?;
            parameter.var.set(&(decayed - (change * learning_rate)?)?)?;
            // The old moments are part of no graph: these mustn't be either.
            parameter.first = first.detach();
            parameter.second = second.detach();
        }
        Ok(())
    }

    /// The moments by name, for a checkpoint.
    pub fn moments(&self) -> HashMap<String, Tensor> {
        let named = self.parameters.iter().flat_map(|parameter| {
            let Parameter {
                name,
                first,
                second,
                ..
            } = parameter;
            [
                (format!("{name}.exp_avg"), first.clone()),
                (format!("{name}.exp_avg_sq"), second.clone()),
            ]
        });
        named.collect()
    }

    /// Restores the moments of a checkpoint that was saved after this many updates.
    pub fn restore(&mut self, moments: &HashMap<String, Tensor>, updates: usize) -> Result<()> {
        for parameter in &mut self.parameters {
            let shape = parameter.var.dims();
            let find = |moment: &str| {
                let name = format!("{}.{moment}", parameter.name);
                match moments.get(&name) {
                    Some(tensor) if tensor.dims() == shape => Ok(tensor.clone()),
                    _ => refused(format!("the checkpoint lacks the tensor {name}")),
                }
            };
            let (first, second) = (find("exp_avg")?, find("exp_avg_sq")?);
            (parameter.first, parameter.second) = (first, second);
        }
        self.updates = i32::try_from(updates).unwrap_or(i32::MAX);
        Ok(())
    }
}
