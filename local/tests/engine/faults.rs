use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arkor_local::engine::candle::CandleEngine;
use arkor_local::error::Error;

use crate::support::{Job, Seen, TIMING};

/// Trains with a faulty worker. Returns the error of the run, and the reports before it.
fn fault(name: &str) -> (String, Seen) {
    let job = Job::new(8);
    let engine = job.engine(name).unwrap();
    let mut seen = Seen::default();
    let error = job.train(&engine, &mut seen, &|| false).unwrap_err();
    (error.to_string(), seen)
}

/// The error for a worker that doesn't even start.
fn refusal(name: &str) -> String {
    Job::new(1).engine(name).unwrap_err().to_string()
}

#[test]
fn a_run_in_another_process_is_the_run_in_this_one() {
    let job = Job::new(8);
    let engine = job.engine("").unwrap();
    let mut there = Seen::default();
    let end = job.train(&engine, &mut there, &|| false).unwrap();
    let mut here = Seen::default();
    let other = Job::new(8);
    let expected = other
        .train(&CandleEngine::default(), &mut here, &|| false)
        .unwrap();
    let losses =
        |seen: &Seen| -> Vec<u64> { seen.logs.iter().map(|log| log.loss.to_bits()).collect() };
    assert_eq!(losses(&there), losses(&here));
    assert_eq!(end, expected);
    let engines = [&mut there, &mut here].map(|seen| {
        let started = seen.started.as_mut().unwrap();
        std::mem::take(&mut started.engine)
    });
    assert_eq!(engines, ["candle-worker", "candle"]);
    assert_eq!(
        (there.checkpoints, there.started),
        (vec![4, 8], here.started)
    );
    assert!(
        job.folder()
            .join("adapter.tmp/adapter_model.safetensors")
            .is_file()
    );
    assert!(!job.folder().join("order.safetensors").exists());
}

#[test]
fn a_worker_that_can_not_be_started_is_told_of_with_its_last_words() {
    assert!(refusal("late").contains("it isn't ready after 5s"));
    let error = refusal("stillborn");
    assert!(
        error.contains("ended with code 3") && error.contains("no module named torch"),
        "{error}"
    );
    let error = refusal("old-protocol");
    assert!(
        error.contains("version 0 of the protocol") && error.contains("Install"),
        "{error}"
    );
}

#[test]
fn what_is_no_message_ends_the_run_and_is_shown() {
    let (error, seen) = fault("garbage");
    assert!(
        error.contains("no message: Loading checkpoint shards"),
        "{error}"
    );
    assert_eq!(seen.logs.len(), 2, "what came before counts");
    let (error, _) = fault("endless-line");
    assert!(error.contains("a line of more than 16 MiB"), "{error}");
}

#[test]
fn a_worker_that_falls_silent_is_given_up() {
    let started = Instant::now();
    let (error, seen) = fault("silent");
    assert!(error.contains("nothing was heard of it for 3s"), "{error}");
    assert!(started.elapsed() < TIMING.silence + Duration::from_secs(10));
    assert_eq!(seen.logs.len(), 2);
}

#[test]
fn a_worker_that_dies_says_how_and_memory_is_named_when_it_was_killed() {
    let (error, seen) = fault("die");
    assert!(
        error.contains("ended with code 7") && error.contains("Segmentation fault"),
        "{error}"
    );
    assert_eq!(seen.logs.len(), 2);
    if cfg!(unix) {
        let (error, _) = fault("killed");
        assert!(
            error.contains("signal 9") && error.contains("memory ran out"),
            "{error}"
        );
    }
    let (error, _) = fault("out-of-memory");
    assert!(
        error.starts_with("memory wasn't enough: CUDA has 8 GiB"),
        "{error}"
    );
    assert!(error.contains("smaller batchSize"), "{error}");
}

#[test]
fn only_a_worker_that_is_gone_is_lost() {
    let error = |fault| {
        let job = Job::new(8);
        let engine = job.engine(fault).unwrap();
        job.train(&engine, &mut Seen::default(), &|| false)
            .unwrap_err()
    };
    for fault in ["die", "silent", "lost"] {
        let error = error(fault);
        assert!(matches!(error, Error::Lost(_)), "{fault}: {error}");
    }
    for fault in ["garbage", "out-of-memory", "error"] {
        let error = error(fault);
        assert!(!matches!(error, Error::Lost(_)), "{fault}: {error}");
    }
}

#[test]
fn the_next_run_gets_a_new_worker() {
    let job = Job::new(2);
    let engine = job.engine("die").unwrap();
    let long = Job::new(8);
    assert!(
        long.train(&engine, &mut Seen::default(), &|| false)
            .is_err()
    );
    let mut seen = Seen::default();
    job.train(&engine, &mut seen, &|| false).unwrap();
    assert_eq!(seen.logs.len(), 2);
}

