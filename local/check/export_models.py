"""Creates small random models for `export.mjs`, one of each kind that can be exported to GGUF.

    VENV/bin/python local/check/export_models.py FOLDER
"""

import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from material import END, TEMPLATE, sentences

NUMBERS = {"llama3": r"\p{N}{1,3}", "qwen2": r"\p{N}"}
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [*sentences(2000, 12, seed=1), "don't we've I'll", "1987 3.14159 1000000", "\n\n\t  naïve café 日本語"] * 4
SPECIAL = ["<|pad|>", END, "<|im_start|>"]
SHAPE = dict(hidden_size=256, intermediate_size=704, num_hidden_layers=3, vocab_size=2048,
             max_position_embeddings=1024, initializer_range=0.05, eos_token_id=1, pad_token_id=0)


def byte_level(kind):
    tokenizer = Tokenizer(models.BPE())
    if kind in NUMBERS:
        split = pre_tokenizers.Split(Regex(WORDS % NUMBERS[kind]), "isolated")
        steps = [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    else:
        steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def sentencepiece():
    """A tokenizer like those converted from SentencePiece files: byte fallback, and all pairs that form a
    token."""
    space = "\u2581"
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Metaspace(replacement=space)
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=[], show_progress=False)
    words.train_from_iterator(TEXTS, trainer)
    learned = sorted(words.get_vocab().items(), key=lambda item: item[1])
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += [piece for piece, _ in learned if len(piece) > 1] + [piece for piece, _ in learned if len(piece) == 1]
    vocab = {piece: place for place, piece in enumerate(pieces)}
    merges = [
        (piece[:cut], piece[cut:])
        for piece, _ in learned
        for cut in range(1, len(piece))
        if piece[:cut] in vocab and piece[cut:] in vocab
    ]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(space), normalizers.Replace(" ", space)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(space, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in ["<unk>", "<s>", "</s>"]])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return tokenizer


def save(folder, model, tokenizer, **special):
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.2)
            elif "norm" in name:
                value.normal_(mean=1.0, std=0.2)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<|pad|>", chat_template=TEMPLATE, **special
    ).save_pretrained(folder)


def main(folder):
    torch.manual_seed(0)
    scaling = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)
    heads = dict(num_attention_heads=8, num_key_value_heads=4)
    save(folder / "smollm", LlamaForCausalLM(LlamaConfig(**SHAPE, **heads, tie_word_embeddings=True)), byte_level("smollm"))
    llama3 = LlamaConfig(**SHAPE, num_attention_heads=4, num_key_value_heads=1, head_dim=32, rope_parameters=scaling,
                         attention_bias=True, mlp_bias=True)
    save(folder / "llama3", LlamaForCausalLM(llama3), byte_level("llama3"))
    linear = dict(rope_type="linear", rope_theta=10000.0, factor=4.0)
    yarn = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)
    # llama.cpp has no sliding windows, so this one is longer than the texts.
    mistral = dict(head_dim=48, sliding_window=512, rope_parameters=linear)
    for kind, numbers, special in [
        ("qwen2", "qwen2", dict()),
        ("qwen3", "qwen2", dict(head_dim=48, rope_parameters=yarn)),
        ("mistral", "llama3", mistral),
        ("smollm3", "llama3", dict(num_hidden_layers=4)),
    ]:
        config = AutoConfig.for_model(kind, **(SHAPE | heads | dict(tie_word_embeddings=False, bos_token_id=None) | special))
        save(folder / kind, AutoModelForCausalLM.from_config(config, dtype=torch.float32), byte_level(numbers))
    tokenizer = sentencepiece()
    ids = {name: tokenizer.token_to_id(name) for name in [END, "<|pad|>", "<s>"]}
    shape = SHAPE | dict(eos_token_id=ids[END], pad_token_id=ids["<|pad|>"], bos_token_id=ids["<s>"])
    save(folder / "sentencepiece", LlamaForCausalLM(LlamaConfig(**shape, **heads)), tokenizer, bos_token="<s>", unk_token="<unk>")


main(Path(sys.argv[1]))
