"""Loads bases and adapters with transformers and PEFT, with fixed choices where the tensors' names depend
on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging

from arkor_torch.protocol import Refused

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Receives the number of loaded tensors, and the number of all tensors.
OnTensor = Callable[[int, int], None]

# Modules that choose between experts. An adapter on them would change which experts are trained.
ROUTERS = re.compile(r"(^|\.)(router|gate|shared_expert_gate)$")


def load_base(
    folder: Path, device: torch.device, dtype: torch.dtype, on_tensor: OnTensor, *, in_4bit: bool
) -> PreTrainedModel:
    """Loads a base on its device. `AutoModelForCausalLM` decides the class, and the class decides the
    names of an adapter's tensors. Training and chat must therefore load a model in the same way."""
    logging.set_tqdm_hook(lambda _bar, args, _options: _counted(args[0], on_tensor))
    quantized = None
    if in_4bit:
        if device.type != "cuda":
            raise Refused("loadIn4bit: needs an NVIDIA GPU with the torch engine. Set it to false.")
        quantized = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        device_map={"": device} if quantized else None,
        quantization_config=quantized,
        local_files_only=True,
        trust_remote_code=False,
    )
    model.config.use_cache = False
    return model if quantized else model.to(device)  # type: ignore[arg-type]


def _counted(tensors: Any, on_tensor: OnTensor) -> Iterator[Any]:
    """Replaces the progress bar that transformers shows while it loads."""
    for done, tensor in enumerate(tensors):
        on_tensor(done, len(tensors))
        yield tensor


def lora(model: PreTrainedModel, r: int, alpha: float) -> LoraConfig:
    """LoRA on every linear layer of the language model."""
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=r,
        # PEFT's own files contain a whole number here.
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules=shortened(targets(model), model),
    )


def targets(model: PreTrainedModel) -> list[str]:
    """The names of the linear layers in the language model's blocks. Excludes vision and audio towers,
    their projectors, routers and the head."""
    decoder = model.get_decoder()
    inside = {id(module) for module in getattr(decoder, "layers", decoder).modules()}
    names = [
        name
        for name, module in model.named_modules()
        if id(module) in inside and isinstance(module, torch.nn.Linear) and not ROUTERS.search(name)
    ]
    if not names:
        raise Refused(f"model: {type(model).__name__} has no linear layers that LoRA could train")
    return names


def shortened(names: list[str], model: PreTrainedModel) -> list[str]:
    """Shortens names to their last parts, such as `q_proj`, as people write them. Keeps the whole names
    if the short ones would select other modules too."""
    last = sorted({name.rsplit(".", 1)[-1] for name in names})
    selected = {
        name
        for name, module in model.named_modules()
        if name.rsplit(".", 1)[-1] in last and not isinstance(module, torch.nn.ModuleList)
    }
    return last if selected == set(names) else names


def parameters(model: torch.nn.Module) -> tuple[int, int]:
    """How many parameters the base has, and how many are trained."""
    trained = sum(size(value) for value in model.parameters() if value.requires_grad)
    return sum(map(size, model.parameters())) - trained, trained


def size(value: Any) -> int:
    """The number of values in a tensor. bitsandbytes packs several of them into one."""
    shape = getattr(getattr(value, "quant_state", None), "shape", None)
    return int(torch.Size(shape).numel()) if shape is not None else value.numel()
