"""Runs in two processes, and the ways in which they end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engine import Engine, Message, run

Model = Callable[[str], Path]
PLAN = {"totalSteps": 9, "saveSteps": 4, "loggingSteps": 3, "evalSteps": 5}
# A run that is still in progress when the test interferes with it.
LONG = {"totalSteps": 4000, "saveSteps": 4, "evalSteps": 4000}


def logs(messages: list[Message]) -> list[Message]:
    return [message for message in messages if message["type"] == "log"]


def descendants(pid: int) -> set[int]:
    """All processes that a process has started, directly or indirectly."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = dict(tuple(map(int, line.split())) for line in table.splitlines())  # type: ignore[arg-type]
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def ranks(engine: Engine) -> list[int]:
    """The processes that train."""
    names = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in descendants(engine.process.pid)}
    return sorted(pid for pid, name in names.items() if "--rank=" in name and "distributed" not in name)


def gone(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_two_processes_train_as_one_does_with_the_same_batches(
    pair: Engine, trainer: Engine, model: Model, tmp_path: Path
) -> None:
    base = model("llama")
    alone = trainer.ask("train", **run(base, tmp_path / "alone", **PLAN))
    together = pair.ask("train", **run(base, tmp_path / "together", **PLAN))
    assert together[-1]["type"] == "completed", together[-1]
    started = next(message for message in together if message["type"] == "started")
    assert started["processes"] == 2
    kinds = [[m["type"] for m in messages if m["type"] != "progress"] for messages in (together, alone)]
    assert kinds[0] == kinds[1]
    for left, right in zip(logs(together), logs(alone), strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)
        assert (left["evalLoss"] or 0) == pytest.approx(right["evalLoss"] or 0, rel=1e-5)
        assert left["epoch"] == right["epoch"]

    # A process that is killed is noticed soon, and the run resumes from its checkpoint.
    id = pair.send("train", **run(base, tmp_path / "lost", **LONG))
    for message in pair.messages(id):
        if message["type"] == "checkpoint" and message["step"] == 8:
            killed = time.monotonic()
            os.kill(ranks(pair)[-1], signal.SIGKILL)
    assert (message["type"], message["kind"]) == ("failed", "lost")
    assert time.monotonic() - killed < 10
    checkpoint = tmp_path / "lost" / "checkpoints" / "checkpoint-8.tmp"
    rest = pair.ask("train", **run(base, tmp_path / "lost", resume=checkpoint, **{**LONG, "totalSteps": 12}))
    assert [log["step"] for log in logs(rest)] == [9, 10, 11, 12]


def test_nothing_is_left_when_a_run_is_cancelled_or_the_engine_is_killed(
    pair: Engine, model: Model, tmp_path: Path
) -> None:
    id = pair.send("train", **run(model("llama"), tmp_path / "a", **LONG))
    for message in pair.messages(id):
        if message["type"] == "log" and message["step"] == 2:
            started, before = ranks(pair), time.monotonic()
            pair.cancel(id)
    assert message["type"] == "cancelled"
    assert time.monotonic() - before < 1.5
    assert len(started) == 2
    assert gone(started, 2)

    other = Engine(tmp_path / "log", "--device", "cpu", "--workers", "2")
    id = other.send("train", **run(model("llama"), tmp_path / "b", **LONG))
    for message in other.messages(id):
        if message["type"] == "log" and message["step"] == 2:
            started = sorted(descendants(other.process.pid))
            other.process.kill()
    assert message["kind"] == "gone"
    assert len(started) >= 3
    assert gone(started, 5)
