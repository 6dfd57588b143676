//! The torch engine through HTTP. `npm run test:torch` runs these tests, with a Python that has the engine's
//! packages in `ARKOR_TEST_PYTHON`; `cargo test` alone leaves them out.

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
        // What's compared is the CPU's.
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
