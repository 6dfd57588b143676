"""Runs on a Ray cluster. The driver is a separate process on this machine: when it exits, Ray ends
everything that the driver has started."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import Any

from arkor_torch import devices
from arkor_torch.failures import last_message
from arkor_torch.protocol import Channel, Message, Refused
from arkor_torch.rank import LOST_AFTER, end_with_stdin, train_share

CONNECT_SECONDS = 5

PACKAGE = Path(__file__).parent


def drive(file: Path, address: str, workers: int | None) -> None:
    """Trains on an existing cluster, and sends the run's messages."""
    channel = Channel()
    end_with_stdin()
    request = json.loads(file.read_text(encoding="utf-8"))
    try:
        reach(address)
        join(address)
        code = _drive(request, channel, workers)
    except Exception as error:
        channel.send(last_message(request["id"], error))
        code = 1
    os._exit(code)


def reach(address: str) -> None:
    """Fails soon if nothing listens at this address. Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise Refused(f"--ray: can't reach {address}: {error}. Is the cluster running?") from error


def join(address: str) -> None:
    """Joins the cluster. This fails if its version of Python or Ray is another one."""
    import ray

    try:
        ray.init(address=address, runtime_env={"py_modules": [str(PACKAGE)]}, log_to_driver=True)
    except Exception as error:
        raise Refused(f"--ray: can't join the cluster at {address}: {error}") from error


def _drive(request: Message, channel: Channel, workers: int | None) -> int:
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.util.queue import Queue
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    gpus = int(ray.cluster_resources().get("GPU", 0))
    count = workers or gpus or len(ray.nodes())
    # On this node, so that messages still arrive when another node dies.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
    done = threading.Event()

    def pass_on() -> None:
        while not (done.is_set() and queue.empty()):
            try:
                channel.send(queue.get(timeout=0.2))
            except Exception:
                # There is no message yet. If the queue's node is gone, so is the run.
                continue

    reader = threading.Thread(target=pass_on, daemon=True)
    reader.start()
    scratch = Path(request["checkpoint"]).parent / "torch.tmp"
    trainer = TorchTrainer(
        _loop,
        train_loop_config={
            "request": request,
            "queue": queue,
            "device": os.environ.get("ARKOR_TORCH_DEVICE"),
        },
        scaling_config=ScalingConfig(
            num_workers=count, use_gpu=gpus > 0, placement_strategy="PACK" if gpus else "SPREAD"
        ),
        torch_config=TorchConfig(timeout_s=int(LOST_AFTER.total_seconds())),
        run_config=RunConfig(
            name="run", storage_path=str(scratch / "ray"), failure_config=FailureConfig(max_failures=0)
        ),
    )
    lost = None
    try:
        trainer.fit()
    except Exception as error:
        message = f"a worker of the cluster is gone: {cause(str(error))}"
        lost = {"type": "failed", "id": request["id"], "kind": "lost", "message": message}
    done.set()
    reader.join(5)
    if lost:
        # Sent after the workers' messages, which may contain a better reason.
        channel.send(lost)
    return 1 if lost else 0


def cause(text: str) -> str:
    """The innermost error in a report from Ray, which contains many."""
    errors = re.findall(r"^\S*(?:Error|Exception): .+$", text, re.MULTILINE)
    return errors[-1] if errors else text.strip().partition("\n")[0]


def _loop(config: dict[str, Any]) -> None:
    """The training loop of each worker in the cluster."""
    import ray.train

    devices.choose(config["device"])
    context = ray.train.get_context()
    request, queue = config["request"], config["queue"]
    rank = context.get_world_rank()
    missing = [request[name] for name in ("base", "tokens", "order") if not Path(request[name]).exists()]
    if missing:
        message = (
            f"--ray: the node {socket.gethostname()} can't see {missing[0]}. Keep the project and its models "
            "on storage that all nodes see under the same path."
        )
        queue.put({"type": "failed", "id": request["id"], "kind": "refused", "message": message})
        raise Refused(message)
    code = train_share(request, queue.put, rank, context.get_local_rank(), context.get_world_size())
    if code:
        raise RuntimeError("the run failed, see its last message")
