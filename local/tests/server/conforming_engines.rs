//! The engines that are here: the CPU engine, and a worker (`examples/worker`). `cargo test -p arkor-local --test
//! server conformance` runs them.

use crate::conformance::{Engine, conforms};
use crate::worker::worker;

pub const WORKER: Engine = Engine {
    name: "candle-worker",
    same_chance: true,
    args: || vec!["--worker".to_owned(), worker().display().to_string()],
};

conforms!(candle, crate::conformance::CANDLE);
conforms!(worker, crate::conforming_engines::WORKER);
