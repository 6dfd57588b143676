"""How fast a model of 135M parameters trains on a device: tokens per second, peak memory, and how busy the
device was. `npm run test:torch -- --device cuda` runs it."""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import threading
from pathlib import Path

import models
from engine import Engine, run

SMOLLM2 = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "vocab_size": 49152,
}


def utilisation(over: threading.Event) -> list[float]:
    """The percentage that nvidia-smi reports, once a second."""
    seen = []
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    while shutil.which("nvidia-smi") and not over.wait(1):
        text = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        seen.append(float(text.split()[0]))
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    models.CONFIGS["smollm2"] = ("LlamaConfig", SMOLLM2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = models.make(folder / "base", "smollm2")
        engine = Engine(folder / "log", "--device", args.device)
        over, seen = threading.Event(), []
        watch = threading.Thread(target=lambda: seen.extend(utilisation(over)))
        plan = {"totalSteps": args.steps, "batchSize": 8, "saveSteps": args.steps, "evalSteps": args.steps}
        for message in engine.messages(engine.send("train", **run(base, folder / "run", **plan))):
            if message["type"] == "started":
                watch.start()
        over.set()
        if message["type"] != "completed":
            raise SystemExit(f"the run failed: {message}")
        watch.join()
        engine.end()
        summary = next(line for line in (folder / "log").read_text().splitlines() if "tokens/s" in line)
        busy = f", busy {statistics.median(seen):.0f} % (median)" if seen else ""
        print(f"135M parameters, 8 rows a step: {summary}{busy}")


if __name__ == "__main__":
    main()
