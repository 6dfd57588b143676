"""The command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from arkor_torch import devices


@dataclass(frozen=True)
class Options:
    """The options for training runs and answering prompts."""

    device: str | None
    workers: int | None
    ray: str | None
    vllm: str | None

    @property
    def starts_processes(self) -> bool:
        return self.ray is not None or (self.workers or 1) > 1


def main() -> None:
    args = _parser().parse_args()
    devices.choose(args.device)
    options = Options(args.device, args.workers, args.ray, args.vllm)
    if args.check:
        from arkor_torch.check import check

        check(ray=options.ray is not None)
    elif args.rank:
        from arkor_torch.rank import take_part

        take_part(args.rank)
    elif args.driver:
        from arkor_torch.cluster import drive

        drive(args.driver, options.ray or "auto", options.workers)
    else:
        from arkor_torch.worker import Worker

        if not options.starts_processes:
            devices.use_one_gpu()
        Worker(options).serve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python local/torch",
        description="The torch engine of arkor's local backend, which starts it. It reads requests from "
        "stdin and writes messages to stdout, as docs/engine-protocol.md says.",
    )
    parser.add_argument(
        "--device", choices=devices.KINDS, help="what to compute on (default: the best there is)"
    )
    parser.add_argument("--workers", type=_count, metavar="N", help="training processes (default: 1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="train on the Ray cluster at this address")
    parser.add_argument(
        "--vllm", metavar="URL", help="have a running `vllm serve --enable-lora` answer prompts"
    )
    parser.add_argument("--check", action="store_true", help="print as JSON what's installed, and end")
    # For the processes of a run, which this program starts itself. Each gets the file of the request.
    parser.add_argument("--rank", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--driver", type=Path, help=argparse.SUPPRESS)
    return parser


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number of processes")
    return int(text)
