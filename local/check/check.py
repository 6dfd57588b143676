"""Does arkor-local train correctly? Compares it with PyTorch, transformers and PEFT on the CPU.

    npm run build -- --local
    python3 -m venv VENV && VENV/bin/pip install -r local/check/requirements.txt
    VENV/bin/python local/check/check.py [adapter] [losses] [speed] [--kind KIND]... [--shape small|medium]

Creates all inputs itself: random models of each architecture, a tokenizer, and rows. Prints a table of
the comparisons. Exits with status 1 if a bound isn't kept.
"""

import argparse
import json
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
from material import KINDS, SHAPES, make_model, sentences, write_rows

LARGEST_LOGIT_DIFFERENCE = 1e-3
LARGEST_LOSS_DIFFERENCE = 0.01
LEAST_SPEED = 0.5

kept = True
# The figures of the table, by kind and column.
figures = {}


def bound(line, holds):
    global kept
    kept = kept and holds
    print(f"{line}: {'ok' if holds else 'NOT KEPT'}", flush=True)


def figure(kind, column, value):
    """Adds a figure to the table: the largest of several differences, or the number of texts that are the
    same."""
    row = figures.setdefault(kind, {})
    row[column] = max(value, row.get(column, value))


def table():
    columns = ["logits, trained here", "logits, from PEFT", "tokens of the same text", "losses", "learning rates"]
    columns = [column for column in columns if any(column in row for row in figures.values())]
    shown = lambda value: "" if value is None else str(value) if isinstance(value, int) else f"{value:.1e}"
    rows = [["largest difference in", *columns], ["---", *["---:"] * len(columns)]]
    rows += [[kind, *(shown(row.get(column)) for column in columns)] for kind, row in figures.items()]
    print("\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))


def kept_all():
    return kept


def config(model, dataset, **more):
    return {
        "model": str(model),
        "datasetSource": dataset,
        "loraR": 8,
        "loraAlpha": 16,
        "maxLength": 256,
        "maxSteps": 30,
        "batchSize": 8,
        "learningRate": 2e-3,
        "lrSchedulerType": "cosine",
        "warmupSteps": 3,
        "weightDecay": 0.01,
        "trainOnResponsesOnly": False,
        "evalSteps": 1_000_000,
        "saveSteps": 1_000_000,
        "seed": 11,
        **more,
    }


def our_logits(model, adapter, ids):
    command = ["cargo", "run", "--quiet", "--locked", "--profile", "local", "-p", "arkor-local"]
    command += ["--example", "logits", "--", str(model), str(adapter)]
    output = subprocess.run(
        command, cwd=ROOT, input=json.dumps(ids).encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    return numpy.frombuffer(output, dtype="<f4").reshape(len(ids), -1)


def compare_logits(kind, what, column, model, adapter):
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer(" ".join(sentences(3, 30, seed=9))).input_ids
    with torch.no_grad():
        theirs = reference.with_adapter(model, adapter)(torch.tensor([ids])).logits[0].numpy()
        base = reference.load(model).eval()(torch.tensor([ids])).logits[0].numpy()
    difference = numpy.abs(our_logits(model, adapter, ids) - theirs).max()
    effect = numpy.abs(theirs - base).max()
    figure(kind, column, float(difference))
    bound(
        f"{kind}: {what}: largest logit difference {difference:.2e} over {theirs.size} logits "
        f"(the adapter itself moves them by up to {effect:.2f}), at most {LARGEST_LOGIT_DIFFERENCE}",
        difference <= LARGEST_LOGIT_DIFFERENCE < effect,
    )


def greedy(backend, request, tokens):
    request = {**request, "temperature": 0, "maxTokens": tokens, "stream": False}
    return backend.post("/v1/inference/chat", request)


def check_adapter(kind, backend, model, folder):
    rows = [{"text": text} for text in sentences(60, 40, seed=2)]
    dataset = write_rows(folder / "text.jsonl", rows)
    _, adapter = backend.train(config(model, dataset, learningRate=1e-2))
    compare_logits(kind, "trained here, loaded by PEFT", "logits, trained here", model, adapter)

    torch.manual_seed(5)
    lora = LoraConfig(
        r=6, lora_alpha=9, target_modules=["q_proj", "v_proj", "down_proj"], use_rslora=True,
        rank_pattern={"down_proj": 4}, alpha_pattern={"v_proj": 3},
    )
    theirs = get_peft_model(reference.load(model), lora)
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            if ".lora_B." in name:
                value.normal_(std=0.1)
    directory = folder / f"{kind}-from-peft"
    theirs.save_pretrained(directory)
    compare_logits(kind, "saved by PEFT, loaded here", "logits, from PEFT", model, directory)

    # A prompt that is longer than the sliding windows.
    question = [{"role": "user", "content": sentences(1, 30, seed=3)[0]}]
    answer = greedy(backend, {"baseModel": str(directory), "messages": question}, 24)
    tokenizer = AutoTokenizer.from_pretrained(model)
    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = theirs.eval().generate(**prompt, max_new_tokens=24, do_sample=False)
    expected = tokenizer.decode(output[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    given = answer["choices"][0]["message"]["content"]
    figure(kind, "tokens of the same text", answer["usage"]["completion_tokens"] if given == expected else 0)
    bound(
        f"{kind}: saved by PEFT, asked over HTTP: {answer['usage']['completion_tokens']} greedy tokens, the same text",
        given == expected,
    )


def compare_losses(kind, what, backend, model, settings, rows):
    probe = {**settings, "maxSteps": 1, "warmupSteps": 0, "weightDecay": 0}
    # B is zero at first, so the first step leaves A at its initial values.
    first_a = reference.a_matrices(backend.train(probe)[1])
    logs, _ = backend.train(settings)
    losses, rates, _ = reference.train(model, settings, rows, first_a)
    ours = [log["loss"] for log in logs]
    relative = [abs(mine - theirs) / theirs for mine, theirs in zip(ours, losses, strict=True)]
    figure(kind, "losses", max(relative))
    what = f"{kind}: {what}"
    print(f"  {what}: loss {ours[0]:.5f} → {ours[-1]:.5f} here, {losses[0]:.5f} → {losses[-1]:.5f} in PyTorch")
    bound(
        f"{what}: largest difference of a step's loss {max(relative):.2e}, at most {LARGEST_LOSS_DIFFERENCE}",
        max(relative) <= LARGEST_LOSS_DIFFERENCE,
    )
    rate = max(abs(log["learningRate"] - rate) for log, rate in zip(logs, rates, strict=True))
    figure(kind, "learning rates", rate)
    bound(f"{what}: largest difference of a learning rate {rate:.1e}", rate < 1e-9)


def check_losses(backend, models, folder):
    text = [{"text": row} for row in sentences(60, 40, seed=2)]
    pairs = [
        {"prompt": row, "completion": f" {row[: 5 + number % 30].strip()}"}
        for number, row in enumerate(sentences(60, 12, seed=4))
    ]
    chats = [
        {"messages": [{"role": "user", "content": row}, {"role": "assistant", "content": row[::-1].strip()}]}
        for row in sentences(60, 9, seed=5)
    ]
    responses = {"trainOnResponsesOnly": True}
    runs = [(kind, "messages, responses only", chats, responses) for kind in models]
    runs += [
        ("llama", "text", text, {}),
        ("llama", "prompt and completion, responses only", pairs, responses),
        ("llama", "messages, responses only, linear", chats, {**responses, "lrSchedulerType": "linear"}),
        ("llama", "messages, constant rate, cut off", chats,
         {"lrSchedulerType": "constant_with_warmup", "maxLength": 24}),
    ]
    for kind, what, rows, more in runs:
        if kind in models:
            dataset = write_rows(folder / "rows.jsonl", rows)
            settings = config(models[kind], dataset, **more)
            compare_losses(kind, what, backend, models[kind], settings, rows)


def check_speed(backend, model, folder, shape):
    torch.set_num_threads(2)
    length, steps = 256, 12 if shape == "small" else 6
    rows = [{"text": row} for row in sentences(60, 200, seed=6)]
    dataset = write_rows(folder / "long.jsonl", rows)
    settings = config(model, dataset, maxLength=length, maxSteps=steps, warmupSteps=0, loraR=16)
    first_a = reference.a_matrices(backend.train({**settings, "maxSteps": 1, "weightDecay": 0})[1])
    # Alternate, so that both run under the same conditions.
    ours, theirs = [], []
    for _ in range(2):
        # The first log comes with an evaluation, whose time its rate leaves out.
        ours += [log["samplesPerSecond"] * length for log in backend.train(settings)[0][1:]]
        seconds = reference.train(model, settings, rows, first_a)[2]
        theirs += [settings["batchSize"] * length / second for second in seconds[1:]]
    report(f"{shape}: training", statistics.median(ours), statistics.median(theirs))

    tokenizer = AutoTokenizer.from_pretrained(model)
    reference_model = reference.load(model).eval()
    question = [{"role": "user", "content": sentences(1, 20, seed=7)[0]}]
    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ours, theirs = [], []
    tokens = 128
    for _ in range(5):
        started = time.perf_counter()
        answer = greedy(backend, {"baseModel": str(model), "messages": question}, tokens)
        ours.append(answer["usage"]["completion_tokens"] / (time.perf_counter() - started))
        started = time.perf_counter()
        with torch.no_grad():
            output = reference_model.generate(**prompt, max_new_tokens=tokens, do_sample=False)
        made = output.shape[1] - prompt["input_ids"].shape[1]
        theirs.append(made / (time.perf_counter() - started))
    report(
        f"{shape}: generation of {answer['usage']['completion_tokens']} and {made} tokens",
        statistics.median(ours[1:]),
        statistics.median(theirs[1:]),
    )


def report(what, ours, theirs):
    bound(
        f"{what}: {ours:.0f} tokens/s here, {theirs:.0f} in PyTorch, ratio {ours / theirs:.2f}, at least {LEAST_SPEED}",
        ours / theirs >= LEAST_SPEED,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="part", help="adapter, losses, speed; all by default")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of model; all by default")
    parser.add_argument("--shape", choices=SHAPES, action="append", help="of the speed part; all by default")
    parser.add_argument("--binary", default=ROOT / "local/bin/arkor-local")
    arguments = parser.parse_args()
    parts = arguments.parts or ["adapter", "losses", "speed"]
    if unknown := set(parts) - {"adapter", "losses", "speed"}:
        parser.error(f"unknown part {unknown.pop()}")
    with tempfile.TemporaryDirectory(prefix="arkor-check-") as name, Backend(arguments.binary) as backend:
        folder = Path(name)
        models = {kind: make_model(folder / kind, "small", kind) for kind in arguments.kind or KINDS}
        if "adapter" in parts:
            for kind, model in models.items():
                check_adapter(kind, backend, model, folder)
        if "losses" in parts:
            check_losses(backend, models, folder)
        if "speed" in parts:
            for shape in arguments.shape or SHAPES:
                check_speed(backend, make_model(folder / shape, shape), folder, shape)
    if figures:
        table()
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
