use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
/// The jitter that leaves a delay unchanged.
const NONE: f64 = 0.5;

fn policy(max_attempts: Option<u32>) -> Policy {
    Policy {
        base: MS(1000),
        cap: MS(60_000),
        max_attempts,
    }
}

fn delay(decision: Decision) -> Duration {
    match decision {
        Decision::Retry { delay, .. } => delay,
        Decision::GiveUp { .. } => Duration::MAX,
    }
}

#[test]
fn t21_the_delay_doubles_up_to_the_cap() {
    let mut backoff = Backoff::new(policy(None), None);
    let seconds: Vec<u64> = (0..9)
        .map(|_| delay(backoff.failed(None, NONE)).as_secs())
        .collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn t21_jitter_is_a_quarter_either_way_and_never_passes_the_cap() {
    let at = |jitter| delay(Backoff::new(policy(None), None).failed(None, jitter));
    assert_eq!(at(0.0), MS(750));
    assert_eq!(at(0.999_999).as_millis(), 1249);
    let mut late = Backoff::new(policy(None), None);
    for _ in 0..2000 {
        late.failed(None, NONE);
    }
    assert_eq!(delay(late.failed(None, 0.999_999)), MS(60_000));
    assert_eq!(delay(late.failed(None, 0.0)), MS(45_000));
}

#[test]
fn t14_the_limit_counts_failures_in_a_row() {
    let mut backoff = Backoff::new(policy(Some(2)), None);
    assert!(matches!(
        backoff.failed(None, NONE),
        Decision::Retry { attempt: 0, .. }
    ));
    assert!(matches!(
        backoff.failed(None, NONE),
        Decision::Retry { attempt: 1, .. }
    ));
    backoff.succeeded();
    assert!(matches!(
        backoff.failed(None, NONE),
        Decision::Retry { attempt: 0, .. }
    ));
    assert!(matches!(
        backoff.failed(None, NONE),
        Decision::Retry { attempt: 1, .. }
    ));
    assert_eq!(backoff.failed(None, NONE), Decision::GiveUp { failures: 3 });
    let mut none = Backoff::new(policy(Some(0)), None);
    assert_eq!(none.failed(None, NONE), Decision::GiveUp { failures: 1 });
}

#[test]
fn t25_retry_after_is_a_lower_bound_and_retry_a_new_base_both_within_the_cap() {
    let cases = [
        // retry field, Retry-After, expected
        (None, Some(MS(5000)), MS(5000)),
        (None, Some(MS(10)), MS(1000)),
        (None, Some(MS(600_000)), MS(60_000)),
        (Some(MS(3000)), None, MS(3000)),
        (Some(MS(0)), None, MS(100)),
        (Some(MS(99_000)), None, MS(60_000)),
        (Some(MS(300)), Some(MS(400)), MS(400)),
    ];
    for (retry, retry_after, expected) in cases {
        let mut backoff = Backoff::new(policy(None), retry);
        assert_eq!(
            delay(backoff.failed(retry_after, NONE)),
            expected,
            "{retry:?} {retry_after:?}"
        );
    }
}

#[test]
fn t22_a_clean_end_waits_the_base_delay_and_counts_nothing() {
    let mut backoff = Backoff::new(policy(Some(1)), None);
    backoff.failed(None, NONE);
    assert_eq!(backoff.pause(NONE), MS(1000));
    assert_eq!(backoff.failed(None, NONE), Decision::GiveUp { failures: 2 });
}

#[test]
fn t21_no_delay_stays_no_delay_however_many_failures() {
    let mut backoff = Backoff::new(
        Policy {
            base: Duration::ZERO,
            ..policy(None)
        },
        None,
    );
    for attempt in 0..2000 {
        assert_eq!(
            delay(backoff.failed(None, NONE)),
            Duration::ZERO,
            "{attempt}"
        );
    }
}
