//! The loop without Node and without HTTP: a scripted backend, a scripted dispatcher, and a
//! clock that only moves when everything waits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream::BoxStream;

use super::fake::{Answer, Reaction, Run, Step};
use super::*;

fn fine(_: f64) -> Reaction {
    Reaction::Ok
}

fn log(id: u32) -> String {
    format!("id: {id}\ndata: {{\"type\":\"training.log\",\"step\":{id}}}\n\n")
}

fn log_without_id(step: u32) -> String {
    format!("data: {{\"type\":\"training.log\",\"step\":{step}}}\n\n")
}

fn logs(ids: impl IntoIterator<Item = u32>) -> Step {
    Step::Read(ids.into_iter().map(log).collect())
}

fn completed() -> Step {
    Step::Read("id: 1000\ndata: {\"type\":\"training.completed\"}\n\n".to_owned())
}

fn stream(steps: impl Into<Vec<Step>>) -> Answer {
    Answer::Stream(steps.into())
}

fn id(id: &str) -> Option<String> {
    Some(id.to_owned())
}

#[tokio::test(start_paused = true)]
async fn t8_events_are_dispatched_in_order_in_batches_that_end_at_256() {
    let mut run = Run::new([stream([logs(1..=600), completed()])], fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    let mut expected: Vec<f64> = (1..=600).map(f64::from).collect();
    expected.push(1000.0);
    assert_eq!(run.seen(), expected);
}

#[tokio::test(start_paused = true)]
async fn t14_t15_a_throw_reopens_the_stream_after_the_failing_event() {
    let mut run = Run::new(
        [stream([logs(1..=5)]), stream([logs(4..=5), completed()])],
        |step| {
            if step == 3.0 {
                Reaction::Throw
            } else {
                Reaction::Ok
            }
        },
    );
    assert_eq!(run.follow().await, Outcome::Completed);
    assert_eq!(run.seen(), [1.0, 2.0, 3.0, 4.0, 5.0, 1000.0]);
    assert_eq!(run.opened(), [None, id("3")]);
    assert_eq!(run.notices()[0].reason, Reason::Callback);
    assert_eq!(run.notices()[0].last_event_id, id("3"));
}

#[tokio::test(start_paused = true)]
async fn t15_an_event_without_an_id_is_sent_again_and_dispatched_again() {
    let mut throws = 0;
    let events = Step::Read(log(1) + &log_without_id(2));
    let mut run = Run::new(
        [
            stream([events]),
            stream([Step::Read(log_without_id(2)), completed()]),
        ],
        move |step| {
            if step == 2.0 && throws == 0 {
                throws += 1;
                return Reaction::Throw;
            }
            Reaction::Ok
        },
    );
    assert_eq!(run.follow().await, Outcome::Completed);
    assert_eq!(run.seen(), [1.0, 2.0, 2.0, 1000.0]);
    assert_eq!(run.opened(), [None, id("1")]);
}

#[tokio::test(start_paused = true)]
async fn t17_a_callback_that_keeps_throwing_backs_off_and_is_given_up() {
    let answers = (1..=4).map(|at| {
        stream([
            Step::Read(": bytes\n\n:\n\nevent: ping\n\n".to_owned()),
            logs([at]),
        ])
    });
    let mut run = Run::new(answers, |_| Reaction::Throw);
    run.options.policy.max_attempts = Some(3);
    let end = run.follow().await;
    assert_eq!(
        end,
        Outcome::Failed(Error::Exhausted {
            failures: 4,
            cause: None
        })
    );
    let attempts: Vec<u32> = run.notices().iter().map(|notice| notice.attempt).collect();
    assert_eq!(attempts, [0, 1, 2]);
    let delays: Vec<f64> = run
        .notices()
        .iter()
        .map(|notice| notice.delay.as_secs_f64())
        .collect();
    for (delay, full) in delays.into_iter().zip([1.0, 2.0, 4.0]) {
        assert!(
            (0.75 * full..=1.25 * full).contains(&delay),
            "{delay} for {full}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn t17_a_success_before_the_throw_in_the_same_batch_ends_the_row() {
    let answers = (0..5)
        .map(|at| stream([logs([2 * at + 1, 2 * at + 2])]))
        .chain([stream([completed()])]);
    let mut run = Run::new(answers, |step| {
        if step < 1000.0 && step % 2.0 == 0.0 {
            Reaction::Throw
        } else {
            Reaction::Ok
        }
    });
    run.options.policy.max_attempts = Some(1);
    assert_eq!(run.follow().await, Outcome::Completed);
    assert!(run.notices().iter().all(|notice| notice.attempt == 0));
}

#[tokio::test(start_paused = true)]
async fn t18_a_terminal_event_survives_its_callback() {
    let ends: [fn() -> Answer; 3] = [
        || stream([Step::Read("event: end\n\n".to_owned())]),
        || stream([]),
        || Answer::Refuse {
            status: 410,
            retry_after: None,
        },
    ];
    for end in ends {
        let mut run = Run::new([stream([completed()]), end()], |_| Reaction::Throw);
        assert_eq!(run.follow().await, Outcome::Completed);
        assert_eq!(run.opened(), [None, id("1000")]);
    }
}

#[tokio::test(start_paused = true)]
async fn t18_when_the_attempts_are_exhausted_a_later_wait_has_the_result() {
    let mut run = Run::new([stream([completed()])], |_| Reaction::Throw);
    run.options.policy.max_attempts = Some(0);
    let end = run.follow().await;
    assert_eq!(
        end,
        Outcome::Failed(Error::Exhausted {
            failures: 1,
            cause: None
        })
    );
    assert_eq!(run.follow().await, Outcome::Completed);
    assert_eq!(run.opened().len(), 1, "no second request");
}

#[tokio::test(start_paused = true)]
async fn t20_reject_resumes_at_the_failing_event() {
    let mut throws = 0;
    let mut run = Run::new(
        [stream([logs(1..=5)]), stream([logs(3..=5), completed()])],
        move |step| {
            if step == 3.0 && throws == 0 {
                throws += 1;
                return Reaction::Throw;
            }
            Reaction::Ok
        },
    );
    run.options.reject_callback_errors = true;
    assert_eq!(run.follow().await, Outcome::Threw);
    assert_eq!(run.seen(), [1.0, 2.0, 3.0]);
    assert_eq!(run.follow().await, Outcome::Completed);
    assert_eq!(run.opened(), [None, id("2")]);
    assert_eq!(run.seen()[3..], [3.0, 4.0, 5.0, 1000.0]);
}

#[tokio::test(start_paused = true)]
async fn t20_reject_does_not_hold_a_terminal_event_whose_callback_threw() {
    let mut run = Run::new([stream([completed()]), stream([completed()])], |_| {
        Reaction::Throw
    });
    run.options.reject_callback_errors = true;
    assert_eq!(run.follow().await, Outcome::Threw);
    run.callbacks.script = Box::new(fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    assert_eq!(run.opened(), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn t22_failures_reconnect_and_a_clean_end_after_data_counts_nothing() {
    let answers = [
        Answer::Refuse {
            status: 404,
            retry_after: None,
        },
        Answer::Refuse {
            status: 500,
            retry_after: Some(Duration::from_secs(30)),
        },
        stream([Step::Break]),
        stream([]),
        stream([logs([1])]),
        stream([logs([2]), Step::Break]),
        stream([completed()]),
    ];
    let mut run = Run::new(answers, fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    let attempts: Vec<u32> = run.notices().iter().map(|notice| notice.attempt).collect();
    assert_eq!(attempts, [0, 1, 2, 3, 0, 0]);
    assert!(run.notices()[1].delay >= Duration::from_secs(30), "T25");
    let eof = Error::plain("SSE stream closed without emitting any frame");
    assert_eq!(run.notices()[3].reason, Reason::Failure(eof));
    assert_eq!(run.notices()[4].reason, Reason::CleanEnd);
    assert_eq!(
        run.notices()[5].reason,
        Reason::Failure(Error::plain("broken"))
    );
}

#[tokio::test(start_paused = true)]
async fn t23_a_permanent_answer_rejects_at_once() {
    for status in [401, 403, 410, 426] {
        let mut run = Run::new(
            [Answer::Refuse {
                status,
                retry_after: None,
            }],
            fine,
        );
        assert_eq!(
            run.follow().await,
            Outcome::Failed(Error::Api {
                status,
                message: String::new()
            })
        );
        assert!(run.notices().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn t24_the_last_id_passed_is_sent_also_of_blocks_without_a_callback() {
    let passed = [
        ("id: 2\n\n", "2"),
        ("id: 2\ndata: no json\n\n", "2"),
        ("id: 2\nevent: ping\n\n", "2"),
        ("id: 2\ndata: {\"type\":\"training.news\"}\n\n", "2"),
    ];
    for (block, expected) in passed {
        let first = Step::Read(log(1) + block);
        let mut run = Run::new([stream([first]), stream([completed()])], fine);
        assert_eq!(run.follow().await, Outcome::Completed);
        assert_eq!(run.opened(), [None, id(expected)], "{block}");
    }
    let cleared = Step::Read(log(1) + "id\ndata: x\n\n");
    let mut run = Run::new([stream([cleared]), stream([completed()])], fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    assert_eq!(run.opened(), [None, None], "an empty id sends no header");
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
        let Reason::Failure(Error::Plain(message)) = notice.reason else {
            panic!("{notice:?}")
        };
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
    let mut run = Run::new([stream([logs(1..=3), Step::Hang])], |_| {
        Reaction::Slow(Duration::from_secs(30))
    });
    run.callbacks.script = Box::new(move |_| Reaction::Slow(Duration::from_secs(30)));
    let abort = run.abort.clone();
    let aborting = async {
        sleep(Duration::from_secs(10)).await;
        abort.cancel();
    };
    let begin = Instant::now();
    let (end, ()) = tokio::join!(run.follow(), aborting);
    assert_eq!(end, Outcome::Aborted);
    // The fake runs the whole batch at once: its answer comes when all three have settled.
    assert_eq!(begin.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn t14_a_throw_after_the_abort_rejects_with_what_was_thrown() {
    let mut run = Run::new([stream([logs([1])])], fine);
    let abort = run.abort.clone();
    run.callbacks.script = Box::new(move |_| {
        abort.cancel();
        Reaction::Throw
    });
    assert_eq!(run.follow().await, Outcome::Threw);
}

#[tokio::test(start_paused = true)]
async fn t13_an_end_without_a_terminal_event_asks_for_the_job_once() {
    let end = || stream([logs([1]), Step::Read("event: end\ndata: {}\n\n".to_owned())]);
    let mut run = Run::new([end()], fine);
    run.backend.job = Some("{\"status\":\"cancelled\"}".to_owned());
    let job = run.backend.job.clone();
    assert_eq!(run.follow().await, Outcome::Ended(job));
    let mut run = Run::new([end()], fine);
    assert_eq!(run.follow().await, Outcome::Ended(None));
}

#[tokio::test(start_paused = true)]
async fn t27_an_event_over_the_limit_is_a_failure_that_names_it() {
    let endless = Step::Read("x".repeat(1024 * 1024));
    let mut run = Run::new([stream(vec![endless; 17]), stream([completed()])], fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    let Reason::Failure(Error::Plain(message)) = &run.notices()[0].reason else {
        panic!()
    };
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
    struct Endless(Mutex<Option<BoxStream<'static, Result<Bytes, Error>>>>);
    impl Backend for Endless {
        type Body = BoxStream<'static, Result<Bytes, Error>>;
        async fn open(&self, _: Option<&str>) -> Result<Self::Body, Refusal> {
            Ok(self.0.lock().unwrap().take().unwrap())
        }
        async fn job(&self) -> Option<String> {
            None
        }
    }
    let backend = Endless(Mutex::new(Some(reads.boxed())));
    let mut run = Run::new([], |_| Reaction::Slow(Duration::from_secs(1)));
    let followed = run_for(&backend, &mut run, Duration::from_secs(200)).await;
    assert!(followed.is_err(), "it goes on for ever");
    let taken = *taken.lock().unwrap();
    assert!(
        taken < 20,
        "{taken} reads were taken while one batch was with the callbacks"
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
