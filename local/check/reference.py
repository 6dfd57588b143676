"""The same run in PyTorch: transformers' model and schedule, PEFT's LoRA, and torch's AdamW, in
float32."""

import os
import time
import warnings
from itertools import islice

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, get_scheduler
from transformers.utils import logging

from material import batches, split

logging.disable_progress_bar()
warnings.filterwarnings("ignore", category=FutureWarning)

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load(model):
    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)


def with_adapter(model, adapter):
    return PeftModel.from_pretrained(load(model), adapter).eval()


def encode(tokenizer, row, max_length, responses_only):
    """Token ids, and labels, which are -100 for tokens that aren't trained."""
    if "messages" in row:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        prompt = tokenizer.apply_chat_template(
            row["messages"][:-1], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text, add_special_tokens=False).input_ids
        before = len(tokenizer(prompt, add_special_tokens=False).input_ids)
        # The template's line break after the last answer isn't part of the answer.
        after = len(tokenizer(text.rstrip(), add_special_tokens=False).input_ids)
    else:
        text = row.get("text") or row["prompt"] + row["completion"]
        ids = tokenizer(text).input_ids + [tokenizer.eos_token_id]
        before = len(tokenizer(row.get("prompt", "")).input_ids)
        after = len(ids)
    labels = [
        token if not responses_only or before <= place < after else -100
        for place, token in enumerate(ids)
    ]
    return ids[:max_length], labels[:max_length]


def collate(examples, pad):
    width = max(len(ids) for ids, _ in examples)
    fill = lambda values, value: values + [value] * (width - len(values))
    return {
        "input_ids": torch.tensor([fill(ids, pad) for ids, _ in examples]),
        "attention_mask": torch.tensor([fill([1] * len(ids), 0) for ids, _ in examples]),
        "labels": torch.tensor([fill(labels, -100) for _, labels in examples]),
    }


def train(model_directory, config, rows, first_a):
    """Losses, learning rates and seconds by step. `first_a` contains the initial A matrices."""
    tokenizer = AutoTokenizer.from_pretrained(model_directory)
    lora = LoraConfig(
        r=config["loraR"],
        lora_alpha=config["loraAlpha"],
        target_modules=TARGETS,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(load(model_directory), lora)
    begin_with(model, first_a)
    model.train()
    trained = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=config["learningRate"], weight_decay=config["weightDecay"]
    )
    schedule = get_scheduler(
        config["lrSchedulerType"], optimizer, config["warmupSteps"], config["maxSteps"]
    )
    encoded = [
        encode(tokenizer, row, config["maxLength"], config["trainOnResponsesOnly"]) for row in rows
    ]
    order = batches(split(encoded, config["seed"]), config["batchSize"], config["seed"])
    losses, rates, seconds = [], [], []
    for examples in islice(order, config["maxSteps"]):
        batch = collate(examples, tokenizer.pad_token_id)
        started = time.perf_counter()
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - started)
    return losses, rates, seconds


def begin_with(model, first_a):
    """Sets the A matrices. PEFT names them `<name>.lora_A.default.weight`, and leaves out `default` in
    files."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in first_a.items():
            parameters[name.replace(".weight", ".default.weight")].copy_(value)


def a_matrices(adapter):
    tensors = load_file(adapter / "adapter_model.safetensors")
    return {name: value for name, value in tensors.items() if ".lora_A." in name}
