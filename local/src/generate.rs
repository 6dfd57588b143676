//! Text generation. Text comes out in pieces of whole characters: a byte-level tokenizer can split a character
//! over several tokens, and a client must never see half of one.

use llguidance::toktrie::SimpleVob;

use crate::base::text::TextCodec;
use crate::constrain::Guide;
use crate::error::{Error, Result};
use crate::model::{KvCache, Llama};

/// How to choose the next token.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 always takes the likeliest token.
    pub temperature: f64,
    /// Only the likeliest tokens whose probabilities add up to this.
    pub top_p: f64,
    /// At most this many tokens.
    pub max_tokens: usize,
    /// Of the random choices.
    pub seed: u64,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it.
    Stop,
    /// It reached `max_tokens`, or the end of the model's context.
    Length,
}

impl Finish {
    /// As `finish_reason` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// How a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated {
    /// Why.
    pub finish: Finish,
    /// Tokens that were generated, the ending one included.
    pub tokens: usize,
}

/// Generates a text after `prompt`, along `guide` if there is one. `on_text` gets it in pieces and
/// answers whether to go on.
pub fn generate(
    model: &Llama,
    text: &TextCodec,
    prompt: &[u32],
    context: usize,
    sampling: &Sampling,
    mut guide: Option<Guide>,
    mut on_text: impl FnMut(&str) -> bool,
) -> Result<Generated> {
    let mut rng = fastrand::Rng::with_seed(sampling.seed);
    let mut stream = text.tokenizer().decode_stream(true);
    let (mut ids, mut sent) = (Vec::new(), 0);
    let mut input = prompt.to_vec();
    let limit = sampling
        .max_tokens
        .min(context.saturating_sub(prompt.len()));
    let mut cache = KvCache::new(model.layers(), prompt.len() + limit);
    let mut finish = Finish::Length;
    let mut tokens = 0;
    while tokens < limit {
        let allowed = guide.as_mut().map(Guide::allowed).transpose()?;
        if matches!(allowed, Some(None)) {
            finish = Finish::Stop;
            break;
        }
        let mut logits = next_logits(model, &input, &mut cache)?;
        if let Some(allowed) = allowed.flatten() {
            forbid(&mut logits, &allowed);
        }
        let next = sample(&logits, sampling, &mut rng);
        tokens += 1;
        if text.is_stop(next) {
            finish = Finish::Stop;
            break;
        }
        if let Some(guide) = &mut guide {
            guide.take(next)?;
        }
        ids.push(next);
        if let Some(piece) = stream.step(next).map_err(Error::Tokenizer)? {
            sent += piece.len();
            if !on_text(&piece) {
                return Ok(Generated { finish, tokens });
            }
        }
        input = vec![next];
    }
    // An unfinished character at the very end: shown as the replacement character.
    let all = text
        .tokenizer()
        .decode(&ids, true)
        .map_err(Error::Tokenizer)?;
    if let Some(rest) = all.get(sent..).filter(|rest| !rest.is_empty()) {
        on_text(rest);
    }
    Ok(Generated { finish, tokens })
}

/// Logits of the token after `input`, which continues what is in the cache.
pub fn next_logits(model: &Llama, input: &[u32], cache: &mut KvCache) -> Result<Vec<f32>> {
    let hidden = model.continued(input, cache)?;
    let last = hidden.narrow(0, input.len() - 1, 1)?;
    Ok(model.logits(&last)?.flatten_all()?.to_vec1::<f32>()?)
}

