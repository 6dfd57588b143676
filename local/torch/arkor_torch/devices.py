"""The devices of this machine. torch is imported lazily, because that takes seconds."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import platform
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_torch.protocol import Refused

if TYPE_CHECKING:
    import torch

KINDS = ("cpu", "cuda", "mps")


def probably_has_cuda() -> bool:
    """Whether there's a driver for NVIDIA GPUs."""
    return Path("/proc/driver/nvidia/version").exists() or bool(ctypes.util.find_library("nvcuda"))


def can_load_in_4bit() -> bool:
    """Whether bases can be quantised, as far as that can be known before torch is imported."""
    return (
        probably_has_cuda()
        and os.environ.get("ARKOR_TORCH_DEVICE") in (None, "cuda")
        and not version("torch").endswith("+cpu")
        and importlib.util.find_spec("bitsandbytes") is not None
    )


def choose(kind: str | None) -> None:
    """Selects the kind of device for everything. Must be called before torch is imported."""
    # Idle OpenMP threads spin by default. On a busy machine that made steps nine times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Operations that Apple's GPUs don't support run on the CPU.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    # Nothing is downloaded here, because the core has done that.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # The backend's log is for messages that people can act on.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.simplefilter("ignore")
    if kind is not None:
        os.environ["ARKOR_TORCH_DEVICE"] = kind
    if os.environ.get("ARKOR_TORCH_DEVICE") == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def use_one_gpu() -> None:
    """Hides all GPUs but the first one. Must be called before torch is imported. With several GPUs in one
    process, Trainer would split each batch by itself, and TRL refuses that."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",", maxsplit=1)[0]


def device(local_rank: int = 0) -> torch.device:
    """The device of a process."""
    import torch

    wanted = os.environ.get("ARKOR_TORCH_DEVICE")
    if torch.cuda.is_available() and wanted in (None, "cuda"):
        return torch.device("cuda", local_rank)
    if torch.backends.mps.is_available() and wanted in (None, "mps"):
        return torch.device("mps")
    if wanted in ("cuda", "mps"):
        raise Refused(f"--device {wanted}: this machine has none that PyTorch {torch.__version__} can use")
    return torch.device("cpu")


def dtype(device: torch.device) -> torch.dtype:
    """The data type for a base: bfloat16 if the device supports it, or else float32."""
    import torch

    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def name(device: torch.device) -> str:
    """A name of the device for people."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
