"""The safetensors files of a model folder: which they are, whether they are whole, what they hold, their hash.

Reads headers only, never a tensor, and needs no torch. Format: 8 bytes little-endian header length, a JSON header of
names with dtype, shape and data offsets, then the data, which ends where the file does.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from engine import layouts
from engine.errors import InputError
from engine.layouts import LAYOUTS
from engine.paths import cache_dir
from engine.system.whole_files import replace_text

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_LARGEST_HEADER_BYTES = 100_000_000
_LEARNED = ("F64", "F32", "F16", "BF16")  # what weights that a model learned are stored as


class Tensor(NamedTuple):
    """A tensor as the header describes it."""

    dtype: str  # "BF16", "F32", …
    shape: tuple[int, ...]


def files(folder: Path) -> list[Path]:
    """The folder's weight files in name order, as transformers picks them; InputError where there are none."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        return _shards(folder)
    other = next(
        (p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in sorted(folder.glob(pattern))), None
    )
    if other:
        raise InputError(
            f"{folder} holds {other} but no safetensors; such files are pickles, which can run code, and are not read: "
            "save the model with safe_serialization=True"
        )
    raise InputError(f"{folder} holds no weights; it needs {SINGLE}, or {INDEX} with its shards")


def header(path: Path) -> dict[str, Tensor]:
    """What a safetensors file holds; raises InputError, naming the file, where it is truncated or something else."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, _LARGEST_HEADER_BYTES):
                raise InputError(f"{path} is no whole safetensors file: {size:,} bytes can't hold its header")
            entries = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        tensors = {name: Tensor(str(e["dtype"]), tuple(map(int, e["shape"]))) for name, e in entries.items()}
        end = 8 + length + max((int(e["data_offsets"][1]) for e in entries.values()), default=0)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path} is no safetensors file: its header can't be read ({error})") from None
    if end != size:
        what = "truncated" if size < end else "longer than its header says"
        raise InputError(f"{path} is {what}: {size:,} bytes, and its header promises {end:,}")
    return tensors


def tensors(paths: Iterable[Path]) -> dict[str, Tensor]:
    """Every tensor of the files together; raises InputError as `header` does, and where two files hold the same one."""
    found: dict[str, Tensor] = {}
    holders: dict[str, Path] = {}
    for path in paths:
        for name, tensor in header(path).items():
            if name in holders:
                raise InputError(
                    f"{path} and {holders[name].name} both hold {name!r}; each tensor must lie in one file"
                )
            found[name], holders[name] = tensor, path
    return found


def parameters(found: Mapping[str, Tensor], config: Mapping[str, Any]) -> int:
    """Numbers that the model learns: tied tensors once, buffers (rotary frequencies, causal masks) not at all.

    Raises InputError where weights are stored as something else than numbers of 16 bits or more: they are codes that
    mean nothing without their scales.
    """
    for name, tensor in found.items():
        if name.endswith(".weight") and tensor.dtype not in _LEARNED:
            raise InputError(
                f"{name!r} is stored as {tensor.dtype}, as quantized weights are; give the model they were made from, "
                f"in {', '.join(_LEARNED)}"
            )
    tied = layouts.tied(config)
    heads = {"lm_head.weight", *(f"{layout.stored_head}.weight" for layout in LAYOUTS.values())}
    return sum(
        math.prod(tensor.shape)
        for name, tensor in found.items()
        if not _is_buffer(name, tensor) and not (tied and name in heads)
    )


def sha256(paths: Iterable[Path]) -> str:
    """The sha256 over the files' bytes in the given order; remembered as long as no file changes size or time."""
    stats = [(path.resolve(), path.stat()) for path in paths]
    identity = json.dumps([(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats])
    remembered = cache_dir() / "hashes" / hashlib.sha256(identity.encode()).hexdigest()
    if remembered.is_file() and len(known := remembered.read_text(encoding="ascii").strip()) == 64:
        return known
    total = hashlib.sha256()
    for path, _ in stats:
        with path.open("rb") as file:
            while piece := file.read(1 << 22):
                total.update(piece)
    with suppress(OSError):  # a full disk costs the memory of it, not the answer
        replace_text(remembered, total.hexdigest())
    return total.hexdigest()


def _shards(folder: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / INDEX} can't be read as an index of weights ({error})") from None
    if not names:
        raise InputError(f"{folder / INDEX} names no shards; its weight_map is empty")
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise InputError(f"{folder / INDEX} names the shard {name!r}; shards must lie beside it")
        if not (folder / name).is_file():
            raise InputError(f"{folder} lacks {name}, which {INDEX} lists")
    return [folder / name for name in names]


def _is_buffer(name: str, tensor: Tensor) -> bool:
    mask = name.endswith(("attn.bias", "attention.bias")) and len(tensor.shape) == 4
    return mask or name.endswith((".inv_freq", ".masked_bias"))
