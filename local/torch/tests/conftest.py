"""Fixtures: models, and engines that have already loaded PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine import Engine
from models import make

# The device that `npm run test:torch -- --device` names. Default: cpu.
DEVICE = os.environ.get("ARKOR_TEST_DEVICE", "cpu")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Creates a model folder for an architecture."""
    made: dict[str, Path] = {}

    def get(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = make(tmp_path_factory.mktemp("models") / architecture, architecture)
        return made[architecture]

    return get


@pytest.fixture(scope="session")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine for runs."""
    yield from _engine(tmp_path_factory, "trainer")


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine for answers. The core has a separate one for them, too."""
    yield from _engine(tmp_path_factory, "talker")


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that trains in two processes."""
    yield from _engine(tmp_path_factory, "pair", "--workers", "2")


def _engine(factory: pytest.TempPathFactory, name: str, *args: str) -> Iterator[Engine]:
    engine = Engine(factory.mktemp(name) / "log", "--device", DEVICE, *args)
    yield engine
    assert engine.end() == 0
