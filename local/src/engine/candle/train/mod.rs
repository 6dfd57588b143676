//! Training. Takes a model, encoded rows and a plan; produces logs, checkpoints and an adapter.

mod adamw;
pub mod budget;
mod part;
pub mod resume;
pub mod run;
pub mod step;

pub use run::{Observer, Trained, run};
