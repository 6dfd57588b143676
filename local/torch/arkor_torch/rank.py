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

from arkor_torch import devices
from arkor_torch.failures import described, last_message
from arkor_torch.protocol import Channel, Message, Refused, Send, Train

# How long a process waits for the others. Nothing else detects one that hangs.
LOST_AFTER = timedelta(minutes=5)

# Errors that mean that the connection to another process was lost.
LOST_PEER = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
    "remote process exited",
)


def take_part(file: Path) -> None:
    """Runs a process that torchrun has started."""
    channel = Channel()
    end_with_stdin()
    rank, local_rank, processes = (int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    request = json.loads(file.read_text(encoding="utf-8"))
    try:
        join(local_rank, processes)
    except Exception as error:
        channel.send(last_message(request["id"], error))
        os._exit(1)
    end = train_share(request, channel.send, rank, local_rank, processes)
    # Libraries' threads may still wait for processes that are gone.
    os._exit(end)


def join(local_rank: int, processes: int) -> None:
    """Adds this process to the group."""
    import torch

    cuda = torch.cuda.is_available()
    if cuda:
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise Refused(f"--workers {processes}: this machine has {count} GPUs. Use at most as many.")
        torch.cuda.set_device(local_rank)
    else:
        # There's a single GPU in an Apple machine, which several processes can't share.
        devices.choose("cpu")
    torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=LOST_AFTER)


def train_share(request: Message, send: Send, rank: int, local_rank: int, processes: int) -> int:
    """Trains this process's share of a run. The last message is sent by the first process, or by one that
    fails."""
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
    """Drops messages, because the first process already sends them."""


def end_with_stdin(then: Callable[[], Any] = lambda: os._exit(1)) -> None:
    """Ends this process when its stdin closes, that is, when its parent exits."""

    def wait() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        then()

    threading.Thread(target=wait, name="stdin", daemon=True).start()
