#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::mpsc;
use std::thread;

use super::*;
use crate::engine::candle::generate::next_logits;

/// Longer than any test takes: nobody gives up.
const FOREVER: Duration = Duration::from_hours(1);

fn model(patience: Duration) -> SharedModel {
    let base = Arc::new(CandleModel::built_in().unwrap());
    SharedModel {
        patience,
        ..SharedModel::new(base, None).unwrap()
    }
}

/// A prompt of its own for each number.
fn prompt(number: u32) -> Vec<u32> {
    (0..3 + number).map(|place| 30 + number + place).collect()
}

fn cache(model: &SharedModel, number: u32) -> KvCache {
    let mut cache = KvCache::new(model.llama().layers(), 64);
    next_logits(model.llama(), &prompt(number), &mut cache).unwrap();
    cache
}

/// The logits of 20 steps.
fn steps(
    model: &SharedModel,
    number: u32,
    mut next: impl FnMut(u32, &mut KvCache) -> Vec<f32>,
) -> Vec<Vec<f32>> {
    let mut cache = cache(model, number);
    (0..20)
        .map(|step| next(40 + number + step, &mut cache))
        .collect()
}

#[test]
fn chats_that_share_their_steps_get_the_logits_of_one_that_is_alone_to_the_bit() {
    let model = model(FOREVER);
    let alone: Vec<_> = (0..4)
        .map(|number| {
            let mut chat = model.join();
            steps(&model, number, |token, cache| {
                chat.next(token, cache).unwrap()
            })
        })
        .collect();
    // All have joined before any takes a step.
    let chats: Vec<Chat> = (0..4).map(|_| model.join()).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = chats
            .into_iter()
            .zip(0..)
            .map(|(mut chat, number)| {
                let model = &model;
                scope.spawn(move || {
                    steps(model, number, |token, cache| {
                        chat.next(token, cache).unwrap()
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn a_step_waits_for_the_chats_that_take_part_until_they_leave() {
    let model = model(FOREVER);
    let [mut waiting, mut other] = [model.join(), model.join()];
    let (sender, answer) = mpsc::channel();
    thread::scope(|scope| {
        let model = &model;
        scope.spawn(move || {
            let mut cache = cache(model, 0);
            for token in [50, 51] {
                sender
                    .send(waiting.next(token, &mut cache).unwrap())
                    .unwrap();
            }
        });
        assert!(answer.try_recv().is_err());
        other.next(60, &mut cache(model, 1)).unwrap();
        answer.recv().unwrap();
        drop(other);
        answer.recv().unwrap();
    });
}

#[test]
fn a_chat_that_is_late_is_not_waited_for_again_until_it_is_back() {
    let model = model(Duration::from_millis(1));
    let [mut punctual, mut late] = [model.join(), model.join()];
    let mut caches = [0, 1].map(|number| cache(&model, number));
    punctual.next(50, &mut caches[0]).unwrap();
    assert_eq!(
        model
            .lock()
            .expected
            .values()
            .filter(|expected| **expected)
            .count(),
        1
    );
    late.next(50, &mut caches[1]).unwrap();
    assert!(model.lock().expected[&late.id]);
}

#[test]
fn what_is_not_finite_is_refused() {
    assert_eq!(finite(vec![1.0, -2.0]).unwrap(), [1.0, -2.0]);
    let error = finite(vec![1.0, f32::NAN]).unwrap_err().to_string();
    assert!(
        error.starts_with("model: what it computes isn't finite"),
        "{error}"
    );
}
