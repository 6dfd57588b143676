//! Text generation. Text comes out in pieces of whole characters: a byte-level tokenizer can split a character
//! over several tokens, and a client must never see half of one.

use tokio_util::sync::CancellationToken;

use crate::constrain::TokenMask;
use crate::engine::candle::model::{KvCache, Llama};
use crate::engine::candle::shared_model::{self, SharedModel};
use crate::engine::{ChatTask, Finish, Generated, Sampling};
use crate::error::{Error, Result};

/// How many tokens of a prompt are processed at once. Their attention scores take memory for each earlier
/// token.
const PREFILL_TOKENS: usize = 512;

/// How many tokens of the answer the cache initially has room for, besides the prompt. It grows when it's full:
/// most answers are far shorter than `max_tokens`.
const GROWTH_TOKENS: usize = 256;

/// Answers a prompt. `on_text` gets the text in pieces and answers whether it wants more. Ends early when
/// `cancel` is cancelled.
pub fn generate(
    model: &SharedModel,
    task: ChatTask,
    cancel: &CancellationToken,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> Result<Generated> {
    let ChatTask {
        base,
        prompt,
        sampling,
        constraint,
        ..
    } = task;
    let text = &base.text;
    let mut guide = constraint.map(|constraint| constraint.guide);
    let mut rng = fastrand::Rng::with_seed(sampling.seed);
    let mut stream = text.tokenizer().decode_stream(true);
    let (mut ids, mut sent) = (Vec::new(), 0);
    let limit = sampling
        .max_tokens
        .min(base.context.saturating_sub(prompt.len()));
    let llama = model.llama();
    let mut cache = KvCache::new(llama.layers(), prompt.len() + limit.min(GROWTH_TOKENS));
    let mut generated = Generated {
        finish: Finish::Length,
        tokens: 0,
    };
    let Some(mut logits) = prefill(llama, prompt, &mut cache, cancel)? else {
        return Ok(generated);
    };
    let mut chat = model.join();
    while generated.tokens < limit {
        if cancel.is_cancelled() {
            return Ok(generated);
        }
        if let Some(guide) = &mut guide {
            let Some(allowed) = guide.allowed()? else {
                generated.finish = Finish::Stop;
                break;
            };
            forbid(&mut logits, &allowed);
        }
        let next = sample(&logits, sampling, &mut rng);
        generated.tokens += 1;
        if text.is_stop(next) {
            generated.finish = Finish::Stop;
            break;
        }
        if let Some(guide) = &mut guide {
            guide.advance(next)?;
        }
        ids.push(next);
        if let Some(piece) = stream.step(next).map_err(Error::Tokenizer)? {
            sent += piece.len();
            if !on_text(&piece) {
                return Ok(generated);
            }
        }
        if generated.tokens < limit {
            logits = chat.next(next, &mut cache)?;
        }
    }
    drop(chat);
    // An unfinished character at the very end: shown as the replacement character.
    let all = text
        .tokenizer()
        .decode(&ids, true)
        .map_err(Error::Tokenizer)?;
    if let Some(rest) = all.get(sent..).filter(|rest| !rest.is_empty()) {
        on_text(rest);
    }
    Ok(generated)
}

/// Reads the prompt into the cache, and gives the logits of the first token after it. `None` when it was
/// cancelled.
fn prefill(
    model: &Llama,
    prompt: &[u32],
    cache: &mut KvCache,
    cancel: &CancellationToken,
) -> Result<Option<Vec<f32>>> {
    let mut logits = Vec::new();
    for part in prompt.chunks(PREFILL_TOKENS) {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        logits = next_logits(model, part, cache)?;
    }
    Ok(Some(logits))
}

/// Logits of the token after `input`, which continues what is in the cache.
pub fn next_logits(model: &Llama, input: &[u32], cache: &mut KvCache) -> Result<Vec<f32>> {
    let hidden = model.forward_cached(input, cache)?;
    let last = hidden.narrow(0, input.len() - 1, 1)?;
    shared_model::finite(model.logits(&last)?.flatten_all()?.to_vec1()?)
}

/// Leaves only the tokens that may come next. A model can have more logits than there are tokens.
fn forbid(logits: &mut [f32], allowed: &TokenMask) {
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

    use std::sync::Arc;

    use super::*;
    use crate::base::{Base, Source};
    use crate::engine::candle::CandleModel;

    fn built_in() -> (Base, SharedModel) {
        let base = Base::load(&Source::BuiltIn).unwrap();
        let model = CandleModel::built_in().unwrap();
        (base, SharedModel::new(Arc::new(model), None).unwrap())
    }

    fn ask(
        (base, model): (&Base, &SharedModel),
        prompt: &str,
        sampling: &Sampling,
        cancel: &CancellationToken,
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Generated {
        let prompt = base.text.encode(prompt, false).unwrap().ids;
        let task = ChatTask {
            base,
            adapter: None,
            prompt: &prompt,
            sampling,
            constraint: None,
        };
        generate(model, task, cancel, on_text).unwrap()
    }

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
        let (base, model) = built_in();
        let model = model.llama();
        let ids = base.text.encode("the quick brown fox", false).unwrap().ids;
        let mut cache = KvCache::new(model.layers(), 64);
        next_logits(model, &ids[..5], &mut cache).unwrap();
        next_logits(model, &ids[5..9], &mut cache).unwrap();
        for end in 10..=ids.len() {
            let step = next_logits(model, &ids[end - 1..end], &mut cache).unwrap();
            let whole =
                next_logits(model, &ids[..end], &mut KvCache::new(model.layers(), 64)).unwrap();
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
        let (base, model) = built_in();
        // Hot enough that bytes of unfinished characters come up.
        let sampling = Sampling {
            temperature: 3.0,
            top_p: 1.0,
            max_tokens: 80,
            seed: 5,
        };
        let generated = |on_text: &mut dyn FnMut(&str) -> bool| {
            let cancel = CancellationToken::new();
            let prompt = "Translate to German: street";
            ask((&base, &model), prompt, &sampling, &cancel, on_text)
        };
        let mut pieces = Vec::new();
        let end = generated(&mut |piece| {
            pieces.push(piece.to_owned());
            true
        });
        assert!(end.tokens > 0);
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        let mut again = String::new();
        generated(&mut |piece| {
            again.push_str(piece);
            true
        });
        assert_eq!(pieces.concat(), again);
    }

    #[test]
    fn a_sink_that_wants_no_more_or_a_cancellation_ends_the_generation() {
        let (base, model) = built_in();
        let run = |cancel: &CancellationToken, on_text: &mut dyn FnMut() -> bool| {
            let on_text = &mut |_: &str| on_text();
            ask((&base, &model), "The", &greedy(50), cancel, on_text).tokens
        };
        let cancel = CancellationToken::new();
        assert_eq!(run(&cancel, &mut || false), 1);
        // It is cancelled while a piece is on its way, which may be of several tokens.
        let mut calls = 0;
        let tokens = run(&cancel, &mut || {
            calls += 1;
            cancel.cancel();
            true
        });
        assert_eq!((calls, tokens), (1, 1));
        assert_eq!(run(&cancel, &mut || true), 0);
    }

    #[test]
    fn a_long_prompt_is_read_in_parts_and_no_further_than_its_cancellation() {
        let (_, model) = built_in();
        let model = model.llama();
        let prompt: Vec<u32> = (0..700).map(|index| 30 + index % 50).collect();
        let cancel = CancellationToken::new();
        let mut parts = KvCache::new(model.layers(), 1024);
        let read = prefill(model, &prompt, &mut parts, &cancel)
            .unwrap()
            .unwrap();
        let mut whole = KvCache::new(model.layers(), 1024);
        let at_once = next_logits(model, &prompt, &mut whole).unwrap();
        for (left, right) in read.iter().zip(&at_once) {
            assert!((left - right).abs() < 1e-3, "{left} {right}");
        }
        assert_eq!(parts.len(), prompt.len());

        cancel.cancel();
        let mut cache = KvCache::new(model.layers(), 1024);
        let cancelled = prefill(model, &prompt, &mut cache, &cancel).unwrap();
        assert_eq!((cancelled, cache.len()), (None, 0));
    }
}
