//! The decoder: Llama's and its relatives, from a config and weights with Hugging Face names to logits.

pub(super) mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16_products;
pub mod cache;
pub mod config;
mod dequantise;
pub mod family;
mod few_rows;
pub(super) mod gradient;
pub mod layer_kind;
pub mod layers;
mod linear;
pub mod llama;
pub mod lora;
pub mod matrix;
pub mod memory;
#[cfg(test)]
pub(super) mod random;
pub mod rope;
pub mod rope_config;
mod running_softmax;
pub mod shard;
pub mod target;
mod values;
mod vector;
pub mod weights;

pub use cache::KvCache;
pub use config::LlamaConfig;
pub use llama::Llama;
pub use target::Target;
pub use weights::Weights;
