"""Runs in one process."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import DEVICE
from engine import PLAN, Engine, Message, encoded, run
from models import CONFIGS
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, get_scheduler

Model = Callable[[str], Path]

ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
DENSE = ATTENTION | {"gate_proj", "up_proj", "down_proj"}
TARGETS = {
    **dict.fromkeys(["llama", "mistral", "qwen3", "smollm3", "gemma3"], DENSE),
    "qwen3_moe": ATTENTION,
    "gpt_oss": ATTENTION,
    "phi3": {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"},
    "qwen3_5": DENSE | {"in_proj_qkv", "in_proj_z", "in_proj_a", "in_proj_b", "out_proj"},
    "gemma4": DENSE | {"per_layer_input_gate", "per_layer_projection"},
}
# GPUs compute gradients in bfloat16.
CLOSE = 1e-5 if DEVICE == "cpu" else 2e-2


def logs(messages: list[Message]) -> list[Message]:
    return [message for message in messages if message["type"] == "log"]


@pytest.mark.parametrize("architecture", CONFIGS)
def test_an_architecture_trains_its_language_model(
    architecture: str, trainer: Engine, model: Model, tmp_path: Path
) -> None:
    base = model(architecture)
    request = run(base, tmp_path)
    messages = trainer.ask("train", **request)
    assert messages[-1]["type"] == "completed", messages[-1]
    started = next(message for message in messages if message["type"] == "started")
    assert {name.rsplit(".", 1)[-1] for name in started["targets"]} == TARGETS[architecture]
    assert not [name for name in started["targets"] if "vision" in name or "audio" in name]
    reported = logs(messages)
    assert [log["step"] for log in reported] == [1, 2, 3, 4, 5, 6]
    assert [log["step"] for log in reported if log["evalLoss"] is not None] == [1, 3, 6]
    assert reported[-1]["loss"] < reported[0]["loss"] or architecture == "gpt_oss"
    assert reported[-1]["epoch"] == 1

    weights = load_file(tmp_path / "adapter.tmp" / "adapter_model.safetensors")
    untrained = [name for name, value in weights.items() if "lora_B" in name and not value.any()]
    assert untrained == []
    adapted = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base), str(tmp_path / "adapter.tmp")
    )
    loaded = {name for name, _ in adapted.named_parameters() if "lora_" in name}
    assert len(loaded) == len(weights)
    config = json.loads((tmp_path / "adapter.tmp" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "owner/name"


def test_a_run_starts_with_the_models_loss_and_follows_its_schedule(
    trainer: Engine, model: Model, tmp_path: Path
) -> None:
    base = model("llama")
    request = run(base, tmp_path, warmupSteps=2, totalSteps=6, lrSchedulerType="cosine")
    messages = trainer.ask("train", **request)
    order = load_file(request["order"])
    first = order["rows"][: order["ends"][0]].tolist()
    expected = loss_of(base, first)
    assert logs(messages)[0]["loss"] == pytest.approx(expected, rel=CLOSE)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=PLAN["learningRate"])
    schedule = get_scheduler("cosine", optimizer, num_warmup_steps=2, num_training_steps=6)
    for log in logs(messages):
        assert log["learningRate"] == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        schedule.step()


def loss_of(base: Path, rows: list[int]) -> float:
    """The mean loss per trained token of some rows, computed one row at a time."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    total, count = 0.0, 0
    for row in rows:
        ids, trained = encoded()[row]
        labels = torch.tensor([ids]).masked_fill(~torch.tensor([trained]).bool(), -100)
        tokens = sum(trained[1:])
        total += model(input_ids=torch.tensor([ids]), labels=labels).loss.item() * tokens
        count += tokens
    return total / count


def test_a_resumed_run_is_the_run_that_was_never_interrupted(
    trainer: Engine, model: Model, tmp_path: Path
) -> None:
    base, plan = model("llama"), {"totalSteps": 9, "saveSteps": 4, "loggingSteps": 3, "evalSteps": 5}
    whole = trainer.ask("train", **run(base, tmp_path / "whole", **plan))
    checkpoint = tmp_path / "whole" / "checkpoints" / "checkpoint-4.tmp"
    rest = trainer.ask("train", **run(base, tmp_path / "rest", resume=checkpoint, **plan))
    without_times = lambda messages: [  # noqa: E731
        {**log, "id": 0, "samplesPerSecond": 0} for log in logs(messages)
    ]
    if DEVICE == "cpu":
        assert without_times(rest) == without_times(whole)[1:]
    for left, right in zip(logs(rest), logs(whole)[1:], strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=CLOSE)
    assert {name["step"] for name in whole if name["type"] == "checkpoint"} == {4, 8, 9}


def test_a_step_of_a_long_run_ends_when_it_is_cancelled(
    trainer: Engine, model: Model, tmp_path: Path
) -> None:
    id = trainer.send("train", **run(model("llama"), tmp_path, totalSteps=4000, saveSteps=4000))
    for message in trainer.messages(id):
        if message["type"] == "log" and message["step"] == 3:
            trainer.cancel(id)
    assert message["type"] == "cancelled"


def refusal(engine: Engine, request: Message) -> tuple[str, str]:
    last = engine.ask("train", **request)[-1]
    assert last["type"] == "failed"
    return last["kind"], last["message"]


def test_what_is_wrong_is_said_in_a_sentence(trainer: Engine, model: Model, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return shutil.copytree(model("llama"), tmp_path / name)

    kind, message = refusal(trainer, run(model("llama"), tmp_path / "a", loadIn4bit=True))
    assert (kind, "NVIDIA GPU" in message) == ("refused", True) or DEVICE == "cuda"

    other = tmp_path / "checkpoint-3"
    other.mkdir()
    kind, message = refusal(trainer, run(model("llama"), tmp_path / "b", resume=other))
    assert (kind, message.split(":")[0]) == ("refused", "resume")

    unknown = copy("unknown")
    config = json.loads((unknown / "config.json").read_text())
    (unknown / "config.json").write_text(json.dumps({**config, "model_type": "of_next_year"}))
    kind, message = refusal(trainer, run(unknown, tmp_path / "c"))
    assert kind == "refused"
    assert "of_next_year" in message
    assert "npm install arkor@latest" in message

    with_code = copy("with_code")
    brings = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Model"}}
    (with_code / "config.json").write_text(json.dumps({**config, **brings}))
    (with_code / "own.py").write_text("raise SystemExit('it was run')")
    kind, message = refusal(trainer, run(with_code, tmp_path / "f"))
    assert kind == "refused"
    assert "code of its own" in message

    damaged = copy("damaged")
    os.truncate(damaged / "model.safetensors", 1000)
    kind, message = refusal(trainer, run(damaged, tmp_path / "d"))
    assert kind == "refused"
    assert "download it again" in message

    kind, message = refusal(trainer, run(model("llama"), tmp_path / "e", learningRate=1e30, warmupSteps=0))
    assert kind == "diverged"
    assert "learningRate" in message


def test_a_loss_that_is_not_a_number_is_reported_before_the_end(
    trainer: Engine, model: Model, tmp_path: Path
) -> None:
    messages = trainer.ask("train", **run(model("llama"), tmp_path, learningRate=1e30, warmupSteps=0))
    assert math.isnan(logs(messages)[-1]["evalLoss"])
    assert messages[-1]["kind"] == "diverged"