/// Leaves only the tokens that may come next. A model can have more logits than there are tokens.
fn forbid(logits: &mut [f32], allowed: &SimpleVob) {
    for (index, logit) in logits.iter_mut().enumerate() {
        if index >= allowed.len() || !allowed.is_allowed(token(index)) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Chooses a token. The likeliest one at temperature 0; else by chance, within `top_p`.
fn sample(logits: &[f32], sampling: &Sampling, rng: &mut fastrand::Rng) -> u32 {
    // Backwards, so that the first of equals is taken.
    let best = (0..logits.len())
        .rev()
        .max_by(|left, right| logits[*left].total_cmp(&logits[*right]))
        .unwrap_or_default();
    if sampling.temperature <= 0.0 {
        return token(best);
    }
    let highest = f64::from(logits[best]);
    let weight = |logit: &f32| ((f64::from(*logit) - highest) / sampling.temperature).exp();
    let mut weights: Vec<(usize, f64)> = logits.iter().map(weight).enumerate().collect();
    let mut mass: f64 = weights.iter().map(|(_, weight)| weight).sum();
    if sampling.top_p < 1.0 {
        weights.sort_by(|left, right| right.1.total_cmp(&left.1));
        let enough = mass * sampling.top_p;
        mass = 0.0;
        let nucleus = weights.iter().position(|(_, weight)| {
            mass += weight;
            mass >= enough
        });
        weights.truncate(nucleus.map_or(weights.len(), |last| last + 1));
    }
    let mut rest = rng.f64() * mass;
    for (id, weight) in &weights {
        rest -= weight;
        if rest < 0.0 {
            return token(*id);
        }
    }
    token(best)
}

fn token(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::base::{Base, Source};

    fn greedy(max_tokens: usize) -> Sampling {
        Sampling {
            temperature: 0.0,
            top_p: 1.0,
            max_tokens,
            seed: 0,
        }
    }

    #[test]
    fn with_the_cache_the_logits_are_those_of_the_whole_text() {
        let base = Base::load(&Source::BuiltIn).unwrap();
        let model = Llama::new(&base.config, &base.weights, None).unwrap();
        let ids = base.text.encode("the quick brown fox", false).unwrap().ids;
        let mut cache = KvCache::new(base.config.layers, 64);
        next_logits(&model, &ids[..5], &mut cache).unwrap();
        next_logits(&model, &ids[5..9], &mut cache).unwrap();
        for end in 10..=ids.len() {
            let step = next_logits(&model, &ids[end - 1..end], &mut cache).unwrap();
            let whole = next_logits(
                &model,
                &ids[..end],
                &mut KvCache::new(base.config.layers, 64),
            )
            .unwrap();
            for (left, right) in step.iter().zip(&whole) {
                assert!((left - right).abs() < 1e-3, "{left} {right} at {end}");
            }
        }
        assert_eq!(cache.len(), ids.len());
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_and_top_p_cuts_the_tail_off() {
        let mut rng = fastrand::Rng::with_seed(1);
        let logits = [0.0, 3.0, 2.9, -5.0];
        assert_eq!(sample(&logits, &greedy(1), &mut rng), 1);
        let nucleus = Sampling {
            temperature: 1.0,
            top_p: 0.9,
            max_tokens: 1,
            seed: 0,
        };
        let drawn: std::collections::BTreeSet<u32> = (0..200)
            .map(|_| sample(&logits, &nucleus, &mut rng))
            .collect();
        assert_eq!(drawn, [1, 2].into());
    }

    #[test]
    fn pieces_are_whole_characters_and_add_up_to_the_text() {
        let base = Base::load(&Source::BuiltIn).unwrap();
        let model = Llama::new(&base.config, &base.weights, None).unwrap();
        let prompt = base
            .text
            .encode("Translate to German: street", false)
            .unwrap()
            .ids;
        // Hot enough that bytes of unfinished characters come up.
        let sampling = Sampling {
            temperature: 3.0,
            top_p: 1.0,
            max_tokens: 80,
            seed: 5,
        };
        let mut pieces = Vec::new();
        let end = generate(
            &model,
            &base.text,
            &prompt,
            1024,
            &sampling,
            None,
            |piece| {
                pieces.push(piece.to_owned());
                true
            },
        );
        assert!(end.unwrap().tokens > 0);
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        let mut again = String::new();
        generate(
            &model,
            &base.text,
            &prompt,
            1024,
            &sampling,
            None,
            |piece| {
                again.push_str(piece);
                true
            },
        )
        .unwrap();
        assert_eq!(pieces.concat(), again);
    }

    #[test]
    fn a_client_that_is_gone_stops_the_generation() {
        let base = Base::load(&Source::BuiltIn).unwrap();
        let model = Llama::new(&base.config, &base.weights, None).unwrap();
        let prompt = base.text.encode("The", false).unwrap().ids;
        let mut calls = 0;
        let end = generate(&model, &base.text, &prompt, 1024, &greedy(50), None, |_| {
            calls += 1;
            false
        });
        assert_eq!((calls, end.unwrap().tokens), (1, 1));
    }
}
