"""The engine from the core's point of view: a process that accepts requests and writes messages."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

PROGRAM = Path(__file__).parent.parent
LAST = ("completed", "loaded", "done", "cancelled", "failed")

Message = dict[str, Any]


class Engine:
    """A running engine. `log` is its stderr."""

    def __init__(self, log: Path, *args: str, **env: str) -> None:
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            encoding="utf-8",
            env={**os.environ, **env},
        )
        self._ids = itertools.count(1)
        self._inboxes: dict[int, queue.SimpleQueue[Message]] = {}
        self._hello: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self.hello = self._hello.get(timeout=60)

    def _read(self) -> None:
        for line in self.process.stdout or ():
            message = json.loads(line)
            if message["type"] == "hello":
                self._hello.put(message)
            elif message["type"] != "alive":
                self._inboxes[message["id"]].put(message)
        for inbox in self._inboxes.values():
            inbox.put({"type": "failed", "kind": "gone", "message": self._log.read_text()})

    def send(self, kind: str, **fields: Any) -> int:
        """Sends a request, and returns its id."""
        id = next(self._ids)
        self._inboxes[id] = queue.SimpleQueue()
        self._write({"type": kind, "id": id, **fields})
        return id

    def _write(self, request: Message) -> None:
        if self.process.stdin:
            self.process.stdin.write(json.dumps(request, ensure_ascii=False) + "\n")
            self.process.stdin.flush()

    def cancel(self, id: int) -> None:
        self._write({"type": "cancel", "id": id})

    def messages(self, id: int, seconds: float = 240) -> Iterator[Message]:
        """Yields the messages about a request, up to the last one."""
        while True:
            message = self._inboxes[id].get(timeout=seconds)
            yield message
            if message["type"] in LAST:
                return

    def ask(self, kind: str, **fields: Any) -> list[Message]:
        """Sends a request and waits for its last message."""
        return list(self.messages(self.send(kind, **fields)))

    def end(self) -> int:
        """Closes the engine's stdin and waits until it exits."""
        if self.process.stdin:
            self.process.stdin.close()
        return self.process.wait(timeout=20)


PLAN: Message = {
    "totalSteps": 6,
    "batchSize": 4,
    "learningRate": 5e-3,
    "lrSchedulerType": "linear",
    "warmupSteps": 2,
    "weightDecay": 0.01,
    "loggingSteps": 1,
    "saveSteps": 3,
    "evalSteps": 3,
    "loraR": 4,
    "loraAlpha": 8,
    "seed": 7,
}


def encoded() -> list[tuple[list[int], list[int]]]:
    """Rows of token ids, and which of them are trained. The rows are questions with answers, one token
    per byte."""
    rows = []
    for number in range(26):
        question, answer = f"What comes after {number}? ", f"{number + 1}" + "!" * (number % 5)
        ids = [byte + 4 for byte in (question + answer).encode()] + [2]
        rows.append((ids, [0] * len(question) + [1] * (len(answer) + 1)))
    return rows


def run(base: Path, folder: Path, resume: Path | None = None, **plan: Any) -> Message:
    """The fields of a `train` request, with its files in `folder`."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    rows, held_out = encoded(), [0] * 23 + [1] * 3
    tensors = {
        "ids": np.concatenate([ids for ids, _ in rows]).astype(np.uint32),
        "trained": np.concatenate([trained for _, trained in rows]).astype(np.uint8),
        "ends": np.cumsum([len(ids) for ids, _ in rows]).astype(np.uint64),
        "held_out": np.array(held_out, np.uint8),
    }
    save_file(tensors, folder / "tokens.safetensors")
    whole = {**PLAN, **plan}
    # Passes over 23 rows, so that the last batch of each pass is smaller.
    batches: list[list[int]] = []
    order = np.random.default_rng(1)
    while len(batches) < whole["totalSteps"]:
        pass_ = order.permutation(23).tolist()
        batches += [pass_[at : at + whole["batchSize"]] for at in range(0, 23, whole["batchSize"])]
    batches = batches[: whole["totalSteps"]]
    order_file = {
        "rows": np.concatenate(batches).astype(np.uint32),
        "ends": np.cumsum([len(batch) for batch in batches]).astype(np.uint64),
    }
    save_file(order_file, folder / "order.safetensors")
    request = {
        "base": str(base),
        "baseName": "owner/name",
        "plan": whole,
        "tokens": str(folder / "tokens.safetensors"),
        "order": str(folder / "order.safetensors"),
        "checkpoint": str(folder / "checkpoints" / "checkpoint-{step}.tmp"),
        "adapter": str(folder / "adapter.tmp"),
    }
    return {**request, "resume": str(resume)} if resume else request
