//! The files of the built-in base besides its weights. They have Hugging Face's format, so that the same
//! code loads `arkor-tiny` and any other model.

use serde_json::{Map, Value, json};

/// Special tokens, whose ids follow the 256 bytes.
pub const SPECIAL: [&str; 4] = ["<|pad|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>"];

/// The id of `<|im_end|>`.
pub const END_OF_TURN: u32 = 258;

/// The id of `<|endoftext|>`.
pub const END_OF_TEXT: u32 = 259;

/// A model with about a million parameters, which is fast enough for two cores.
pub fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 260,
        "hidden_size": 128,
        "intermediate_size": 352,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": null,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": true,
        "pad_token_id": 256,
        "bos_token_id": null,
        "eos_token_id": [END_OF_TURN, END_OF_TEXT],
        "torch_dtype": "float16",
    })
}

/// A tokenizer with one token per byte: byte pair encoding without merges.
pub fn tokenizer() -> Value {
    let mut vocab = Map::new();
    for (id, letter) in byte_letters().into_iter().enumerate() {
        vocab.insert(letter.to_string(), json!(id));
    }
    let added: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(index, content)| {
            json!({
                "id": 256 + index, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": vocab, "merges": [],
        },
    })
}

/// The chat template of `arkor-tiny`.
pub fn tokenizer_config() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 1024,
        "pad_token": SPECIAL[0],
        "eos_token": SPECIAL[2],
        "bos_token": null,
        "clean_up_tokenization_spaces": false,
        "chat_template": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' \
            + (message['content'] or '') + '<|im_end|>\n' }}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    })
}

/// The letters that stand for the bytes in GPT-2's byte-level alphabet. Printable bytes stand for
/// themselves, and the others are moved beyond U+0100.
fn byte_letters() -> Vec<char> {
    let mut moved = 0x100;
    (0..=255u8)
        .map(|byte| {
            if matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) {
                char::from(byte)
            } else {
                let letter = char::from_u32(moved).unwrap_or('?');
                moved += 1;
                letter
            }
        })
        .collect()
}
