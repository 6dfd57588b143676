//! A model that several chats generate with at the same time. Most of the time of a token is spent on reading the
//! weights from memory, so the chats' next tokens are computed together: each weight is read once for all of them.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::CandleModel;
use super::model::lora::Lora;
use super::model::{KvCache, Llama};
use crate::error::{Error, Result, refused};

/// How long the other chats wait for one that's late, because its client reads slowly for example. Then they go on
/// without it until it's back.
const PATIENCE: Duration = Duration::from_millis(5);

/// A decoder, and the chats that take part in its steps.
#[derive(Debug)]
pub struct SharedModel {
    base: Arc<CandleModel>,
    lora: Option<Arc<Lora>>,
    llama: Llama,
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last_id: usize,
    /// By chat, whether the next step waits for it.
    expected: HashMap<usize, bool>,
    waiting: Vec<Request>,
    /// By chat, what its last step has computed.
    done: HashMap<usize, (KvCache, Result<Vec<f32>>)>,
    /// Whether a step is being computed.
    running: bool,
}

/// A chat's next step.
#[derive(Debug)]
struct Request {
    chat: usize,
    token: u32,
    cache: KvCache,
}

/// A chat's part in the steps, until it's dropped.
#[derive(Debug)]
pub struct Chat<'a> {
    model: &'a SharedModel,
    id: usize,
}

impl SharedModel {
    /// A model that no chat uses yet. Errors when the adapter doesn't fit.
    pub fn new(base: Arc<CandleModel>, lora: Option<Arc<Lora>>) -> Result<Self> {
        Ok(Self {
            llama: Llama::new(&base.config, &base.weights, lora.as_deref())?,
            base,
            lora,
            patience: PATIENCE,
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Whether it's made of these.
    #[must_use]
    pub fn is_of(&self, base: &Arc<CandleModel>, lora: Option<&Arc<Lora>>) -> bool {
        let same_lora = match (&self.lora, lora) {
            (Some(own), Some(lora)) => Arc::ptr_eq(own, lora),
            (own, lora) => own.is_none() && lora.is_none(),
        };
        Arc::ptr_eq(&self.base, base) && same_lora
    }

    /// The decoder.
    #[must_use]
    pub fn llama(&self) -> &Llama {
        &self.llama
    }

    /// Adds a chat, whose prompt is in its cache already.
    pub fn join(&self) -> Chat<'_> {
        let mut state = self.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.expected.insert(id, true);
        Chat { model: self, id }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes a step of several chats.
    fn run(&self, requests: Vec<Request>) {
        let (chats, tokens): (Vec<usize>, Vec<u32>) = requests
            .iter()
            .map(|request| (request.chat, request.token))
            .unzip();
        let caches = requests.into_iter().map(|request| request.cache).collect();
        // Dropped, it hands out the results, even those of a step that panicked.
        let mut step = Step {
            model: self,
            chats,
            caches,
            logits: Vec::new(),
        };
        step.logits = match logits(&self.llama, &tokens, &mut step.caches) {
            Ok(logits) => logits.into_iter().map(finite).collect(),
            Err(error) => {
                let why = error.to_string();
                tokens.iter().map(|_| refused(&why)).collect()
            }
        };
    }
}

impl State {
    /// Whether all chats that the next step waits for are there.
    fn is_complete(&self) -> bool {
        let expected = self.expected.values().filter(|expected| **expected);
        self.waiting.len() >= expected.count()
    }

    /// Stops waiting for the chats that aren't there.
    fn give_up_on_late_chats(&mut self) {
        for (chat, expected) in &mut self.expected {
            *expected = self.waiting.iter().any(|request| request.chat == *chat);
        }
    }
}

impl Chat<'_> {
    /// The logits of the token after `token`, which continues what's in the cache.
    pub fn next(&mut self, token: u32, cache: &mut KvCache) -> Result<Vec<f32>> {
        let model = self.model;
        let deadline = Instant::now() + model.patience;
        let mut state = model.lock();
        state.expected.insert(self.id, true);
        state.waiting.push(Request {
            chat: self.id,
            token,
            cache: mem::take(cache),
        });
        loop {
            if let Some((filled, logits)) = state.done.remove(&self.id) {
                *cache = filled;
                return logits;
            }
            if state.running {
                let woken = model.changed.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.give_up_on_late_chats();
            }
            if state.is_complete() {
                state.running = true;
                let requests = mem::take(&mut state.waiting);
                drop(state);
                model.run(requests);
                state = model.lock();
            } else {
                let woken = model.changed.wait_timeout(state, left);
                (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Drop for Chat<'_> {
    fn drop(&mut self) {
        let mut state = self.model.lock();
        state.expected.remove(&self.id);
        state.done.remove(&self.id);
        drop(state);
        self.model.changed.notify_all();
    }
}

/// A step that's being computed.
struct Step<'a> {
    model: &'a SharedModel,
    chats: Vec<usize>,
    caches: Vec<KvCache>,
    logits: Vec<Result<Vec<f32>>>,
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        let mut logits = mem::take(&mut self.logits).into_iter();
        let mut state = self.model.lock();
        for (chat, cache) in self.chats.iter().zip(mem::take(&mut self.caches)) {
            let logits = logits
                .next()
                .unwrap_or_else(|| refused("model: the step of another chat panicked"));
            state.done.insert(*chat, (cache, logits));
        }
        state.running = false;
        self.model.changed.notify_all();
    }
}

/// The logits after each of `tokens`, which continue their own caches.
fn logits(llama: &Llama, tokens: &[u32], caches: &mut [KvCache]) -> Result<Vec<Vec<f32>>> {
    let hidden = llama.forward_each(tokens, caches)?;
    Ok(llama.logits(&hidden)?.to_vec2()?)
}

/// Refuses logits that aren't numbers.
pub fn finite(logits: Vec<f32>) -> Result<Vec<f32>> {
    if logits.iter().all(|logit| logit.is_finite()) {
        return Ok(logits);
    }
    Err(Error::Refused(
        "model: what it computes isn't finite, so its weights, or those of the adapter, are damaged"
            .to_owned(),
    ))
}

#[cfg(test)]
#[path = "shared_model_tests.rs"]
mod tests;
