//! Measures the cost of decoding, without Node and without a network: `cargo run --release --example decode`.
//! Prints the best of five rounds, in ns per event.

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Instant;

use arkor::batch::Batch;
use arkor::event;
use arkor::sse::{Decoder, TooLarge};
use bytes::Bytes;
use eventsource_stream::Eventsource;

const EVENTS: u32 = 200_000;
/// The size of a read from a socket.
const READ: usize = 64 * 1024;

fn stream() -> Bytes {
    let mut text = String::new();
    for step in 1..=EVENTS {
        let _ = write!(
            text,
            "id: {step}\nevent: training.log\ndata: {{\"type\":\"training.log\",\"jobId\":\"bench\",\
             \"timestamp\":\"2026-01-01T00:00:00.000Z\",\"step\":{step},\"loss\":1.2345678,\
             \"evalLoss\":null,\"learningRate\":0.0002,\"epoch\":0.125,\"samplesPerSecond\":12.5}}\n\n"
        );
    }
    Bytes::from(text)
}

fn main() -> Result<(), TooLarge> {
    let bytes = stream();
    let reads: Vec<Bytes> = (0..bytes.len())
        .step_by(READ)
        .map(|at| bytes.slice(at..bytes.len().min(at + READ)))
        .collect();
    best("eventsource-stream alone", || {
        let source = futures::stream::iter(reads.iter().cloned().map(Ok::<_, Infallible>));
        let events = futures::executor::block_on_stream(Box::pin(source.eventsource()));
        Ok(events.flatten().count())
    })?;
    best("the decoder", || {
        let mut decoder = Decoder::default();
        let mut frames = 0;
        for read in &reads {
            decoder.push(read, |_| frames += 1)?;
        }
        Ok(frames)
    })?;
    best("the decoder, the JSON, the layout", || {
        let mut decoder = Decoder::default();
        let mut batch = Batch::default();
        let mut events = 0;
        for read in &reads {
            decoder.push(read, |frame| {
                batch.push(frame.id.as_deref(), event::read(&frame));
                if batch.is_full() {
                    batch = Batch::default();
                }
                events += 1;
            })?;
        }
        Ok(events)
    })
}

fn best(what: &str, round: impl Fn() -> Result<usize, TooLarge>) -> Result<(), TooLarge> {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let begin = Instant::now();
        let events = round()?;
        assert_eq!(events, EVENTS as usize, "{what}");
        best = best.min(begin.elapsed().as_secs_f64());
    }
    println!("{what}: {:.0} ns", best * 1e9 / f64::from(EVENTS));
    Ok(())
}
