"""Does arkor-local render conversations like transformers? Compares the token ids for all conversations
below, with all chat templates that TRL packages and a tokenizer with one token per byte. Also checks that
arkor-local refuses a conversation where transformers does.

    npm run build -- --local
    python3 -m venv VENV && VENV/bin/pip install transformers jinja2 && VENV/bin/pip install --no-deps trl
    VENV/bin/python local/check/rendering.py [--templates FOLDER] [--show]

Every conversation is rendered with the function that training and chat share. If the HTTP API accepts a
conversation, the real program also trains on it and answers it, and its tokens are counted. Prints one
row per template. Exits with status 1 if anything differs.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

from transformers import AutoTokenizer

from backend import ROOT, Backend
from conversations import CONVERSATIONS

# The context length of the model that is used here.
CONTEXT = 1024


def packaged_templates():
    # Located without importing it, because that would require PyTorch.
    package = Path(importlib.util.find_spec("trl").origin).parent
    return package / "chat_templates"


def make_model(folder, template):
    """The built-in model with another chat template."""
    folder.mkdir()
    for name in ["config.json", "model.safetensors", "tokenizer.json"]:
        shutil.copy(ROOT / "local/assets/arkor-tiny" / name, folder / name)
    config = json.loads((ROOT / "local/assets/arkor-tiny/tokenizer_config.json").read_text())
    config.pop("chat_template")
    config |= {"bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "image_token": "<|pad|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    shutil.copy(template, folder / "chat_template.jinja")
    return folder


def theirs(tokenizer, case):
    try:
        out = tokenizer.apply_chat_template(
            case["messages"],
            tools=case.get("tools"),
            add_generation_prompt=case["generate"],
            return_dict=True,
            return_assistant_tokens_mask="{% generation" in tokenizer.chat_template
            or "{%- generation" in tokenizer.chat_template,
        )
        return out["input_ids"], out.get("assistant_masks")
    except Exception as error:  # Whatever the template raises is a refusal.
        return f"{type(error).__name__}: {error}", None


def ours(requests):
    command = ["cargo", "run", "--quiet", "--locked", "--profile", "local", "-p", "arkor-local"]
    command += ["--example", "render"]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    output = subprocess.run(
        command, cwd=ROOT, input=lines.encode(), stdout=subprocess.PIPE, check=True
    ).stdout
    return [json.loads(line) for line in output.splitlines()]


def mask(answer):
    """1 for every byte, which is a token, inside of a generated part."""
    position, marked = 0, []
    text = answer["text"].encode()
    for token in answer["ids"]:
        width = 1 if token < 256 else len({256: "<|pad|>", 257: "<|im_start|>", 258: "<|im_end|>", 259: "<|endoftext|>"}[token])
        inside = any(position < end and position + width > start for start, end in answer["generated"])
        marked.append(int(inside))
        position += width
    assert position == len(text)
    return marked


def over_http(backend, model, cases):
    """The numbers of tokens of these conversations in training and in chats."""
    rows = [{"messages": case["messages"]} for case in cases]
    file = model / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = backend.submit({
        "model": str(model), "datasetSource": {"type": "blob", "url": file.as_uri()}, "maxSteps": 1,
        "maxLength": CONTEXT, "loraR": 1, "batchSize": 1, "evalSteps": 1, "trainOnResponsesOnly": False,
    })
    started = next(event for event in backend.events(job) if event["type"] == "training.started")
    backend.post(f"/v1/jobs/{job}/cancel", {})
    tokens, rows = started["metadata"]["tokens"], started["metadata"]["rows"]
    # With few rows, the eval rows are also trained, so their tokens are already counted.
    trained = tokens["train"] + (tokens["eval"] if rows["evalHeldOut"] else 0)
    asked = 0
    for case in cases:
        request = {"baseModel": str(model), "messages": case["messages"], "maxTokens": 1, "stream": False}
        asked += backend.post("/v1/inference/chat", request)["usage"]["prompt_tokens"]
    return trained, asked


def plain(case):
    """Whether the HTTP API accepts the conversation without changing it first."""
    roles = {message["role"] for message in case["messages"]}
    texts = all(isinstance(message.get("content"), str) for message in case["messages"])
    fields = {name for message in case["messages"] for name in message}
    return "tools" not in case and texts and roles <= {"system", "user", "assistant"} and fields == {"role", "content"}


def whole(case, text):
    """Whether the text contains every message. Over HTTP, a template that leaves one out is refused."""
    return all(message["content"].strip() in text for message in case["messages"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--templates", type=Path, help="a folder of .jinja files instead of TRL's")
    parser.add_argument("--binary", default=ROOT / "local/bin/arkor-local")
    parser.add_argument("--show", action="store_true", help="print what differs")
    arguments = parser.parse_args()
    templates = sorted((arguments.templates or packaged_templates()).glob("*.jinja"))
    cases = [{**case, "generate": generate} for case in CONVERSATIONS for generate in (False, True)]
    totals = [0, 0, 0, 0, 0]
    print(f"{len(templates)} templates × {len(CONVERSATIONS)} conversations, with and without a generation prompt")
    print(f"{'template':40} {'same ids':>9} {'masks':>6} {'refused by both':>16} {'differ':>7} {'trained and asked':>18}")
    with tempfile.TemporaryDirectory(prefix="arkor-check-") as name, Backend(arguments.binary) as backend:
        for template in templates:
            model = make_model(Path(name) / template.stem, template)
            tokenizer = AutoTokenizer.from_pretrained(model)
            answers = ours([{"model": str(model), **case} for case in cases])
            same = masks = refused = differ = 0
            short = []
            for case, answer in zip(cases, answers, strict=True):
                expected, expected_mask = theirs(tokenizer, case)
                if isinstance(expected, str) or "error" in answer:
                    fine = isinstance(expected, str) and "error" in answer
                    refused += fine
                else:
                    fine = answer["ids"] == expected
                    if fine and expected_mask is not None:
                        fine = answer["generated"] is not None and mask(answer) == expected_mask
                        masks += fine
                    same += fine
                if not fine:
                    differ += 1
                    if arguments.show:
                        text = expected if isinstance(expected, str) else tokenizer.decode(expected)
                        print(f"--- {case['name']}, generate: {case['generate']}\n{text!r}\n{answer.get('error') or answer['text']!r}")
                elif not isinstance(expected, str) and plain(case) and 1 < len(expected) < CONTEXT \
                        and whole(case, answer["text"]):
                    short.append((case, len(expected)))
            counted = http(backend, model, short)
            totals = [total + part for total, part in zip(totals, [same, masks, refused, differ, not counted[0]])]
            print(f"{template.stem:40} {same:9} {masks:6} {refused:16} {differ:7} {counted[1]:>18}", flush=True)
    same, masks, refused, differ, miscounted = totals
    print(f"{'all':40} {same:9} {masks:6} {refused:16} {differ:7}")
    sys.exit(1 if differ or miscounted else 0)


def http(backend, model, short):
    training = [(case, tokens) for case, tokens in short if not case["generate"]]
    asking = [(case, tokens) for case, tokens in short if case["generate"]]
    names = {case["name"] for case, _ in training} & {case["name"] for case, _ in asking}
    if not names:
        return True, "-"
    chosen = [case for case, _ in training if case["name"] in names]
    expected = [sum(tokens for case, tokens in part if case["name"] in names) for part in (training, asking)]
    counts = list(over_http(backend, model, chosen))
    return counts == expected, f"{len(chosen)} the same" if counts == expected else f"{counts} not {expected}"


if __name__ == "__main__":
    main()
