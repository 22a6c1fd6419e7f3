"""Compress models twice, at home and streamed to the stand-in for a GPU, and tell how the two compare.

    python -m tests.streamed < {"family": [folder, recipe], …}

A process of its own, because the stand-in is known to torch from its import on.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine import models
from engine.checkpoints import fp32
from engine.methods import compress
from engine.models import LanguageModel
from engine.network.streaming import streamed
from engine.network.walk_memory import peak_bytes
from engine.spec import parse
from tests.conftest import source_of
from tests.stand_in_device import DEVICE, StandIn

WINDOWS = torch.randint(0, 256, (4, 32), generator=torch.Generator().manual_seed(1))


def compare(family: str, folder: str, recipe: str) -> dict[str, Any]:
    """What both give, where the streamed one's parts were, and what the device held."""
    home, away = (models.load(source_of(Path(folder), family)) for _ in range(2))
    bound = peak_bytes(home.network.config.to_dict(), *WINDOWS.shape)
    compress(home, parse(recipe), WINDOWS, quietly)
    with StandIn() as device:
        away.runs_on = DEVICE
        together = blocks_together(away)
        compress(away, parse(recipe), WINDOWS, quietly)
        most, left = device.most_bytes, device.bytes
        network = fp32.evaluated(away)
        with streamed(network, DEVICE), torch.inference_mode():
            logits = network(WINDOWS.to(DEVICE)).logits.cpu()
        with torch.inference_mode():
            expected = network(WINDOWS).logits
    return {
        "alike": share_alike(fp32.evaluated(home), network),
        "blocks_together": max(together, default=0),
        "left_bytes": left,
        "most_bytes": most,
        "bound_bytes": bound,
        "logits_alike": torch.allclose(logits, expected, rtol=1e-4, atol=1e-4),
    }


def share_alike(ours: nn.Module, theirs: nn.Module) -> float:
    """How many of two networks' numbers are alike; the order of sums decides where two choices are equal."""
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    return torch.cat([((a - b).abs() < 1e-3).flatten() for a, b in pairs]).float().mean().item()


def blocks_together(model: LanguageModel) -> list[int]:
    """A list that grows by how many blocks are on the device whenever one runs."""
    seen: list[int] = []

    def count(module: nn.Module, args: Any) -> None:
        places = [next(block.module.parameters()).device for block in model.anatomy.blocks]
        seen.append(sum(place == DEVICE for place in places))

    for block in model.anatomy.blocks:
        block.input_norm.register_forward_pre_hook(count)
    return seen


def quietly(stage: str, done: int, total: int) -> None:
    pass


if __name__ == "__main__":
    torch.set_num_threads(1)
    asked = json.load(sys.stdin)
    print(json.dumps({family: compare(family, *job) for family, job in asked.items()}))
