//! Tests of the torch engine through HTTP. `npm run test:torch` runs them with the Python in
//! `ARKOR_TEST_PYTHON`, which must have the engine's packages. `cargo test` alone skips them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(dead_code, reason = "the support is shared with other tests")]

#[path = "../conformance/mod.rs"]
mod conformance;
#[path = "../server/support.rs"]
mod support;
#[path = "../worker/mod.rs"]
mod worker;

use std::time::Duration;

use conformance::{Engine, conforms};

const TORCH: Engine = Engine {
    name: "torch",
    same_chance: false,
    // It shares the cores with the other tests of `npm run test:torch`.
    next_within: Duration::from_secs(20),
    args: || {
        let python = std::env::var("ARKOR_TEST_PYTHON").expect("set by npm run test:torch");
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/torch");
        // The reference is the CPU engine.
        let device = "--worker-arg=--device=cpu";
        [
            "--engine=torch",
            "--worker",
            &python,
            "--worker-arg",
            program,
            device,
        ]
        .map(str::to_owned)
        .to_vec()
    },
};

conforms!(torch, crate::TORCH);
