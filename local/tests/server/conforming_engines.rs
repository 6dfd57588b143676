//! The conformance tests of the engines in this repository: the CPU engine, and a worker
//! (`examples/worker`). `cargo test -p arkor-local --test server conformance` runs them.

use std::time::Duration;

use crate::conformance::{Engine, conforms};
use crate::worker::worker;

pub const WORKER: Engine = Engine {
    name: "candle-worker",
    same_chance: true,
    next_within: Duration::from_secs(4),
    args: || vec!["--worker".to_owned(), worker().display().to_string()],
};

conforms!(candle, crate::conformance::CANDLE);
conforms!(worker, crate::conforming_engines::WORKER);
