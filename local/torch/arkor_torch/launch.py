"""Runs in several processes, which torchrun or a Ray driver starts. They all get the request as a file,
and write messages to a pipe that is read here. They exit when the pipe to their stdin is closed, which
happens however this process ends. torchrun alone would leave them behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_torch.protocol import Cancelled, Lost, Message, Send, Train

if TYPE_CHECKING:
    from arkor_torch.cli import Options

# How long the processes may take to exit by themselves.
END_SECONDS = 0.5

PROGRAM = str(Path(__file__).parent.parent)
LAST = ("completed", "failed")


class Launcher:
    """Starts the processes of runs, one run at a time."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._running: subprocess.Popen[str] | None = None

    def train(self, request: Message, send: Send, cancelled: Callable[[], bool]) -> Message:
        """Trains, and returns the last message."""
        task = Train.of(request)
        task.scratch.mkdir(parents=True, exist_ok=True)
        file = task.scratch / "request.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        process = subprocess.Popen(
            self._command(file),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={"OMP_NUM_THREADS": str(self._threads()), **os.environ},
        )
        self._running = process
        try:
            if cancelled():
                self.end()
            ends = _messages(process, send)
            code = process.wait()
        finally:
            # Kill the processes that are left.
            self.end()
            self._running = None
        if cancelled():
            raise Cancelled
        if ends:
            # A failure in one process makes the others fail, so prefer the original cause.
            return min(ends, key=lambda end: (end["type"] != "completed", end.get("kind") == "lost"))
        raise Lost(f"a process that takes part in the run has ended (code {code}), see the log")

    def end(self) -> None:
        """Ends the processes of the run, if there's one."""
        process = self._running
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        if process.poll() is not None:
            return
        timer = threading.Timer(END_SECONDS, process.kill)
        timer.daemon = True
        timer.start()

    def _threads(self) -> int:
        """The threads per process, which share the cores. torchrun would give each process a single
        thread."""
        processes = 1 if self._options.ray else self._options.workers or 1
        return max(1, (os.cpu_count() or 1) // processes)

    def _command(self, file: Path) -> list[str]:
        options = self._options
        device = ["--device", options.device] if options.device else []
        if options.ray is None:
            launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={options.workers}"]
            return [sys.executable, *launch, PROGRAM + "/__main__.py", *device, f"--rank={file}"]
        workers = [f"--workers={options.workers}"] if options.workers else []
        ray = [f"--ray={options.ray}", *workers, f"--driver={file}"]
        return [sys.executable, PROGRAM, *device, *ray]


def _messages(process: subprocess.Popen[str], send: Send) -> list[Message]:
    """Forwards messages until the output ends. Returns the last messages of the processes."""
    ends = []
    for line in process.stdout or ():
        message = json.loads(line)
        if message["type"] in LAST:
            ends.append(message)
        else:
            send(message)
    return ends
