"""What the dense model says on a protocol's text, kept so that no later trial has to run it again.

One file a comparison: at every predicted position the likeliest token (4 bytes), the loss (4) and the state that the
head reads (2 x width), from which the head gives back the whole distribution; and the greedy continuations of the
fixed prompts. For the default model and protocol that is 19 MB, where the logits would be 3.2 GB.

The states are kept in fp16, in fp32 where fp16 can't hold them: see `compact`.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.paths import cache_dir
from engine.system import kept_files
from engine.system.whole_files import written_whole

BUDGET_BYTES = 1_000_000_000  # of all references together, the newest one aside


class Reference(NamedTuple):
    """The dense model's side of a comparison.

    argmax, loss (nats): [windows, positions]; states: [windows, positions, width], None where its head can't be applied
    apart; continuations: [prompts, tokens].
    """

    argmax: Tensor
    loss: Tensor
    states: Tensor | None
    continuations: Tensor


def compact(states: Tensor) -> Tensor:
    """States in fp16, or as they are where a number is too large for it.

    On the default model KL(dense || 8 bits), 1.7e-3 nats, moves by 2e-8 with it; bf16, as small, would move it by 3e-5.
    """
    half = states.half()
    return half if bool(half.isfinite().all()) else states


def load(comparison_id: str, positions: tuple[int, int], written: tuple[int, int]) -> Reference | None:
    """The reference of a comparison, None while it is not kept.

    positions: windows and predicted positions in each; written: continuations and tokens in each. A file that can't be
    read or has other shapes counts as not kept. One that is read counts as new again.
    """
    path = _path(comparison_id)
    try:
        found = load_file(path)
        reference = Reference(
            argmax=found["argmax"].long(),
            loss=found["loss"],
            states=found.get("states"),
            continuations=found["continuations"].long(),
        )
    except (OSError, SafetensorError, KeyError):
        return None
    if not _fits(reference, positions, written):
        return None
    kept_files.use(path)
    return reference


def save(comparison_id: str, reference: Reference) -> None:
    """Keep a reference; readers see all of the file or none of it.

    Others are deleted, those that were not used for longest first, until the rest is within BUDGET_BYTES.
    """
    path = _path(comparison_id)
    tensors = {name: tensor.contiguous() for name, tensor in reference._asdict().items() if tensor is not None}
    for name in ("argmax", "continuations"):
        tensors[name] = tensors[name].to(torch.int32)
    with written_whole(path) as partial:
        save_file(tensors, partial)
    kept_files.keep_within(path, BUDGET_BYTES)


def _fits(reference: Reference, positions: tuple[int, int], written: tuple[int, int]) -> bool:
    states = reference.states
    return (
        reference.argmax.shape == reference.loss.shape == positions
        and reference.continuations.shape == written
        and (states is None or (states.ndim == 3 and states.shape[:2] == positions))
    )


def _path(comparison_id: str) -> Path:
    folder = cache_dir() / "references"
    folder.mkdir(exist_ok=True)
    return folder / f"{comparison_id}.safetensors"
