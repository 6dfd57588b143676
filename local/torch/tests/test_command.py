"""Tests of the command line, and of how the engine exits."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

from engine import PROGRAM, Engine


def engine(*args: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, str(PROGRAM), *args], capture_output=True, text=True, check=False)


def test_check_says_what_is_installed() -> None:
    done = engine("--check", "--ray=auto")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["packages"]["trl"]
    assert report["packages"]["ray"]
    assert report["device"] in ("cpu", "cuda:0", "mps")


def test_check_names_what_is_missing(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=False)
    done = engine("--check", python=str(tmp_path / "bin" / "python"))
    assert done.returncode == 1
    assert "torch==2" in json.loads(done.stdout)["problem"]


def test_wrong_options_are_named() -> None:
    done = engine("--workers", "none")
    assert done.returncode != 0
    assert "'none' isn't a number of processes" in done.stderr


def test_it_says_hello_without_loading_torch_and_ends_with_its_stdin(tmp_path: Path) -> None:
    running = Engine(tmp_path / "log")
    assert running.hello["protocol"] == 1
    assert running.hello["name"] == "torch"
    maps = Path(f"/proc/{running.process.pid}/maps").read_text()
    assert "libtorch" not in maps
    assert running.end() == 0
