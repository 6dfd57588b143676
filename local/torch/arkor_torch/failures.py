"""Converts errors to a kind and a sentence that says what to change."""

from __future__ import annotations

import errno
import re

from arkor_torch.protocol import Cancelled, Diverged, Lost, Message, Refused

# Messages of PyTorch, its libraries and the OS for failures that have no exception class.
NO_MEMORY = ("can't allocate memory", "out of memory", "alloc_failed", "not enough memory")


def last_message(id: int, error: BaseException) -> Message:
    """The last message of a failed request."""
    if isinstance(error, Cancelled):
        return {"type": "cancelled", "id": id}
    kind, message = described(error)
    return {"type": "failed", "id": id, "kind": kind, "message": message}


def described(error: BaseException) -> tuple[str, str]:
    text = " ".join(str(error).split())
    if isinstance(error, Refused):
        return "refused", text
    if isinstance(error, Diverged):
        return "diverged", text
    if isinstance(error, Lost):
        return "lost", text
    if is_out_of_memory(error):
        return "outOfMemory", f"{first_sentence(text)}."
    if isinstance(error, ModuleNotFoundError):
        return "refused", (
            f"the Python package {error.name} is missing. Install the engine again: "
            "arkor engine remove torch && arkor engine install torch"
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "error", f"the disk is full: {error.filename or text}. Make room, and start the job again."
    if "does not recognize this architecture" in text:
        return "refused", (
            f"model: {first_sentence(text)}. A newer arkor may know it: "
            "npm install arkor@latest @arkor/local@latest, then arkor engine install torch"
        )
    if "trust_remote_code" in text:
        return "refused", "model: it brings code of its own, which isn't run here. Use one without."
    if type(error).__name__ == "SafetensorError" or "is not a safetensors file" in text:
        return "refused", f"model: its weights can't be read, download it again: {text}"
    return "error", f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    return (
        any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
        or isinstance(error, MemoryError)
        or any(text in str(error).lower() for text in NO_MEMORY)
    )


def first_sentence(text: str) -> str:
    return re.split(r"\.\s", text, maxsplit=1)[0].rstrip(".")
