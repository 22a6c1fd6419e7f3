"""What the dense model says at every held-out position, kept so that no later trial has to run it again."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.paths import cache_dir

_KEY = "argmax"


def load(comparison_id: str, windows: int, length: int) -> Tensor | None:
    """The dense model's most likely tokens [windows, length] under a protocol; None while they are not kept.

    A file that can't be read or has another shape counts as not kept.
    """
    try:
        argmax = load_file(_path(comparison_id))[_KEY]
    except (OSError, SafetensorError, KeyError):
        return None
    return argmax.long() if argmax.shape == (windows, length) else None


def save(comparison_id: str, argmax: Tensor) -> None:
    """Keep the dense model's most likely tokens [windows, length]; readers see all of the file or none of it."""
    path = _path(comparison_id)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file({_KEY: argmax.to(torch.int32).contiguous()}, partial)
    partial.replace(path)


def _path(comparison_id: str) -> Path:
    folder = cache_dir() / "references"
    folder.mkdir(exist_ok=True)
    return folder / f"{comparison_id}.safetensors"
