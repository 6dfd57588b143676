"""The worker: reads requests, dispatches them, and exits when its stdin ends."""

from __future__ import annotations

import os
import threading
import traceback
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

from arkor_torch import devices
from arkor_torch.failures import last_message
from arkor_torch.launch import Launcher
from arkor_torch.protocol import PROTOCOL, Channel, Message, Train, requests

if TYPE_CHECKING:
    from arkor_torch.cli import Options


class Talks(Protocol):
    """An engine for chats."""

    def add(self, request: Message) -> None: ...


class Worker:
    """Trains one run at a time, and answers prompts."""

    def __init__(self, options: Options) -> None:
        self._channel = Channel()
        self._options = options
        self._launcher = Launcher(options) if options.starts_processes else None
        self._talker: Talks | None = None
        self._making = threading.Lock()
        # The id of the current `train` request.
        self._trained: int | None = None
        # The ids of the requests in progress, and whether each was cancelled.
        self._open: dict[int, bool] = {}

    def serve(self) -> None:
        self._channel.send(
            {
                "type": "hello",
                "protocol": PROTOCOL,
                "name": "torch",
                "version": version("torch"),
                "loadIn4bit": devices.can_load_in_4bit() and not self._options.vllm,
                "constraints": True,
            }
        )
        self._channel.keep_alive()
        for request in requests():
            match request["type"]:
                case "shutdown":
                    break
                case "cancel":
                    self._cancel(request["id"])
                case kind:
                    self._open[request["id"]] = False
                    work = self._train if kind == "train" else self._talk
                    threading.Thread(target=self._try, args=(work, request), daemon=True).start()
        if self._launcher:
            self._launcher.end()
        # Threads may be in the middle of a step.
        os._exit(0)

    def _cancel(self, id: int) -> None:
        # The cancellation may arrive when the request has just ended.
        if id in self._open:
            self._open[id] = True
            if self._launcher and id == self._trained:
                self._launcher.end()

    def _is_cancelled(self, id: int) -> bool:
        return self._open.get(id, True)

    def _done(self, id: int) -> None:
        self._open.pop(id, None)

    def _try(self, work: object, request: Message) -> None:
        id = request["id"]
        try:
            last = work(request)  # type: ignore[operator]
        except Exception as error:
            last = last_message(id, error)
            if last.get("kind") == "error":
                traceback.print_exc()
        if last:
            self._done(id)
            self._channel.send(last)

    def _train(self, request: Message) -> Message:
        self._trained = request["id"]
        # Loading PyTorch alone takes many seconds.
        self._channel.send(
            {"type": "progress", "id": request["id"], "phase": "loading", "name": "PyTorch"}
            | {"done": 0, "total": 0, "unit": "tensors"}
        )
        cancelled = lambda: self._is_cancelled(request["id"])  # noqa: E731
        if self._launcher:
            return self._launcher.train(request, self._channel.send, cancelled)
        from arkor_torch.trainer import train

        return train(Train.of(request), self._channel.send, cancelled)

    def _talk(self, request: Message) -> None:
        with self._making:
            self._talker = self._talker or self._make_talker()
        self._talker.add(request)

    def _make_talker(self) -> Talks:
        if self._options.vllm:
            from arkor_torch.vllm import VllmTalker

            return VllmTalker(self._options.vllm, self._channel.send, self._is_cancelled, self._done)
        from arkor_torch.chat import Talker

        return Talker(self._channel.send, self._is_cancelled, self._done)
