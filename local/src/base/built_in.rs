//! The files of the built-in base.

/// Its name.
pub const NAME: &str = "arkor-tiny";

/// Its `config.json`.
pub const CONFIG: &str = include_str!("../../assets/arkor-tiny/config.json");

/// Its `tokenizer.json`.
pub const TOKENIZER: &[u8] = include_bytes!("../../assets/arkor-tiny/tokenizer.json");

/// Its `tokenizer_config.json`.
pub const TOKENIZER_CONFIG: &str = include_str!("../../assets/arkor-tiny/tokenizer_config.json");

/// Its `model.safetensors`.
pub const WEIGHTS: &[u8] = include_bytes!("../../assets/arkor-tiny/model.safetensors");
