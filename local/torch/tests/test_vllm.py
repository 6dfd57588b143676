"""Answers from a server that mimics vLLM's API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from engine import Engine

BASE = Path("/cache/models--owner--name/snapshots/abc")
ADAPTER = Path("/project/.arkor/local/jobs/j1/adapter")
CHAT: dict[str, Any] = {
    "base": str(BASE),
    "prompt": [5, 6, 7],
    "stop": [2],
    "sampling": {"temperature": 0.5, "topP": 0.9, "maxTokens": 12, "seed": 2**63 + 5},
}
KEY = "a-key-of-the-test"


class Vllm(ThreadingHTTPServer):
    """Answers "Hello there", and records requests. If `slow` is set, it waits until its client
    disconnects."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, Any]] = []
        self.adapters: list[str] = []
        self.slow = False
        self.broken = False
        self.left = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Vllm

    def log_message(self, *_: object) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        models = [{"id": "served", "root": "owner/name", "parent": None}]
        self._json(
            200, {"data": models + [{"id": name, "parent": "served"} for name in self.server.adapters]}
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self._json(401, {"error": {"message": "no key"}})
        elif self.path == "/v1/load_lora_adapter":
            known = body["lora_name"] in self.server.adapters
            self.server.adapters.append(body["lora_name"])
            error = f"The lora adapter '{body['lora_name']}' has already been loaded."
            self._json(*((400, {"error": {"message": error}}) if known else (200, {})))
        elif self.server.broken:
            self.send_response(200)
            self.end_headers()
            self._event({"error": {"message": "the engine is dead"}})
        else:
            self._stream()

    def _json(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self) -> None:
        self.send_response(200)
        self.end_headers()
        for text, reason in (("Hello", None), (" there", "stop")):
            self._event({"choices": [{"text": text, "finish_reason": reason}]})
            if self.server.slow:
                # Returns when the client has closed its side.
                self.connection.recv(1)
                self.server.left.set()
                return
        self._event({"choices": [], "usage": {"completion_tokens": 3}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, event: Any) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()


@pytest.fixture
def vllm() -> Iterator[Vllm]:
    server = Vllm()
    yield server
    server.shutdown()


@pytest.fixture
def engine(vllm: Vllm, tmp_path: Path) -> Iterator[Engine]:
    url = f"http://127.0.0.1:{vllm.server_port}"
    engine = Engine(tmp_path / "log", "--vllm", url, VLLM_API_KEY=KEY)
    yield engine
    assert engine.end() == 0


def test_prompts_and_adapters_are_passed_on(vllm: Vllm, engine: Engine) -> None:
    assert engine.ask("load", base=str(BASE), adapter=str(ADAPTER))[-1]["type"] == "loaded"
    constraint = {"choice": ["Hello there"]}
    messages = engine.ask("chat", **CHAT, adapter=str(ADAPTER), constraint=constraint)
    assert [message.get("text") for message in messages] == ["Hello", " there", None]
    assert messages[-1] == {"type": "done", "id": 2, "finish": "stop", "tokens": 3}
    (load, adapter), (path, body) = vllm.asked[0], vllm.asked[-1]
    assert (load, adapter["lora_path"]) == ("/v1/load_lora_adapter", str(ADAPTER))
    assert path == "/v1/completions"
    assert body["model"] == adapter["lora_name"]
    assert (body["prompt"], body["stop_token_ids"], body["max_tokens"]) == ([5, 6, 7], [2], 12)
    assert (body["temperature"], body["top_p"], body["seed"]) == (0.5, 0.9, 5)
    assert body["structured_outputs"] == constraint
    engine.ask("chat", **CHAT)
    assert vllm.asked[-1][1]["model"] == "served"

    # An adapter that is already loaded, and another one whose path has the same last parts.
    assert engine.ask("load", base=str(BASE), adapter=str(ADAPTER))[-1]["type"] == "loaded"
    engine.ask("load", base=str(BASE), adapter=f"/elsewhere{ADAPTER}")
    assert len(set(vllm.adapters)) == 2


def test_paths_are_utf8_whatever_the_locale(vllm: Vllm, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{vllm.server_port}"
    engine = Engine(tmp_path / "log", "--vllm", url, PYTHONIOENCODING="cp1252")
    assert "not /models/José" in engine.ask("load", base="/models/José")[-1]["message"]
    engine.end()


def test_an_answer_that_is_cancelled_ends_there_too(vllm: Vllm, engine: Engine) -> None:
    vllm.slow = True
    id = engine.send("chat", **CHAT)
    for message in engine.messages(id):
        if message["type"] == "text":
            engine.cancel(id)
    assert message["type"] == "cancelled"
    assert vllm.left.wait(5)


def test_what_does_not_fit_is_refused_by_name(vllm: Vllm, engine: Engine, tmp_path: Path) -> None:
    last = engine.ask("chat", **{**CHAT, "base": "/models/other"})[-1]
    assert last["kind"] == "refused"
    assert "serves owner/name, not /models/other" in last["message"]
    call = {"call": {"open": "<", "schema": {}, "close": ">"}}
    assert "toolChoice" in engine.ask("chat", **CHAT, constraint=call)[-1]["message"]

    vllm.broken = True
    assert "the engine is dead" in engine.ask("chat", **CHAT)[-1]["message"]

    secret = Engine(tmp_path / "secret", "--vllm", "http://user:pass@127.0.0.1:1")
    last = secret.ask("chat", **CHAT)[-1]
    assert "VLLM_API_KEY" in last["message"]
    assert "pass@" not in json.dumps(last)
    secret.end()

    other = Engine(tmp_path / "other", "--vllm", "http://127.0.0.1:1", VLLM_API_KEY=KEY)
    last = other.ask("chat", **CHAT)[-1]
    assert last["kind"] == "refused"
    assert "can't reach http://127.0.0.1:1" in last["message"]
    assert KEY not in json.dumps(last)
    other.end()
    wrong = Engine(tmp_path / "wrong", "--vllm", f"http://127.0.0.1:{vllm.server_port}", VLLM_API_KEY="no")
    assert "answered 401: no key" in wrong.ask("chat", **CHAT, adapter=str(ADAPTER))[-1]["message"]
    wrong.end()
