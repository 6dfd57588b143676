"""Answers with a running `vllm serve --enable-lora`, which keeps the base on the GPU and batches
requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from arkor_torch.failures import last_message
from arkor_torch.protocol import Message, Refused, Send

# How often a request is checked for cancellation.
TICK_SECONDS = 0.1

# How long vLLM may be silent. It processes the whole prompt before the first token.
SILENCE_SECONDS = 120


class VllmTalker:
    """Handles `load` and `chat` requests, each in its own thread."""

    def __init__(
        self, url: str, send: Send, is_cancelled: Callable[[int], bool], done: Callable[[int], None]
    ) -> None:
        self._server = Server(url)
        self._send, self._is_cancelled, self._done = send, is_cancelled, done

    def add(self, request: Message) -> None:
        Talk(self._server, request, self._send, self._done).start(self._is_cancelled)


class Talk:
    """A request that vLLM handles."""

    def __init__(self, server: Server, request: Message, send: Send, done: Callable[[int], None]) -> None:
        self._server, self._request, self._id = server, request, request["id"]
        self._send, self._done = send, done
        self._connection = server.connect()
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()

    def start(self, is_cancelled: Callable[[int], bool]) -> None:
        threading.Thread(target=self._run, daemon=True).start()
        threading.Thread(target=self._watch, args=(is_cancelled,), daemon=True).start()

    def _run(self) -> None:
        try:
            last = self._work()
        except Exception as error:
            last = last_message(self._id, error)
        self._end(last)

    def _watch(self, is_cancelled: Callable[[int], bool]) -> None:
        while not self._over.wait(TICK_SECONDS):
            if is_cancelled(self._id):
                self._end({"type": "cancelled", "id": self._id})

    def _end(self, last: Message) -> None:
        """Sends the last message. vLLM stops when it notices that the connection is closed."""
        with self._lock:
            if self._over.is_set():
                return
            self._over.set()
            self._done(self._id)
            self._send(last)
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _work(self) -> Message:
        request, server = self._request, self._server
        model = server.base(Path(request["base"]))
        if request.get("adapter"):
            model = server.load_adapter(Path(request["adapter"]))
        if request["type"] == "load":
            return {"type": "loaded", "id": self._id}
        server.reach(self._connection)
        # The response takes over the socket, and offers no way to interrupt a blocked read.
        self._socket = self._connection.sock
        response = server.request(self._connection, "POST", "/v1/completions", asked(request, model))
        finish, tokens = "length", 0
        for event in events(response):
            if "error" in event:
                raise RuntimeError(f"--vllm: {event['error'].get('message', event['error'])}")
            for choice in event["choices"]:
                self._text(choice["text"])
                finish = choice["finish_reason"] or finish
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
        return {"type": "done", "id": self._id, "finish": finish, "tokens": tokens}

    def _text(self, text: str) -> None:
        with self._lock:
            if text and not self._over.is_set():
                self._send({"type": "text", "id": self._id, "text": text})


def events(response: http.client.HTTPResponse) -> Iterator[Message]:
    """The events of a streamed response."""
    for line in response:
        if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
            yield json.loads(line[len("data: ") :])


def asked(request: Message, model: str) -> Message:
    """Converts a `chat` request to a request for vLLM."""
    sampling = request["sampling"]
    body = {
        "model": model,
        "prompt": request["prompt"],
        "temperature": sampling["temperature"],
        "top_p": sampling["topP"],
        "max_tokens": sampling["maxTokens"],
        # vLLM only accepts 63 bits.
        "seed": sampling["seed"] % 2**63,
        "stop_token_ids": request["stop"],
        # Override the values in the model's generation_config.json.
        "top_k": -1,
        "min_p": 0,
        "repetition_penalty": 1,
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
            raise Refused("--vllm: isn't the address of a server, such as http://127.0.0.1:8000")
        if parts.username or parts.password:
            raise Refused("--vllm: has a user name or a password. Give the key in VLLM_API_KEY.")
        self._parts = parts

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
        """The name under which the server serves this base. Fails if it serves another one."""
        models = json.loads(self._json("GET", "/v1/models"))["data"]
        bases = [model for model in models if not model.get("parent")]
        for model in bases:
            root = model.get("root") or model["id"]
            # The Hub's cache folder for owner/name is models--owner--name.
            if root == str(folder) or f"models--{root.replace('/', '--')}" in folder.parts:
                name: str = model["id"]
                return name
        served = ", ".join(model.get("root") or model["id"] for model in bases)
        raise Refused(f"--vllm: {self.url} serves {served}, not {folder}. Start it with that model.")

    def load_adapter(self, folder: Path) -> str:
        """The name of an adapter. Always loads it first, because vLLM may have been restarted."""
        name = f"{folder.parent.name}-{sha256(str(folder).encode()).hexdigest()[:16]}"
        try:
            self._json("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        except Refused as error:
            if "already been loaded" not in str(error):
                raise Refused(
                    f"{error} Start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True."
                ) from error
        return name


def reason(response: http.client.HTTPResponse) -> str:
    text = response.read(2000).decode(errors="replace")
    try:
        body = json.loads(text)
        return str((body.get("error") or body).get("message", text))
    except (ValueError, AttributeError):
        return text
