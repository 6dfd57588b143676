//! The one decoder architecture: Llama's, from a config and weights with Hugging Face names to logits.

mod attention;
pub mod cache;
pub mod config;
mod dequantise;
pub(super) mod gradient;
pub mod layers;
mod linear;
pub mod llama;
pub mod lora;
pub mod matrix;
pub mod memory;
pub mod shard;
pub mod target;
pub mod weights;

pub use cache::KvCache;
pub use config::LlamaConfig;
pub use llama::Llama;
pub use target::Target;
pub use weights::Weights;
