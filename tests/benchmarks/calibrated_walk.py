"""What the calibrated walk costs beside one dense forward of the same tokens, and what perplexity its methods leave.

    python -m tests.benchmarks.calibrated_walk [RECIPE ...] [--windows N] [--rounds N] [--blocks N] [--perplexity FILE]
    python -m tests.benchmarks.calibrated_walk --shared [--windows N] [--rounds N] [--blocks N]

A round runs every side once, the sides taking turns: the dense network without its head, one window at a time, then
each recipe on a fresh copy. Printed are the ratios of wall time and of processor time, their medians over rounds; on a
busy machine only the second means much. Wall time at most: Wanda 1.3, GPTQ 2.2, SparseGPT 2.5.

With --shared instead: six settings of GPTQ on statistics of the dense model, gathered anew in every round, beside one
setting of the sequential walk; at most 2.5 times as much.

FILE holds token windows {"calibration": [[…], …], "held_out": […]}: they replace the protocol's own, and the perplexity
of every recipe on the held-out ones is printed, which is how other tools' results are held against these.
"""

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from torch import Tensor

from engine import models
from engine.calibration import calibration_windows, perplexity_windows
from engine.checkpoints import fp32
from engine.measure import perplexity
from engine.methods import compress
from engine.models import LanguageModel
from engine.network import sources
from engine.spec import DEFAULT_MODEL, Protocol, parse

ONE = "quantize:gptq,bits=4"
SIX = tuple(f"quantize:gptq,bits={bits},statistics=dense" for bits in (8, 6, 5, 4, 3, 2))
RECIPES = ("prune:wanda,sparsity=0.5", "quantize:gptq,bits=4", "quantize:awq,bits=4", "prune:sparsegpt,sparsity=0.5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=RECIPES, metavar="RECIPE")
    parser.add_argument("--windows", type=int, default=Protocol().calibration_windows)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--blocks", type=int, help="only the first N blocks, for a quick look at the ratios")
    parser.add_argument("--perplexity", type=Path, metavar="FILE")
    parser.add_argument("--shared", action="store_true", help="six settings on statistics that are gathered once")
    arguments = parser.parse_args()
    model = models.load(sources.resolve(DEFAULT_MODEL))
    if arguments.blocks:
        model.anatomy.set_blocks([block.module for block in model.anatomy.blocks[: arguments.blocks]])
    calibration, held_out = windows(model, arguments.perplexity)
    calibration = calibration[: arguments.windows]
    print(f"{len(calibration)} x {calibration.shape[1]} tokens, {torch.get_num_threads()} threads")
    if arguments.shared:
        compare_shared(model, calibration, arguments.rounds)
        return
    ratios: dict[str, list[tuple[float, float]]] = {recipe: [] for recipe in arguments.recipes}
    for number in range(arguments.rounds):
        dense = timed(lambda: forward(model, calibration))
        print(f"dense forward: {dense[0]:.1f} s, {dense[1]:.1f} s of processors", flush=True)
        for recipe in arguments.recipes:
            changed = copy.deepcopy(model)
            cost = timed(lambda changed=changed, recipe=recipe: apply(changed, recipe, calibration))
            ratios[recipe].append((cost[0] / dense[0], cost[1] / dense[1]))
            said = f"{recipe}: {cost[0]:.1f} s, {cost[1]:.1f} s of processors"
            if arguments.perplexity and not number:
                said += f", perplexity {perplexity_of(changed, held_out):.2f}"
            print(said, flush=True)
    for recipe, rounds in ratios.items():
        wall, processors = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{recipe}: {wall:.2f} dense forwards, {processors:.2f} in processor time")


def compare_shared(model: LanguageModel, tokens: Tensor, rounds: int) -> None:
    """Print what six settings on shared statistics cost beside one of the sequential walk, the medians over rounds."""
    ratios = []
    for _ in range(rounds):
        one = timed(lambda: apply(copy.deepcopy(model), ONE, tokens))
        six = timed(lambda: apply_shared(model, tokens))
        ratios.append((six[0] / one[0], six[1] / one[1]))
        print(f"one: {one[0]:.1f} s, {one[1]:.1f} s of processors; six: {six[0]:.1f} s, {six[1]:.1f} s", flush=True)
    wall, processors = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"six settings: {wall:.2f} times one, {processors:.2f} in processor time")


def apply_shared(model: LanguageModel, tokens: Tensor) -> None:
    """Compress copies of a model in six ways, with a cache that knows nothing of it."""
    with TemporaryDirectory() as folder, patch.dict(os.environ, KNEEPOINT_CACHE=folder):
        for recipe in SIX:
            apply(copy.deepcopy(model), recipe, tokens)


def windows(model: LanguageModel, file: Path | None) -> tuple[Tensor, Tensor]:
    """Calibration and held-out windows: the protocol's, or those of a file."""
    if file is None:
        protocol = Protocol()
        return calibration_windows(model.tokenizer, protocol), perplexity_windows(model.tokenizer, protocol, None)
    content = json.loads(file.read_text())
    return torch.tensor(content["calibration"]), torch.tensor(content["held_out"])


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """(wall seconds, processor seconds of all threads) that work takes."""
    wall, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processors


@torch.inference_mode()
def forward(model: LanguageModel, tokens: Tensor) -> None:
    for window in tokens:
        model.anatomy.base(input_ids=window.unsqueeze(0), use_cache=False)


def apply(model: LanguageModel, recipe: str, tokens: Tensor) -> None:
    compress(model, parse(recipe), tokens, lambda *_: None)


def perplexity_of(model: LanguageModel, tokens: Tensor) -> float:
    return float(perplexity.read(fp32.dequantized(model), tokens).loss.mean().exp())


if __name__ == "__main__":
    main()
