//! Tests the loop without Node and HTTP, with a scripted backend, a scripted dispatcher, and a clock that
//! moves only when everything waits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::unnecessary_wraps,
    reason = "a test fails by panicking, its numbers are exact, its helpers are short"
)]

use super::fake::*;
use super::*;

#[tokio::test(start_paused = true)]
async fn t8_events_are_dispatched_in_order_in_batches_that_end_at_256() {
    let mut run = Run::new([stream([logs(1..=600), completed()])], fine);
    assert_eq!(run.follow().await, Outcome::Completed);
    let mut expected: Vec<f64> = (1..=600).map(f64::from).collect();
    expected.push(1000.0);
    assert_eq!(run.seen(), expected);
}

#[tokio::test(start_paused = true)]
async fn t12_an_event_of_an_unknown_type_crosses_only_where_the_run_is_observed() {
    let news = || Step::Read("id: 1\ndata: {\"type\":\"training.news\"}\n\n".to_owned());
    for (observed, seen) in [(false, vec![1000.0]), (true, vec![-1.0, 1000.0])] {
        let mut run = Run::new([stream([news(), completed()])], fine);
        run.options.observed = observed;
        assert_eq!(run.follow().await, Outcome::Completed);
        assert_eq!(run.seen(), seen);
    }
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
    assert_eq!(run.notices()[0].error, Some(Error::Thrown));
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
            cause: Box::new(Error::Thrown)
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

/// A stream of pings that never ends on its own.
fn pings() -> Vec<Step> {
    let ping = || {
        [
            Step::Read("event: ping\n\n".to_owned()),
            Step::Silence(Duration::from_secs(1)),
        ]
    };
    (0..30).flat_map(|_| ping()).chain([Step::Hang]).collect()
}

#[tokio::test(start_paused = true)]
async fn t18_a_stream_that_stays_open_with_pings_does_not_hold_the_result_back() {
    for status in ["completed", "failed", "cancelled"] {
        let answers = [stream([completed()]), Answer::Stream(pings())];
        let mut run = Run::new(answers, |_| Reaction::Throw);
        run.backend.job = Some(format!(r#"{{"id":"a","status":"{status}"}}"#));
        let begin = Instant::now();
        assert_eq!(run.follow().await, Outcome::Completed, "{status}");
        assert!(begin.elapsed() < QUIET + Duration::from_secs(3));
    }
}

#[tokio::test(start_paused = true)]
async fn t18_a_job_that_is_not_over_is_asked_for_once_and_the_stream_goes_on() {
    for job in [None, Some(r#"{"id":"a","status":"running"}"#.to_owned())] {
        let mut steps = pings();
        steps.pop();
        steps.push(Step::Read("event: end\n\n".to_owned()));
        let answers = [stream([completed()]), Answer::Stream(steps)];
        let mut run = Run::new(answers, |_| Reaction::Throw);
        run.backend.job = job;
        let begin = Instant::now();
        assert_eq!(run.follow().await, Outcome::Completed);
        assert!(begin.elapsed() >= Duration::from_secs(30));
        assert_eq!(run.opened().len(), 2);
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
            cause: Box::new(Error::Thrown)
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
    assert_eq!(run.follow().await, Outcome::Failed(Error::Thrown));
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
    assert_eq!(run.follow().await, Outcome::Failed(Error::Thrown));
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
    assert_eq!(run.notices()[3].error, Some(eof));
    assert_eq!(run.notices()[4].error, None);
    assert_eq!(run.notices()[5].error, Some(Error::plain("broken")));
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
        assert_eq!(run.follow().await, Outcome::Failed(Error::api(status, "")));
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
async fn t14_a_throw_after_the_abort_rejects_with_what_was_thrown() {
    let mut run = Run::new([stream([logs([1])])], fine);
    let abort = run.abort.clone();
    run.callbacks.script = Box::new(move |_| {
        abort.cancel();
        Reaction::Throw
    });
    assert_eq!(run.follow().await, Outcome::Failed(Error::Thrown));
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
async fn t4_after_an_abort_the_next_wait_goes_on_behind_what_was_dispatched() {
    for (last, opened) in [(2.0, Some("2")), (3.0, Some("3"))] {
        let mut run = Run::new([stream([logs([1, 2, 3])]), stream([completed()])], fine);
        let abort = run.abort.clone();
        run.callbacks.script = Box::new(move |step| {
            if step == last {
                abort.cancel();
            }
            Reaction::Ok
        });
        assert_eq!(run.follow().await, Outcome::Aborted);
        assert_eq!(run.resume.last_event_id.as_deref(), opened);
        assert!(!run.resume.terminal);
    }
}

#[tokio::test(start_paused = true)]
async fn t4_an_abort_in_the_terminal_callback_keeps_what_it_ended() {
    let mut run = Run::new([stream([logs([1]), completed()])], fine);
    let abort = run.abort.clone();
    run.callbacks.script = Box::new(move |step| {
        if step == 1000.0 {
            abort.cancel();
        }
        Reaction::Ok
    });
    assert_eq!(run.follow().await, Outcome::Aborted);
    assert!(run.resume.terminal);
}

#[tokio::test(start_paused = true)]
async fn t18_only_a_throwing_terminal_event_ends_the_run() {
    let throw_at_one = |step| {
        if step == 1.0 {
            Reaction::Throw
        } else {
            Reaction::Ok
        }
    };
    let end = || stream([Step::Read("event: end\n\n".to_owned())]);
    // The failing event is the last one of its batch, or in the same batch as the terminal event.
    for first in [stream([logs([1])]), stream([logs([1]), completed()])] {
        let mut run = Run::new([first, end()], throw_at_one);
        assert_eq!(run.follow().await, Outcome::Ended(None));
        assert_eq!(run.opened(), [None, id("1")]);
    }
}
