"""Loads exported folders with transformers and PEFT. `export.mjs` sends requests on stdin and reads JSON
from stdout."""

import json
import os
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

logging.disable_progress_bar()


def answers(model, tokenizer, prompts, count):
    found = []
    for prompt in prompts:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        stops = model.generation_config.eos_token_id
        output = model.generate(
            **ids, do_sample=False, max_new_tokens=count, eos_token_id=stops, pad_token_id=tokenizer.pad_token_id
        )
        new = output[0, ids.input_ids.shape[1] :]
        found.append({"text": tokenizer.decode(new, skip_special_tokens=True)})
    return found


def main():
    question = json.load(sys.stdin)
    tokenizer = AutoTokenizer.from_pretrained(question["merged"])
    merged = AutoModelForCausalLM.from_pretrained(question["merged"], dtype=torch.float32).eval()
    peft = AutoPeftModelForCausalLM.from_pretrained(question["peft"], dtype=torch.float32).eval()
    ids = tokenizer(question["text"]).input_ids
    with torch.no_grad():
        logits = merged(torch.tensor([ids])).logits[0]
        result = {
            "merged": answers(merged, tokenizer, question["prompts"], question["tokens"]),
            "peft": answers(peft, tokenizer, question["prompts"], question["tokens"]),
            "logits": [[round(value, 5) for value in row] for row in logits.tolist()],
            "text": ids,
            "tricky": [tokenizer(text).input_ids for text in question["tricky"]],
        }
    json.dump(result, sys.stdout)


main()
