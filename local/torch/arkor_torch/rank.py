"""One of several processes of a run."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from arkor_torch.failures import described
from arkor_torch.protocol import Channel, Message, Send, Train

# A process that waits so long for another has lost it. Hanging ones are noticed by this alone.
LOST_AFTER = timedelta(minutes=5)

# What a process says of one that it was connected to.
LOST_PEER = ("Connection closed", "Connection reset", "Broken pipe", "NCCL", "Timed out waiting", "gloo")


def take_part(file: Path) -> None:
    """A process that torchrun has started."""
    channel = Channel()
    end_with_stdin()
    rank, local_rank, processes = (int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    import torch

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local_rank)
    torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=LOST_AFTER)
    end = train_share(json.loads(file.read_text()), channel.send, rank, local_rank, processes)
    # Libraries' threads may wait for processes that are gone.
    os._exit(end)


def train_share(request: Message, send: Send, rank: int, local_rank: int, processes: int) -> int:
    """This process's part of a run. Sends the last message: the first process's, or a failure's."""
    from arkor_torch.trainer import train

    is_first = rank == 0
    task = Train.of(request)
    try:
        last = train(
            task,
            send if is_first else ignore,
            lambda: False,
            rank=rank,
            local_rank=local_rank,
            processes=processes,
        )
    except Exception as error:
        kind, message = described(error)
        if kind == "error":
            traceback.print_exc()
            if any(part in message for part in LOST_PEER):
                kind, message = "lost", f"process {rank} of {processes} has lost another one, see the log"
        send({"type": "failed", "id": task.id, "kind": kind, "message": message})
        return 1
    if is_first:
        send(last)
    return 0


def ignore(_message: Message) -> None:
    """For processes whose messages would be the first one's again."""


def end_with_stdin(then: Callable[[], Any] = lambda: os._exit(1)) -> None:
    """Ends this process when whoever started it ends, or closes the pipe."""

    def wait() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        then()

    threading.Thread(target=wait, name="stdin", daemon=True).start()