#[test]
fn a_flood_is_read_and_nothing_is_lost() {
    let job = Job::new(3);
    let engine = job.engine("flood").unwrap();
    let mut seen = Seen::default();
    job.train(&engine, &mut seen, &|| false).unwrap();
    assert_eq!(
        seen.logs.iter().map(|log| log.step).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

#[test]
fn a_run_that_is_stopped_ends_soon_and_the_worker_lives_on() {
    let job = Job::new(1_000_000);
    let engine = job.engine("").unwrap();
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    let mut seen = Seen {
        on_log: Some(Box::new(move |log| {
            flag.store(log.step >= 3, Ordering::Relaxed);
            Ok(())
        })),
        ..Seen::default()
    };
    let stop = || stopped.load(Ordering::Relaxed);
    let before = Instant::now();
    let result = job.train(&engine, &mut seen, &stop);
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    assert!(before.elapsed() < Duration::from_secs(10));
    let short = Job::new(2);
    short
        .train(&engine, &mut Seen::default(), &|| false)
        .unwrap();
}

#[test]
fn a_worker_that_goes_on_with_a_stopped_run_is_killed() {
    let job = Job::new(1_000_000);
    let engine = job.engine("ignore-cancel").unwrap();
    let stop = || true;
    let before = Instant::now();
    let result = job.train(&engine, &mut Seen::default(), &stop);
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "{:?}",
        before.elapsed()
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_worker_has_started_elsewhere_sees_its_stdin_end() {
    use crate::support::{is_running, kill, parent};

    for dies_by_itself in [false, true] {
        let job = Job::new(1_000_000);
        let engine = job.engine("orphan").unwrap();
        let pids = job.folder().join("orphan.pid");
        let stopped = Arc::new(AtomicBool::new(false));
        let (flag, path) = (Arc::clone(&stopped), pids.clone());
        let mut seen = Seen {
            on_log: Some(Box::new(move |log| {
                if log.step != 3 {
                    return Ok(());
                }
                if dies_by_itself {
                    kill(&parent(&std::fs::read_to_string(&path).unwrap()));
                } else {
                    flag.store(true, Ordering::Relaxed);
                }
                Ok(())
            })),
            ..Seen::default()
        };
        let stop = || stopped.load(Ordering::Relaxed);
        let result = job.train(&engine, &mut seen, &stop);
        match result {
            Err(Error::Lost(_)) if dies_by_itself => {}
            Err(Error::Stopped) if !dies_by_itself => {}
            other => panic!("{other:?}"),
        }
        let orphan = std::fs::read_to_string(&pids).unwrap();
        let limit = Instant::now() + Duration::from_secs(2);
        while is_running(&orphan) {
            assert!(Instant::now() < limit, "{orphan} is still there");
            std::thread::yield_now();
        }
        drop(engine);
    }
}

#[test]
fn a_worker_that_is_not_wanted_any_more_is_not_waited_for() {
    let before = Instant::now();
    let error = Job::new(1).stopped_engine("late").unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error}");
    assert!(before.elapsed() < TIMING.hello / 2);
}

#[test]
fn a_run_whose_events_can_not_be_stored_is_ended_in_the_worker_too() {
    let job = Job::new(1_000_000);
    let engine = job.engine("").unwrap();
    let full = || Err(Error::Engine("the disk is full".to_owned()));
    let mut seen = Seen {
        on_log: Some(Box::new(
            move |log| if log.step < 3 { Ok(()) } else { full() },
        )),
        ..Seen::default()
    };
    let error = job.train(&engine, &mut seen, &|| false).unwrap_err();
    assert_eq!(error.to_string(), "the disk is full");
    let short = Job::new(2);
    let mut seen = Seen::default();
    short.train(&engine, &mut seen, &|| false).unwrap();
    assert_eq!(seen.logs.len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_of_a_worker_when_its_server_is_gone() {
    use crate::support::{is_running, processes_with, worker};
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    for signal in ["-KILL", "-TERM"] {
        let store = tempfile::tempdir().unwrap();
        let mark = format!("--mark-{}", store.path().display());
        let mut server = Command::new(env!("CARGO_BIN_EXE_arkor-local"))
            .arg("--store")
            .arg(store.path())
            .arg("--worker")
            .arg(worker())
            .args(["--worker-arg", &mark])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        stdout.read_line(&mut ready).unwrap();
        let own = server.id().to_string();
        let mut workers = processes_with(&mark);
        workers.retain(|pid| *pid != own);
        assert_eq!(workers.len(), 1, "{signal}");
        let ended = Command::new("kill").args([signal, &own]).status();
        assert!(ended.unwrap().success());
        server.wait().unwrap();
        let limit = Instant::now() + Duration::from_secs(5);
        while is_running(&workers[0]) {
            assert!(
                Instant::now() < limit,
                "{signal}: the worker is still there"
            );
            std::thread::yield_now();
        }
    }
}
