"""Runs in this process in which parts are made to fail: too little memory, and values that aren't
finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine import Message, run

from arkor_torch import trainer
from arkor_torch.failures import described
from arkor_torch.protocol import Diverged, Train

PLAN = {"totalSteps": 7, "saveSteps": 7, "evalSteps": 7, "batchSize": 4}


def test_smaller_parts_train_as_whole_batches_do(
    train_here: Callable[[], list[Message]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_here()
    tried: list[tuple[bool, int]] = []

    def fits_one_row(made: trainer.Run, _device: torch.device) -> None:
        made.check_memory()
        tried.append((made.args.gradient_checkpointing, made.share.part))
        if tried[-1] != (True, 1):
            raise trainer.TooLargeError("out of memory")

    monkeypatch.setattr(trainer, "check_memory", fits_one_row)
    parts = train_here()
    assert tried == [(False, 4), (True, 4), (True, 2), (True, 1)]
    # The last batch of a pass has three rows, so the fourth part is a row without a target.
    logs = [[message for message in messages if message["type"] == "log"] for messages in (parts, whole)]
    for left, right in zip(*logs, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)
        assert (left["evalLoss"] or 0) == pytest.approx(right["evalLoss"] or 0, rel=1e-5)
    assert len([message for message in parts if message["type"] == "started"]) == 1


def test_memory_that_is_never_enough_is_reported(
    train_here: Callable[[], list[Message]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_made: trainer.Run, _device: torch.device) -> None:
        raise trainer.TooLargeError("CUDA out of memory. Tried to allocate 2 GiB.")

    monkeypatch.setattr(trainer, "check_memory", never)
    with pytest.raises(torch.OutOfMemoryError) as error:
        train_here()
    assert described(error.value) == ("outOfMemory", "CUDA out of memory.")


def test_an_adapter_that_is_not_finite_is_never_saved(
    train_here: Callable[..., list[Message]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken_loss = trainer.Run.taken_loss

    def poison(made: trainer.Run) -> float:
        loss = taken_loss(made)
        next(value for value in made.adapted.parameters() if value.requires_grad).data.fill_(torch.nan)
        return loss

    monkeypatch.setattr(trainer.Run, "taken_loss", poison)
    with pytest.raises(Diverged, match="the adapter isn't finite after step 1"):
        train_here(saveSteps=1, evalSteps=50, loggingSteps=50)
    assert list((tmp_path / "checkpoints").glob("checkpoint-*")) == []


@pytest.fixture
def train_here(model: Callable[[str], Path], tmp_path: Path) -> Callable[..., list[Message]]:
    """Trains in this process."""

    def train(**plan: Any) -> list[Message]:
        messages: list[Message] = []
        request = {"id": 1, **run(model("llama"), tmp_path, **{**PLAN, **plan})}
        messages.append(trainer.train(Train.of(request), messages.append, lambda: False))
        return messages

    return train
