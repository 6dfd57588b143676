"""Tests of answers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import DEVICE
from engine import Engine, Message, run
from peft import PeftModel
from transformers import AutoModelForCausalLM

Model = Callable[[str], Path]


def asked(base: Path, text: str = "What?", adapter: Path | None = None, **sampling: Any) -> Message:
    prompt = [byte + 4 for byte in text.encode()]
    request = {
        "base": str(base),
        "prompt": prompt,
        "stop": [2],
        "sampling": {"temperature": 0, "topP": 1, "maxTokens": 24, "seed": 1, **sampling},
    }
    return {**request, "adapter": str(adapter)} if adapter else request


def said(messages: list[Message]) -> str:
    assert messages[-1]["type"] == "done", messages[-1]
    return "".join(message.get("text", "") for message in messages)


def expected(base: Path, adapter: Path | None = None, text: str = "What?") -> str:
    """The answer of transformers' own `generate`."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter))
    prompt = torch.tensor([[byte + 4 for byte in text.encode()]])
    with torch.no_grad():
        ids = model.generate(prompt, max_new_tokens=24, do_sample=False, eos_token_id=2)[0, prompt.shape[1] :]
    from models import tokenizer

    return tokenizer().decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("architecture", ["llama", "qwen3_5", "gpt_oss", "gemma4"])
def test_the_likeliest_answer_is_that_of_generate_with_and_without_an_adapter(
    architecture: str, talker: Engine, trainer: Engine, model: Model, tmp_path: Path
) -> None:
    base = model(architecture)
    assert trainer.ask("train", **run(base, tmp_path, learningRate=0.02))[-1]["type"] == "completed"
    adapter = tmp_path / "adapter.tmp"
    assert talker.ask("load", base=str(base), adapter=str(adapter))[-1]["type"] == "loaded"
    answers = [said(talker.ask("chat", **asked(base, adapter=which))) for which in (None, adapter, None)]
    assert answers[0] == answers[2] != answers[1]
    if DEVICE == "cpu":
        assert answers[:2] == [expected(base), expected(base, adapter)]


def test_chance_is_repeatable_and_within_top_p(talker: Engine, model: Model) -> None:
    base = model("llama")
    say = lambda **sampling: said(talker.ask("chat", **asked(base, **sampling)))  # noqa: E731
    assert say(temperature=1.5, seed=3) == say(temperature=1.5, seed=3) != say(temperature=1.5, seed=4)
    # With such a low top_p, only the likeliest token is left.
    assert say(temperature=1.5, topP=1e-6) == say()


def test_an_answer_holds_to_its_grammar(talker: Engine, model: Model) -> None:
    schema = {
        "type": "object",
        "properties": {"number": {"type": "integer", "maximum": 99}, "which": {"enum": ["x", "y"]}},
        "required": ["number", "which"],
        "additionalProperties": False,
        # Like in the core, because small models tend to generate spaces.
        "x-guidance": {"whitespace_pattern": " ?"},
    }
    grammar = {"grammars": [{"json_schema": schema}]}
    messages = talker.ask("chat", **asked(model("llama"), maxTokens=200), grammar=grammar)
    answer = json.loads(said(messages))
    assert answer["number"] <= 99
    assert answer["which"] in ("x", "y")
    assert messages[-1]["finish"] == "stop"
    wrong = talker.ask("chat", **asked(model("llama")), grammar={"grammars": [{"lark_grammar": "start: no"}]})
    assert wrong[-1]["kind"] == "refused"


def test_several_are_answered_at_a_time_and_one_can_be_cancelled(talker: Engine, model: Model) -> None:
    base = model("llama")
    ids = [
        talker.send("chat", **{**asked(base, maxTokens=300, temperature=1, seed=seed), "stop": []})
        for seed in range(3)
    ]
    texts = {id: talker.messages(id) for id in ids}
    assert {next(messages)["type"] for messages in texts.values()} == {"text"}
    talker.cancel(ids[1])
    assert [list(texts[id])[-1]["type"] for id in ids] == ["done", "cancelled", "done"]


def test_a_damaged_adapter_is_refused_and_the_ones_after_it_are_right(
    talker: Engine, trainer: Engine, model: Model, tmp_path: Path
) -> None:
    base = model("llama")
    trainer.ask("train", **run(base, tmp_path, learningRate=0.02))
    adapter = tmp_path / "adapter.tmp"
    answer = said(talker.ask("chat", **asked(base, adapter=adapter)))
    damaged = shutil.copytree(adapter, tmp_path / "damaged")
    os.truncate(damaged / "adapter_model.safetensors", 500)
    assert talker.ask("chat", **asked(base, adapter=damaged))[-1]["type"] == "failed"
    # The scale is part of the config: PEFT must not use that of the damaged adapter.
    stronger = shutil.copytree(adapter, tmp_path / "stronger")
    config = json.loads((stronger / "adapter_config.json").read_text())
    (stronger / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 80}))
    assert said(talker.ask("chat", **asked(base, adapter=stronger))) == expected(base, stronger)
    # More adapters than the engine keeps.
    for number in range(9):
        copy = shutil.copytree(adapter, tmp_path / f"copy-{number}")
        assert said(talker.ask("chat", **asked(base, adapter=copy))) == answer


def test_an_answer_ends_with_the_context(talker: Engine, model: Model) -> None:
    request = {**asked(model("llama"), "x" * 500, maxTokens=100), "stop": []}
    end = talker.ask("chat", **request)[-1]
    assert (end["finish"], end["tokens"]) == ("length", 12)
