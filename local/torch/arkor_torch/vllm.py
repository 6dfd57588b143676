"""Answers by a running `vllm serve --enable-lora`, which keeps the base on the GPU and batches requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from arkor_torch.failures import last_message
from arkor_torch.protocol import Cancelled, Message, Refused, Send

# How often it's asked whether an answer is still wanted.
TICK_SECONDS = 0.1

# How long vLLM may take to say something. A long prompt comes before the first token.
SILENCE_SECONDS = 120


class VllmTalker:
    """Works on `load` and `chat` requests, each in a thread of its own."""

    def __init__(
        self, url: str, send: Send, is_cancelled: Callable[[int], bool], done: Callable[[int], None]
    ) -> None:
        self._server = Server(url)
        self._send, self._is_cancelled, self._done = send, is_cancelled, done

    def add(self, request: Message) -> None:
        threading.Thread(target=self._try, args=(request,), daemon=True).start()

    def _try(self, request: Message) -> None:
        id = request["id"]
        try:
            last = self._work(request)
        except Exception as error:
            last = last_message(id, error)
        self._done(id)
        self._send(last)

    def _work(self, request: Message) -> Message:
        id, server = request["id"], self._server
        model = server.base(Path(request["base"]))
        if request.get("adapter"):
            model = server.load_adapter(Path(request["adapter"]))
        if request["type"] == "load":
            return {"type": "loaded", "id": id}
        finish, tokens = "length", 0
        with Answer(server, asked(request, model), lambda: self._is_cancelled(id)) as answer:
            for event in answer:
                for choice in event["choices"]:
                    if choice["text"]:
                        self._send({"type": "text", "id": id, "text": choice["text"]})
                    finish = choice["finish_reason"] or finish
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
        return {"type": "done", "id": id, "finish": finish, "tokens": tokens}


def asked(request: Message, model: str) -> Message:
    """A `chat` request as vLLM takes it."""
    sampling = request["sampling"]
    body = {
        "model": model,
        "prompt": request["prompt"],
        "temperature": sampling["temperature"],
        "top_p": sampling["topP"],
        "max_tokens": sampling["maxTokens"],
        # vLLM takes 63 bits.
        "seed": sampling["seed"] % 2**63,
        "stop_token_ids": request["stop"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    constraint = request.get("constraint")
    if constraint is None:
        return body
    if "call" in constraint:
        raise Refused("toolChoice: with --vllm an answer can't be held to a call. Leave it out.")
    return {**body, "structured_outputs": constraint}


class Server:
    """A vLLM server."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"--vllm: {url} isn't the address of a server, such as http://127.0.0.1:8000")
        self._parts = parts
        self._adapters: set[str] = set()

    def connect(self) -> http.client.HTTPConnection:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=SILENCE_SECONDS)

    def reach(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except OSError as error:
            raise Refused(f"--vllm: can't reach {self.url}: {error}. Is `vllm serve` running?") from error

    def request(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Message | None = None
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("VLLM_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        text = None if body is None else json.dumps(body)
        connection.request(method, self._parts.path + path, text, headers)
        response = connection.getresponse()
        if response.status >= http.client.BAD_REQUEST:
            raise Refused(f"--vllm: {self.url}{path} answered {response.status}: {reason(response)}")
        return response

    def _json(self, method: str, path: str, body: Message | None = None) -> bytes:
        connection = self.connect()
        try:
            self.reach(connection)
            return self.request(connection, method, path, body).read()
        finally:
            connection.close()

    def base(self, folder: Path) -> str:
        """The name of the base that it serves, which must be this one."""
        models = json.loads(self._json("GET", "/v1/models"))["data"]
        bases = [model for model in models if not model.get("parent")]
        for model in bases:
            root = model.get("root") or model["id"]
            # In the Hub's cache, owner/name is models--owner--name.
            if root == str(folder) or f"models--{root.replace('/', '--')}" in folder.parts:
                name: str = model["id"]
                return name
        served = ", ".join(model.get("root") or model["id"] for model in bases)
        raise Refused(f"--vllm: {self.url} serves {served}, not {folder}. Start it with that model.")

    def load_adapter(self, folder: Path) -> str:
        """The name of an adapter, which is loaded if it isn't yet."""
        name = "-".join(folder.parts[-3:])
        if name not in self._adapters:
            try:
                self._json("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
            except Refused as error:
                if "already been loaded" not in str(error):
                    raise Refused(
                        f"{error} Start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True."
                    ) from error
            self._adapters.add(name)
        return name


class Answer:
    """The events of a streamed answer. The connection is closed when it isn't wanted any more, which is how
    vLLM notices."""

    def __init__(self, server: Server, body: Message, is_cancelled: Callable[[], bool]) -> None:
        self._is_cancelled = is_cancelled
        self._over = threading.Event()
        self._connection = server.connect()
        server.reach(self._connection)
        # The response takes it over, and has no way to end a read that waits.
        self._socket = self._connection.sock
        self._response = server.request(self._connection, "POST", "/v1/completions", body)
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> Iterator[Message]:
        return self._events()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._connection.close()

    def _watch(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            if self._is_cancelled():
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                return

    def _events(self) -> Iterator[Message]:
        try:
            for line in self._response:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    yield json.loads(line[len("data: ") :])
        except (OSError, http.client.HTTPException) as error:
            if not self._is_cancelled():
                raise RuntimeError(f"--vllm: the answer broke off: {error}") from error
        if self._is_cancelled():
            raise Cancelled


def reason(response: http.client.HTTPResponse) -> str:
    text = response.read(2000).decode(errors="replace")
    try:
        body = json.loads(text)
        return str((body.get("error") or body).get("message", text))
    except (ValueError, AttributeError):
        return text
