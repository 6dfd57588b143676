//! Tests how the loop reacts to time, silence, aborts and floods of events.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::unnecessary_wraps,
    reason = "a test fails by panicking, its numbers are exact, its helpers are short"
)]

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream::BoxStream;

use super::fake::*;
use super::*;

/// A backend that opens one given stream.
struct Endless(Mutex<Option<BoxStream<'static, Result<Bytes, Error>>>>);
impl Backend for Endless {
    type Body = BoxStream<'static, Result<Bytes, Error>>;
    async fn open(&self, _: Option<&str>, _: Option<Duration>) -> Result<Self::Body, Refusal> {
        Ok(self.0.lock().unwrap().take().unwrap())
    }
    async fn job(&self) -> Option<String> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn t25_the_streams_retry_field_replaces_the_base_delay_and_is_remembered() {
    let answers = [
        stream([Step::Read(format!("retry: 7000\n{}", log(1)))]),
        stream([logs([2])]),
        stream([completed()]),
    ];
    let mut run = Run::new(answers, fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    for notice in run.notices() {
        let seconds = notice.delay.as_secs_f64();
        assert!((5.25..=8.75).contains(&seconds), "{seconds}");
    }
    assert_eq!(run.resume.retry, Some(Duration::from_secs(7)));
}

#[tokio::test(start_paused = true)]
async fn t26_silence_is_a_failure_and_so_are_headers_that_never_come() {
    let answers = [
        Answer::NoHeaders,
        stream([
            logs([1]),
            Step::Silence(Duration::from_secs(59)),
            logs([2]),
            Step::Hang,
        ]),
        stream([completed()]),
    ];
    let mut run = Run::new(answers, fine);
    let begin = Instant::now();
    assert_eq!(run.follow().await, Outcome::Completed);
    assert_eq!(run.seen(), [1.0, 2.0, 1000.0]);
    assert_eq!(run.notices().len(), 2);
    // 60 s without headers, 59 s + 60 s of silence, and two delays of about 1 s.
    let took = begin.elapsed().as_secs_f64();
    assert!((179.0..183.0).contains(&took), "{took}");
    for notice in run.notices() {
        let message = notice.error.unwrap().to_string();
        assert!(message.contains("60000 ms (idleTimeoutMs)"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn t26_the_time_of_a_callback_never_counts_and_reading_goes_on_meanwhile() {
    let answers = [stream([
        logs([1]),
        Step::Silence(Duration::from_secs(200)),
        logs([2]),
        completed(),
    ])];
    let mut run = Run::new(answers, |step| {
        if step == 1.0 {
            Reaction::Slow(Duration::from_secs(180))
        } else {
            Reaction::Ok
        }
    });
    let begin = Instant::now();
    assert_eq!(run.follow().await, Outcome::Completed);
    assert!(run.notices().is_empty(), "{:?}", run.notices());
    assert_eq!(
        begin.elapsed().as_secs(),
        200,
        "the silence ran while the callback did"
    );
}

#[tokio::test(start_paused = true)]
async fn t26_without_a_timeout_silence_is_waited_out() {
    let day = Duration::from_secs(86_400);
    let mut run = Run::new([stream([Step::Silence(day), completed()])], fine);
    run.options.idle_timeout = None;
    assert_eq!(run.follow().await, Outcome::Completed);
}

#[tokio::test(start_paused = true)]
async fn t29_an_abort_ends_reading_and_delays_at_once() {
    let situations: [fn() -> Answer; 3] = [
        || stream([logs([1]), Step::Hang]),
        || Answer::NoHeaders,
        || Answer::Refuse {
            status: 503,
            retry_after: Some(Duration::from_secs(50)),
        },
    ];
    for situation in situations {
        let mut run = Run::new([situation()], fine);
        let abort = run.abort.clone();
        let begin = Instant::now();
        let aborting = async {
            sleep(Duration::from_secs(10)).await;
            abort.cancel();
        };
        let (end, ()) = tokio::join!(run.follow(), aborting);
        assert_eq!(end, Outcome::Aborted);
        assert_eq!(begin.elapsed().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn t29_an_abort_in_a_callback_waits_for_it_and_starts_no_other() {
    // Two batches: 256 events, then 44.
    let mut run = Run::new([stream([logs(1..=300), Step::Hang])], |_| {
        Reaction::Slow(Duration::from_secs(30))
    });
    let abort = run.abort.clone();
    let aborting = async {
        sleep(Duration::from_secs(10)).await;
        abort.cancel();
    };
    let begin = Instant::now();
    let (end, ()) = tokio::join!(run.follow(), aborting);
    assert_eq!(end, Outcome::Aborted);
    // The fake runs the whole batch at once and acknowledges it when all 256 have settled.
    assert_eq!(begin.elapsed().as_secs(), 30 * 256);
    assert_eq!(run.seen().len(), 256, "the second batch was handed over");
}

#[tokio::test(start_paused = true)]
async fn t27_an_event_over_the_limit_is_a_failure_that_names_it() {
    let endless = Step::Read("x".repeat(1024 * 1024));
    let mut run = Run::new([stream(vec![endless; 17]), stream([completed()])], fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    let message = run.notices()[0].error.clone().unwrap().to_string();
    assert!(message.contains("16 MiB"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn t27_a_slow_callback_holds_back_the_socket() {
    // Reads of 64 KiB; the backend counts how many were taken.
    let read: String = (0..1000).map(log).collect();
    let taken = Arc::new(Mutex::new(0));
    let counter = taken.clone();
    let reads = futures::stream::repeat_with(move || {
        *counter.lock().unwrap() += 1;
        Ok(Bytes::from(read.clone()))
    });
    let backend = Endless(Mutex::new(Some(reads.boxed())));
    let mut run = Run::new([], |_| Reaction::Slow(Duration::from_secs(1)));
    // Run long enough for more than a hundred batches.
    let followed = run_for(&backend, &mut run, Duration::from_secs(30_000)).await;
    assert!(followed.is_err(), "it goes on for ever");
    let (taken, called) = (*taken.lock().unwrap(), run.seen().len());
    assert!(called > 25_000, "{called} callbacks");
    assert!(
        taken < called / 1000 + 5,
        "{taken} reads were taken for {called} callbacks"
    );
}

async fn run_for<B: Backend + Sync>(
    backend: &B,
    run: &mut Run,
    time: Duration,
) -> Result<Outcome, tokio::time::error::Elapsed> {
    let following = super::run(
        backend,
        &mut run.callbacks,
        &run.options,
        &mut run.resume,
        &run.abort,
    );
    timeout(time, following).await
}
