"""A running `arkor-local` from a client's point of view: a process, one line on stdout, and HTTP."""

import json
import subprocess
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Backend:
    """Starts the server that `npm run build -- --local` built, with its own store."""

    def __init__(self, binary, *flags):
        self.store = tempfile.TemporaryDirectory(prefix="arkor-check-")
        self.process = subprocess.Popen(
            [binary, "--store", self.store.name, "--with-parent", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        ready = json.loads(self.process.stdout.readline())
        self.url, self.token = ready["url"], ready["token"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.store.cleanup()

    def peak(self):
        """The peak memory of the server so far, in bytes. Only works on Linux."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def open(self, path, body=None):
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}"},
        )
        try:
            return urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{path}: {error.code} {error.read().decode()}") from error

    def post(self, path, body):
        with self.open(path, body) as answer:
            return json.load(answer)

    def events(self, job):
        """Yields the events of a job as they arrive, up to the end of its stream."""
        with self.open(f"/v1/jobs/{job}/events/stream") as stream:
            for line in stream:
                if line.startswith(b"data: {\"type\""):
                    yield json.loads(line[len(b"data: ") :])

    def submit(self, config):
        return self.post("/v1/jobs", {"name": "check", "config": config})["job"]["id"]

    def train(self, config):
        """Runs a job to completion. Returns its logs, and the directory of its adapter."""
        logs = []
        for event in self.events(self.submit(config)):
            if event["type"] == "training.failed":
                raise SystemExit(f"the run failed: {event['error']}")
            if event["type"] == "training.log":
                logs.append(event)
            if event["type"] == "training.completed":
                return logs, Path(event["artifacts"][0]["path"]).parent
        raise SystemExit("the run ended without an adapter")
