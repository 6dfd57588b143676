"""The training material: random models with their own tokenizer, and rows that both sides read."""

import json
import random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

END = "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Layers as in SmolLM2-135M, but fewer of them, and a small model in which the overhead of each
# operation shows.
SHAPES = {
    "small": dict(hidden_size=256, intermediate_size=688, num_hidden_layers=4,
                  num_attention_heads=8, num_key_value_heads=4, vocab_size=2048),
    "medium": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=10,
                   num_attention_heads=9, num_key_value_heads=3, vocab_size=8192),
}


def sentences(count, words, seed):
    """Random sentences of random words."""
    draw = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    lexicon = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(400)]
    return [" ".join(draw.choices(lexicon, k=words)) for _ in range(count)]


def stretched(rope_type, **more):
    return dict(rope_parameters=dict(rope_type=rope_type, rope_theta=10000.0, factor=4.0, **more))


# Model types, and their special settings. Rows are longer than the sliding windows and the original
# contexts.
KINDS = {
    "llama": ("llama", dict()),
    "llama, biases, llama3": ("llama", dict(
        attention_bias=True, mlp_bias=True,
        **stretched("llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
    )),
    "llama, linear": ("llama", stretched("linear")),
    "llama, dynamic": ("llama", stretched("dynamic")),
    "llama, yarn": ("llama", stretched("yarn", original_max_position_embeddings=64)),
    "mistral, no window": ("mistral", dict(head_dim=48, sliding_window=None)),
    "mistral, window of 2000": ("mistral", dict(head_dim=48, sliding_window=2000)),
    "mistral, window of 50": ("mistral", dict(head_dim=48, sliding_window=50)),
    "qwen2": ("qwen2", dict()),
    "qwen2, 2 windows": ("qwen2", dict(use_sliding_window=True, sliding_window=50, max_window_layers=2)),
    "qwen3": ("qwen3", dict(head_dim=48)),
    "qwen3, yarn": ("qwen3", dict(
        head_dim=48, **stretched("yarn", original_max_position_embeddings=64, beta_fast=16.0, truncate=False),
    )),
    "smollm3": ("smollm3", dict()),
}


def make_model(directory, shape, kind="llama", seed=0):
    """A random model in float32, as a Hugging Face directory."""
    torch.manual_seed(seed)
    model_type, special = KINDS[kind]
    config = AutoConfig.for_model(
        model_type,
        **SHAPES[shape],
        max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        # As large as trained weights, so that logits differ.
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
        **special,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.2)
            elif "norm" in name:
                value.normal_(mean=1.0, std=0.2)
    model.save_pretrained(directory)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=["<|pad|>", END, "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(2000, 12, seed=1), trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<|pad|>", chat_template=TEMPLATE
    ).save_pretrained(directory)
    return directory


def write_rows(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return {"type": "blob", "url": path.resolve().as_uri()}


class Order:
    """The order in which arkor-local trains rows: reproduces the random numbers of its Rust crate
    `fastrand` (wyrand)."""

    MASK = (1 << 64) - 1

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        while True:
            self.state = (self.state + 0x2D358DCCAA6C78A5) & self.MASK
            mixed = self.state * (self.state ^ 0x8BB84B93962EACC9)
            product = ((mixed ^ (mixed >> 64)) & self.MASK) * bound
            if product & self.MASK >= (1 << 64) % bound:
                return product >> 64

    def shuffle(self, values):
        for index in range(1, len(values)):
            other = self.below(index + 1)
            values[index], values[other] = values[other], values[index]


def split(rows, seed):
    """The training rows, without the tenth of all rows that is held out."""
    order = list(range(len(rows)))
    Order(seed).shuffle(order)
    held_out = set(order[: min(max(len(rows) // 10, 1), 32)])
    return [row for index, row in enumerate(rows) if index not in held_out]


def batches(rows, size, seed):
    """Yields the batches of a run, endlessly."""
    draw = Order(seed + 1)
    order = list(range(len(rows)))
    while True:
        draw.shuffle(order)
        for start in range(0, len(order), size):
            yield [rows[index] for index in order[start : start + size]]
