"""Do readers of the event stream slow a run down? Compares one reader with fifty, one of which is
stalled.

    npm run build -- --local
    python3 local/check/readers.py

Needs only Python. Prints the median step time of both, which alternate, and exits with status 1 if they
differ by more than a quarter.
"""

import argparse
import socket
import statistics
import sys
import threading
import urllib.parse
from pathlib import Path

from backend import ROOT, Backend

READERS = 50
LARGEST_CHANGE = 0.25
STEPS = 120
TURNS = 3


def config():
    data = ROOT / "examples/triage/data/triage.jsonl"
    return {
        "model": "arkor-tiny",
        "datasetSource": {"type": "blob", "url": data.as_uri()},
        "maxSteps": STEPS,
        "batchSize": 8,
        "maxLength": 256,
        "evalSteps": 1_000_000,
        "saveSteps": 1_000_000,
    }


def stalled(backend, job):
    """A reader that opens the stream and never reads, with the smallest possible buffer."""
    address = urllib.parse.urlsplit(backend.url)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    reader.connect((address.hostname, address.port))
    request = (
        f"GET /v1/jobs/{job}/events/stream HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {backend.token}\r\n\r\n"
    )
    reader.sendall(request.encode())
    return reader


def step_times(backend, readers):
    """The milliseconds of each step, computed from the rate in the events."""
    job = backend.submit(config())
    counts = []
    others = [
        threading.Thread(target=lambda: counts.append(sum(1 for _ in backend.events(job))))
        for _ in range(readers - 2)
    ]
    silent = stalled(backend, job) if readers > 1 else None
    for other in others:
        other.start()
    events = list(backend.events(job))
    for other in others:
        other.join()
    if silent:
        silent.close()
    if set(counts) - {len(events)}:
        raise SystemExit(f"readers saw {set(counts)} events, the first one {len(events)}")
    logs = [event for event in events if event["type"] == "training.log"]
    return [8 / log["samplesPerSecond"] * 1000 for log in logs[1:-1]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=ROOT / "local/bin/arkor-local", type=Path)
    arguments = parser.parse_args()
    alone, crowd = [], []
    with Backend(arguments.binary) as backend:
        step_times(backend, 1)
        for _ in range(TURNS):
            alone += step_times(backend, 1)
            crowd += step_times(backend, READERS)
    one, fifty = statistics.median(alone), statistics.median(crowd)
    change = fifty / one - 1
    kept = change <= LARGEST_CHANGE
    print(
        f"median step: {one:.2f} ms with one reader, {fifty:.2f} ms with {READERS}, one of them stalled: "
        f"{change:+.1%}, at most {LARGEST_CHANGE:+.0%}: {'ok' if kept else 'NOT KEPT'}"
    )
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
