"""Answers several prompts at once: generates one token of each in turn, with the adapter that it
requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers.modeling_layers import GradientCheckpointingLayer

from arkor_torch import devices
from arkor_torch.failures import last_message
from arkor_torch.model import load_base
from arkor_torch.protocol import Cancelled, Chat, Message, Refused, Send
from arkor_torch.text import Guides, Text

# The most adapters that are kept in memory besides the base.
MOST_ADAPTERS = 8

# Takes a request's id and returns whether it was cancelled.
IsCancelled = Callable[[int], bool]


class Loaded:
    """A base in memory, and the adapters on it."""

    def __init__(self, folder: Path, check: Callable[[], None]) -> None:
        self.device = devices.device()
        dtype = devices.dtype(self.device)
        self._base = load_base(folder, self.device, dtype, lambda *_: check(), in_4bit=False).eval()
        self._model: Any = self._base
        self._adapters: OrderedDict[Path, str] = OrderedDict()
        self._loads = 0
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        text = self._base.config.get_text_config()
        self.context: int = getattr(text, "max_position_embeddings", None) or 2**31
        self.guides = Guides(folder, self.tokenizer.get_vocab_size(with_added_tokens=True))
        # Every layer checks for cancellations, because a long prompt takes seconds.
        self.check = check
        for module in self._base.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.register_forward_pre_hook(lambda *_: self.check())

    def load_adapter(self, folder: Path) -> None:
        if folder in self._adapters:
            self._adapters.move_to_end(folder)
            return
        if len(self._adapters) == MOST_ADAPTERS:
            _, oldest = self._adapters.popitem(last=False)
            self._model.delete_adapter(oldest)
        # Use a new name each time: PEFT keeps state under a name, even if loading failed.
        self._loads += 1
        name = f"adapter_{self._loads}"
        options: dict[str, Any] = {
            "adapter_name": name,
            "is_trainable": False,
            "torch_device": str(self.device),
        }
        if self._model is self._base:
            self._model = PeftModel.from_pretrained(self._base, str(folder), **options).eval()
        else:
            self._model.load_adapter(str(folder), **options)
        self._adapters[folder] = name

    def logits(self, adapter: Path | None, tokens: list[int], cache: Any) -> tuple[torch.Tensor, Any]:
        """The logits of the token after `tokens`, which follow the tokens in the cache."""
        inputs = torch.tensor([tokens], device=self.device)
        options = {"past_key_values": cache, "use_cache": True, "logits_to_keep": 1}
        with torch.inference_mode():
            if adapter is None and self._model is not self._base:
                with self._model.disable_adapter():
                    out = self._model(input_ids=inputs, **options)
            else:
                if adapter is not None:
                    self.load_adapter(adapter)
                    name = self._adapters[adapter]
                    if self._model.active_adapter != name:
                        self._model.set_adapter(name)
                out = self._model(input_ids=inputs, **options)
        # Copied, because the guide masks tokens in it.
        logits = out.logits[0, -1].float().clone()
        if not logits.isfinite().all():
            raise Refused(
                "model: what it computes isn't finite, so its weights, or those of the adapter, are damaged"
            )
        return logits, out.past_key_values


def answer(loaded: Loaded, chat: Chat, check: Callable[[], None]) -> Iterator[str | Message]:
    """Yields the pieces of an answer, and then its last message. Each step computes one token."""
    text = Text(loaded.tokenizer)
    guide = loaded.guides.guide(chat.grammar, chat.stop) if chat.grammar else None
    random = torch.Generator().manual_seed(chat.seed)
    limit = min(chat.max_tokens, loaded.context - len(chat.prompt))
    tokens, finish, cache, read = 0, "length", None, chat.prompt
    while tokens < limit:
        loaded.check = check
        logits, cache = loaded.logits(chat.adapter, read, cache)
        if guide:
            if guide.is_over():
                finish = "stop"
                break
            guide.forbid(logits)
        token = choose(logits, chat, random)
        tokens += 1
        if token in chat.stop:
            finish = "stop"
            break
        if guide:
            guide.advance(token)
        read = [token]
        yield text.add(token)
    yield text.rest()
    yield {"type": "done", "id": chat.id, "finish": finish, "tokens": tokens}


def choose(logits: torch.Tensor, chat: Chat, random: torch.Generator) -> int:
    """Picks the likeliest token at temperature 0. Otherwise, samples from the smallest set of likeliest
    tokens whose probability reaches `top_p`."""
    if chat.temperature <= 0:
        return int(logits.argmax())
    weights, ids = (logits.double() / chat.temperature).softmax(-1).cpu().sort(descending=True)
    if chat.top_p < 1:
        # Keeps a token if the ones before it don't reach `top_p` yet.
        weights = weights[: int((weights.cumsum(-1) - weights < chat.top_p).sum())]
    return int(ids[torch.multinomial(weights, 1, generator=random)])


class Talker:
    """Handles `load` and `chat` requests in its own thread."""

    def __init__(self, send: Send, is_cancelled: IsCancelled, done: Callable[[int], None]) -> None:
        self._send, self._is_cancelled, self._done = send, is_cancelled, done
        self._waiting: SimpleQueue[Message] = SimpleQueue()
        # The ids of the waiting requests.
        self._queued: set[int] = set()
        self._active: dict[int, Iterator[str | Message]] = {}
        self._loaded: tuple[Path, Loaded] | None = None
        threading.Thread(target=self._run, name="talker", daemon=True).start()

    def add(self, request: Message) -> None:
        self._queued.add(request["id"])
        self._waiting.put(request)

    def _run(self) -> None:
        while True:
            try:
                request = self._waiting.get(block=not self._active)
            except Empty:
                for id in list(self._active):
                    self._try(id, partial(self._step, id))
            else:
                self._try(request["id"], partial(self._begin, request))

    def _try(self, id: int, work: Callable[[], None]) -> None:
        if id not in self._active and id not in self._queued:
            # It was cancelled while another request was being handled.
            return
        try:
            self._check(id)
            work()
        except Exception as error:
            self._end(id, last_message(id, error))

    def _check(self, id: int) -> None:
        """Every layer calls this. Ends requests that were cancelled while another one was being
        handled."""
        for other in [*self._active, *self._queued]:
            if other != id and self._is_cancelled(other):
                self._end(other, {"type": "cancelled", "id": other})
        if self._is_cancelled(id):
            raise Cancelled

    def _begin(self, request: Message) -> None:
        id = request["id"]
        loaded = self._base(Path(request["base"]), lambda: self._check(id))
        self._queued.discard(id)
        if request["type"] == "chat":
            self._active[id] = answer(loaded, Chat.of(request), lambda: self._check(id))
            return
        if request.get("adapter"):
            loaded.load_adapter(Path(request["adapter"]))
        self._end(id, {"type": "loaded", "id": id})

    def _step(self, id: int) -> None:
        piece = next(self._active[id])
        if isinstance(piece, dict):
            self._end(id, piece)
        elif piece:
            self._send({"type": "text", "id": id, "text": piece})

    def _end(self, id: int, message: Message) -> None:
        self._active.pop(id, None)
        self._queued.discard(id)
        self._done(id)
        self._send(message)

    def _base(self, folder: Path, check: Callable[[], None]) -> Loaded:
        if self._loaded is None or self._loaded[0] != folder:
            # Drop the previous base first. It's freed once its last answer has ended.
            self._loaded = None
            self._loaded = (folder, Loaded(folder, check))
        return self._loaded[1]
