//! The one decoder architecture: Llama's. Flow in: a config and weights with Hugging Face names.
//! Flow out: logits.

mod attention;
pub mod cache;
pub mod config;
mod gradient;
pub mod layers;
mod linear;
pub mod llama;
pub mod weights;

pub use cache::KvCache;
pub use config::LlamaConfig;
pub use llama::{Llama, Target};
pub use weights::Weights;
