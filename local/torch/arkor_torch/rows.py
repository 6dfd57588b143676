"""The rows of a run: token ids that the core has encoded, in the order that the core has decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from safetensors.numpy import load_file
from torch.utils.data import Sampler

IGNORED = -100


@dataclass(frozen=True)
class Rows:
    """Rows of token ids and labels, and their lengths. They are followed by a row without a target, which
    fills up batches."""

    dataset: Dataset
    lengths: Any

    @property
    def count(self) -> int:
        return len(self.lengths)

    @property
    def filler(self) -> int:
        return self.count


def read_rows(path: Path) -> tuple[Rows, Rows]:
    """The rows to train on, and those for the eval loss."""
    tensors = load_file(path)
    held_out = tensors["held_out"].astype(bool)
    measuring = held_out if held_out.any() else np.ones_like(held_out)
    return _rows(tensors, ~held_out), _rows(tensors, measuring)


def _rows(tensors: dict[str, Any], chosen: Any) -> Rows:
    ends = tensors["ends"].astype(np.int64)
    starts = np.concatenate(([0], ends[:-1]))
    lengths = (ends - starts)[chosen]
    kept = np.repeat(chosen, ends - starts)
    ids = tensors["ids"][kept].astype(np.int64)
    labels = np.where(tensors["trained"][kept] == 1, ids, IGNORED)
    # The filler has two tokens, because a single one leaves no position to predict.
    ids, labels = np.append(ids, [0, 0]), np.append(labels, [IGNORED, IGNORED])
    offsets = np.concatenate(([0], np.cumsum(np.append(lengths, 2))))
    column = lambda values: pa.LargeListArray.from_arrays(offsets, values)  # noqa: E731
    table = pa.table({"input_ids": column(ids), "labels": column(labels)})
    return Rows(Dataset(table), lengths)


@dataclass(frozen=True)
class Order:
    """The order of the rows, which determines the batch of each step."""

    rows: Any
    ends: Any

    @classmethod
    def read(cls, path: Path) -> Order:
        tensors = load_file(path)
        return cls(tensors["rows"].astype(np.int64), tensors["ends"].astype(np.int64))

    def batch(self, step: int) -> list[int]:
        """The rows of a step's batch. Steps count from 0."""
        start = 0 if step == 0 else self.ends[step - 1]
        return self.rows[start : self.ends[step]].tolist()

    def done(self, step: int) -> int:
        """How many rows have been trained after this many steps."""
        return int(self.ends[step - 1]) if step else 0


@dataclass(frozen=True)
class Share:
    """One process's share of each batch, in parts that fit into memory."""

    rank: int
    processes: int
    part: int

    def parts(self, batch: int) -> int:
        """How many parts every process splits a batch of this many rows into."""
        return -(-batch // (self.part * self.processes))

    def cut(self, rows: list[int], parts: int, filler: int) -> Iterator[list[int]]:
        """This process's parts of a batch. All processes get the same number of parts, filled up if there
        are too few rows."""
        mine = rows[self.rank :: self.processes]
        for start in range(0, parts * self.part, self.part):
            yield mine[start : start + self.part] or [filler]


class Parts(Sampler[list[int]]):
    """The batches of a whole run, each split into the same number of parts."""

    def __init__(self, batches: list[list[int]], share: Share, filler: int) -> None:
        self._batches, self._share, self._filler = batches, share, filler
        self.per_batch = share.parts(max(map(len, batches)))

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches:
            yield from self._share.cut(batch, self.per_batch, self._filler)

    def __len__(self) -> int:
        return len(self._batches) * self.per_batch
