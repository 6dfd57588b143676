//! llama.cpp's names for a model's tensors and architecture, and Hugging Face's.

/// Parts of a layer: Hugging Face's name and llama.cpp's.
const PARTS: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Tensors outside of the layers: Hugging Face's name and llama.cpp's.
const OUTSIDE: [(&str, &str); 3] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// Architectures: llama.cpp's name, which is also the `model_type`, and the class in `config.json`.
pub const ARCHITECTURES: [(&str, &str); 3] = [
    ("llama", "LlamaForCausalLM"),
    ("qwen2", "Qwen2ForCausalLM"),
    ("qwen3", "Qwen3ForCausalLM"),
];

/// llama.cpp's name for a tensor.
#[must_use]
pub fn llama_cpp(name: &str) -> Option<String> {
    if let Some((_, own)) = OUTSIDE.iter().find(|(known, _)| *known == name) {
        return Some((*own).to_owned());
    }
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let (_, own) = PARTS.iter().find(|(known, _)| *known == part)?;
    Some(format!("blk.{layer}.{own}.{kind}"))
}

/// Hugging Face's name for a tensor.
#[must_use]
pub fn hugging_face(name: &str) -> Option<String> {
    if let Some((known, _)) = OUTSIDE.iter().find(|(_, own)| *own == name) {
        return Some((*known).to_owned());
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let (known, _) = PARTS.iter().find(|(_, own)| *own == part)?;
    Some(format!("model.layers.{layer}.{known}.{kind}"))
}
