//! The loss of some rows, and its gradients. The backward pass goes through the model layer by layer: what a
//! layer's needs is freed before the next one's turn, and can be computed again instead of being kept.

use candle_core::backprop::GradStore;
use candle_core::{Result as TensorResult, Tensor, Var};

use crate::data::Example;
use crate::engine::candle::model::layers::negative_log_likelihood;
use crate::engine::candle::model::{Llama, gradient};
use crate::error::Result;
use crate::stop::Stop;

/// Logits that are computed at once: with a large vocabulary, those of all tokens would take more memory than
/// the rest of the model.
pub(super) const MAX_LOGITS: usize = 4 << 20;

/// Rows of a batch, one after the other.
pub struct Part {
    ids: Vec<u32>,
    lengths: Vec<usize>,
    /// Where a token is predicted that is trained.
    places: Vec<u32>,
    /// Those tokens.
    targets: Vec<u32>,
}

/// A layer that has been computed.
struct Computed {
    input: Tensor,
    /// With all that its backward pass needs. `None`: it's computed again.
    output: Option<Tensor>,
}

impl Part {
    /// Of these rows. The last token of a row predicts nothing.
    pub fn new(rows: &[&Example]) -> Self {
        let mut part = Self {
            ids: Vec::new(),
            lengths: Vec::with_capacity(rows.len()),
            places: Vec::new(),
            targets: Vec::new(),
        };
        for row in rows {
            let length = row.ids.len().saturating_sub(1);
            for place in (0..length).filter(|place| row.trained[place + 1]) {
                let place_in_part = part.ids.len() + place;
                part.places
                    .push(u32::try_from(place_in_part).unwrap_or(u32::MAX));
                part.targets.push(row.ids[place + 1]);
            }
            part.ids.extend(&row.ids[..length]);
            part.lengths.push(length);
        }
        part
    }

    /// The summed negative log likelihood of the trained tokens.
    pub fn loss(&self, model: &Llama, stop: &dyn Stop) -> Result<f64> {
        let mut hidden = model.embed(&self.ids)?;
        for index in 0..model.layers() {
            stop.check()?;
            hidden = model.layer(index, &hidden, &self.lengths)?;
        }
        let mut sum = 0.0;
        for (hidden, targets) in self.trained(model, &hidden)? {
            stop.check()?;
            sum += value(&negative_log_likelihood(&model.logits(&hidden)?, targets)?)?;
        }
        Ok(sum)
    }

    /// The same divided by `total`, and its gradients. The first `recomputed` layers are computed twice.
    pub fn gradients(
        &self,
        model: &Llama,
        total: f64,
        recomputed: usize,
        stop: &dyn Stop,
    ) -> Result<(f64, GradStore)> {
        let embedded = model.embed(&self.ids)?;
        let mut hidden = embedded.detach();
        let mut layers = Vec::with_capacity(model.layers());
        for index in 0..model.layers() {
            stop.check()?;
            // Nothing is learned before the first layer, unless the embedding is.
            let learns = index > 0 || embedded.track_op();
            let input = if learns { leaf(&hidden)? } else { hidden };
            let output = model.layer(index, &input, &self.lengths)?;
            hidden = output.detach();
            let output = (index >= recomputed).then_some(output);
            layers.push(Computed { input, output });
        }
        let mut grads = GradStore::default();
        let (loss, mut grad) = self.head(model, &hidden, total, &mut grads, stop)?;
        drop(hidden);
        while let Some(Computed { input, output }) = layers.pop() {
            stop.check()?;
            let output = match output {
                Some(output) => output,
                None => model.layer(layers.len(), &input, &self.lengths)?,
            };
            let mut found = gradient::seeded(&output, grad)?.backward()?;
            let Some(of_input) = found.remove(&input) else {
                grads.extend(found)?;
                return Ok((loss, grads));
            };
            grad = of_input;
            grads.extend(found)?;
        }
        if embedded.track_op() {
            grads.extend(gradient::seeded(&embedded, grad)?.backward()?)?;
        }
        Ok((loss, grads))
    }

    /// The loss divided by `total`, and the gradient of what the last layer has computed. Those of the head's
    /// own weights, if it has any that learn, go into `grads`.
    fn head(
        &self,
        model: &Llama,
        hidden: &Tensor,
        total: f64,
        grads: &mut GradStore,
        stop: &dyn Stop,
    ) -> Result<(f64, Tensor)> {
        let mut sum = 0.0;
        let mut of_trained = Vec::new();
        for (hidden, targets) in self.trained(model, hidden)? {
            stop.check()?;
            let hidden = leaf(&hidden)?;
            let loss = (negative_log_likelihood(&model.logits(&hidden)?, targets)? / total)?;
            sum += value(&loss)?;
            let mut found = loss.backward()?;
            of_trained.extend(found.remove(&hidden));
            grads.extend(found)?;
        }
        if of_trained.is_empty() {
            return Ok((sum, hidden.zeros_like()?));
        }
        let of_trained = Tensor::cat(&of_trained, 0)?;
        if self.places.len() == self.ids.len() {
            return Ok((sum, of_trained));
        }
        let places = Tensor::from_slice(&self.places, self.places.len(), hidden.device())?;
        let grad = hidden.zeros_like()?.index_add(&places, &of_trained, 0)?;
        Ok((sum, grad))
    }

    /// The rows of `hidden` whose logits are needed, and what they predict, a few at a time.
    fn trained(&self, model: &Llama, hidden: &Tensor) -> Result<Vec<(Tensor, Vec<u32>)>> {
        let size = (MAX_LOGITS / model.vocab_size()).max(1);
        let mut parts = Vec::with_capacity(self.places.len().div_ceil(size));
        for (places, targets) in self.places.chunks(size).zip(self.targets.chunks(size)) {
            let places = Tensor::from_slice(places, places.len(), hidden.device())?;
            parts.push((hidden.index_select(&places, 0)?, targets.to_vec()));
        }
        Ok(parts)
    }
}

/// A tensor that a graph begins with.
fn leaf(tensor: &Tensor) -> TensorResult<Tensor> {
    Ok(Var::from_tensor(tensor)?.into_inner())
}

fn value(loss: &Tensor) -> TensorResult<f64> {
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

#[cfg(test)]
#[path = "part_tests.rs"]
mod tests;
