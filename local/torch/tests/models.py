"""Creates tiny models with random weights, one of each architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

SIZES: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": True,
}
MIXTURE = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
}
SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 64}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
GEMMA_4 = {
    **SLIDING,
    "vocab_size_per_layer_input": 260,
    "hidden_size_per_layer_input": 8,
    "num_kv_shared_layers": 0,
    "global_head_dim": 8,
}

# The class of the config, and the fields that differ from `SIZES`. `text` is the language model's config
# in a model that also reads images.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "qwen3": ("Qwen3Config", {}),
    "qwen3_moe": ("Qwen3MoeConfig", MIXTURE),
    "qwen3_5": ("Qwen3_5TextConfig", LINEAR),
    "phi3": ("Phi3Config", {}),
    "smollm3": ("SmolLM3Config", {"no_rope_layers": [1, 0]}),
    "gpt_oss": ("GptOssConfig", {**MIXTURE, **SLIDING}),
    "gemma3": ("Gemma3Config", {"text": {**SLIDING, "query_pre_attn_scalar": 8}, "vision": VISION}),
    "gemma4": ("Gemma4Config", {"text": GEMMA_4, "vision": VISION}),
}


def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with four special tokens, followed by a token for each byte."""
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: id for id, token in enumerate(special + alphabet)}
    made = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    template = (
        "{% for message in messages %}<s>{{ message.role }}\n{{ message.content }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=template,
    )


def config(architecture: str) -> Any:
    name, more = CONFIGS[architecture]
    made = getattr(transformers, name)
    if "text" not in more:
        return made(**{**SIZES, **more})
    return made(text_config={**SIZES, **more["text"]}, vision_config=more["vision"], tie_word_embeddings=True)


def make(folder: Path, architecture: str, seed: int = 0) -> Path:
    """Creates a model folder."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config(architecture)).float()
    with torch.no_grad():
        for value in model.parameters():
            # Large enough for different answers.
            if value.dim() > 1:
                value.normal_(0, 0.1)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
