"""Converts token ids to text, and restricts the next token."""

from __future__ import annotations

import json
from pathlib import Path

import llguidance
import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from arkor_torch.protocol import Message, Refused

# The core has the same limit.
MOST_ITEMS = 50_000


class Text:
    """Text that grows token by token. It's returned in pieces of complete characters."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._sent = 0

    def add(self, token: int) -> str:
        self._ids.append(token)
        piece: str = self._stream.step(self._tokenizer, token) or ""
        self._sent += len(piece)
        return piece

    def rest(self) -> str:
        """The rest of the text, with a replacement character for an incomplete character at the very
        end."""
        whole: str = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        return whole[self._sent :]


class Guides:
    """Creates guides for one tokenizer."""

    def __init__(self, folder: Path, tokens: int) -> None:
        self._json = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._tokens = tokens
        self._known: dict[frozenset[int], llguidance.LLTokenizer] = {}

    def guide(self, grammar: Message, stop: frozenset[int]) -> Guide:
        if stop not in self._known:
            self._known[stop] = llguidance.LLTokenizer(
                self._json, n_vocab=self._tokens, eos_token=sorted(stop)
            )
        limits = llguidance.LLParserLimits(max_items_in_row=MOST_ITEMS, verbose_errors=False)
        matcher = llguidance.LLMatcher(self._known[stop], json.dumps(grammar), log_level=0, limits=limits)
        if matcher.is_error():
            raise Refused(f"structuredOutputs: {matcher.get_error()}")
        return Guide(matcher)


class Guide:
    """Restricts the next token of one answer."""

    def __init__(self, matcher: llguidance.LLMatcher) -> None:
        self._matcher = matcher

    def is_over(self) -> bool:
        return self._matcher.is_stopped()

    def forbid(self, logits: torch.Tensor) -> None:
        """Masks all tokens but those that may come next. A model can have more logits than there are
        tokens."""
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        allowed = torch.from_numpy(bits[: len(logits)].astype(bool)).to(logits.device)
        logits[: len(allowed)].masked_fill_(~allowed, -torch.inf)
        logits[len(allowed) :] = -torch.inf

    def advance(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise Refused(f"structuredOutputs: {self._matcher.get_error()}")
