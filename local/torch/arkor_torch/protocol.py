"""A worker's side of docs/engine-protocol.md: requests on stdin, messages on stdout."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

PROTOCOL = 1
ALIVE_SECONDS = 5.0

Message = dict[str, Any]
Send = Callable[[Message], None]


class Cancelled(Exception):
    """The request was cancelled."""


class Refused(Exception):
    """The request can't be fulfilled. The text says what to change."""


class Diverged(Exception):
    """A value of the run is no longer finite."""


class Lost(Exception):
    """A process that takes part in the run is gone."""


@dataclass(frozen=True)
class Plan:
    """The numbers of a run, which the core decides."""

    total_steps: int
    batch_size: int
    learning_rate: float
    schedule: str
    warmup_steps: int
    weight_decay: float
    logging_steps: int
    save_steps: int
    eval_steps: int
    lora_r: int
    lora_alpha: float
    seed: int
    load_in_4bit: bool

    @classmethod
    def of(cls, plan: Message) -> Plan:
        return cls(
            total_steps=plan["totalSteps"],
            batch_size=plan["batchSize"],
            learning_rate=plan["learningRate"],
            schedule=plan["lrSchedulerType"],
            warmup_steps=plan["warmupSteps"],
            weight_decay=plan["weightDecay"],
            logging_steps=plan["loggingSteps"],
            save_steps=plan["saveSteps"],
            eval_steps=plan["evalSteps"],
            lora_r=plan["loraR"],
            lora_alpha=plan["loraAlpha"],
            seed=plan["seed"],
            load_in_4bit=plan.get("loadIn4bit", False),
        )

    def saves_at(self, step: int) -> bool:
        return step % self.save_steps == 0 or step == self.total_steps

    def evaluates_at(self, step: int) -> bool:
        return step % self.eval_steps == 0 or step in (self.logging_steps, self.total_steps)


@dataclass(frozen=True)
class Train:
    """A `train` request."""

    id: int
    base: Path
    base_name: str
    plan: Plan
    tokens: Path
    order: Path
    checkpoint: str
    adapter: Path
    resume: Path | None

    @classmethod
    def of(cls, request: Message) -> Train:
        resume = request.get("resume")
        return cls(
            id=request["id"],
            base=Path(request["base"]),
            base_name=request["baseName"],
            plan=Plan.of(request["plan"]),
            tokens=Path(request["tokens"]),
            order=Path(request["order"]),
            checkpoint=request["checkpoint"],
            adapter=Path(request["adapter"]),
            resume=Path(resume) if resume else None,
        )

    def checkpoint_folder(self, step: int) -> Path:
        return Path(self.checkpoint.replace("{step}", str(step)))

    @property
    def scratch(self) -> Path:
        """A folder for temporary files of this run. The core removes folders whose name ends in
        `.tmp`."""
        return Path(self.checkpoint).parent / "torch.tmp"


@dataclass(frozen=True)
class Chat:
    """A `chat` request."""

    id: int
    base: Path
    adapter: Path | None
    prompt: list[int]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    stop: frozenset[int]
    grammar: Message | None

    @classmethod
    def of(cls, request: Message) -> Chat:
        adapter, sampling = request.get("adapter"), request["sampling"]
        return cls(
            id=request["id"],
            base=Path(request["base"]),
            adapter=Path(adapter) if adapter else None,
            prompt=request["prompt"],
            temperature=sampling["temperature"],
            top_p=sampling["topP"],
            max_tokens=sampling["maxTokens"],
            seed=sampling["seed"],
            stop=frozenset(request["stop"]),
            grammar=request.get("grammar"),
        )


class Channel:
    """The process's stdout, reserved for messages. The output of libraries goes to stderr instead."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        with self._lock:
            try:
                self._out.write(f"{line}\n")
                self._out.flush()
            except OSError:
                # The parent process is gone.
                os._exit(1)

    def keep_alive(self) -> None:
        """Reports every few seconds that the process is alive, because loading a model can take minutes
        without any other output."""

        def run() -> None:
            while True:
                self.send({"type": "alive"})
                done.wait(ALIVE_SECONDS)

        done = threading.Event()
        threading.Thread(target=run, name="alive", daemon=True).start()


def requests() -> Iterator[Message]:
    """Yields the requests, until stdin ends."""
    # Read bytes, because text would be decoded with the system's locale.
    for line in sys.stdin.buffer:
        yield json.loads(line)
