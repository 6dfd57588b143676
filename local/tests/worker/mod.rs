//! Locates the tests' worker.

use std::path::{Path, PathBuf};

/// The path of `examples/worker`. Cargo builds examples next to the program.
pub fn worker() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_arkor-local"));
    let name = format!("worker{}", std::env::consts::EXE_SUFFIX);
    let worker = program.parent().unwrap().join("examples").join(name);
    assert!(
        worker.is_file(),
        "cargo test builds it when no target is named; else: cargo build --example worker"
    );
    worker
}
