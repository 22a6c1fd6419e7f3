"""Our GPTQ beside llm-compressor's, on the same weights, windows and threads: seconds, and held-out perplexity.

    python -m tests.benchmarks.gptq_peer --peer PYTHON [--bits 4,3] [--rounds N] [--windows FILE]

PYTHON is the interpreter of an environment with `torch==2.13.0` and `llmcompressor==0.14.0.1`, which wants another
transformers than ours. Both compress the default model in fp32: symmetric groups of 64, all linears but the head, all
else each one's default. Ours runs in this process, the peer's in one of its own; in a round each runs once, and which
one goes first changes from round to round. Loading and perplexity are in no time. FILE holds token windows
{"calibration": [[…], …], "held_out": [[…], …]}, instead of the protocol's own 32 x 512. Wall time at most 0.55 of the
peer's, perplexity at most 1.01 times it; the exit status is 1 where one does not hold.
"""

import argparse
import copy
import json
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from engine import models
from engine.models import LanguageModel
from engine.network import sources
from engine.spec import DEFAULT_MODEL
from tests.benchmarks.calibrated_walk import apply, perplexity_of, timed, windows

PEER = Path(__file__).with_name("llm_compressor_peer.py")
GROUP_SIZE = 64
TIME_LIMIT = 0.55
PERPLEXITY_LIMIT = 1.01


@dataclass
class Outcome:
    """Of one width: each round's seconds of both, and the perplexities, which are every round's."""

    ours_s: list[float] = field(default_factory=list)
    theirs_s: list[float] = field(default_factory=list)
    perplexity: float = float("nan")
    their_perplexity: float = float("nan")

    @property
    def time_ratio(self) -> float:
        return median(ours / theirs for ours, theirs in zip(self.ours_s, self.theirs_s, strict=True))

    @property
    def holds(self) -> bool:
        return self.time_ratio <= TIME_LIMIT and self.perplexity <= PERPLEXITY_LIMIT * self.their_perplexity


def main() -> int:
    asked = parser().parse_args()
    model = models.load(sources.resolve(DEFAULT_MODEL))
    calibration, held_out = windows(model, asked.windows)
    print(f"{len(calibration)} x {calibration.shape[1]} tokens, {torch.get_num_threads()} threads", flush=True)
    print(f"dense: perplexity {perplexity_of(model, held_out):.2f}", flush=True)
    outcomes = {bits: Outcome() for bits in asked.bits}
    for number in range(asked.rounds):
        for bits, outcome in outcomes.items():
            sides = [partial(ours, model), partial(theirs, asked.peer, model)]
            for side in sides if number % 2 == 0 else sides[::-1]:
                side(bits, calibration, held_out, outcome)
    for bits, outcome in outcomes.items():
        print(f"{bits} bits: {outcome.time_ratio:.2f} of llm-compressor's time (limit {TIME_LIMIT}), "
              f"perplexity {outcome.perplexity:.2f} against {outcome.their_perplexity:.2f}")  # fmt: skip
    return 0 if all(outcome.holds for outcome in outcomes.values()) else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--peer", type=Path, required=True, metavar="PYTHON", help="interpreter that has llmcompressor")
    made.add_argument("--bits", type=lambda text: [int(bits) for bits in text.split(",")], default=[4, 3])
    made.add_argument("--rounds", type=int, default=1)
    made.add_argument("--windows", type=Path, metavar="FILE")
    return made


def ours(model: LanguageModel, bits: int, calibration: Tensor, held_out: Tensor, outcome: Outcome) -> None:
    changed = copy.deepcopy(model)
    recipe = f"quantize:gptq,bits={bits},group_size={GROUP_SIZE}"
    wall, processors = timed(lambda: apply(changed, recipe, calibration))
    outcome.ours_s.append(wall)
    outcome.perplexity = perplexity_of(changed, held_out)
    print(f"ours, {bits} bits: {wall:.1f} s, {processors:.1f} s of processors, {outcome.perplexity:.2f}", flush=True)


def theirs(
    peer: Path, model: LanguageModel, bits: int, calibration: Tensor, held_out: Tensor, outcome: Outcome
) -> None:
    asked = {"folder": str(model.source.folder), "bits": bits, "group_size": GROUP_SIZE}
    asked |= {"threads": torch.get_num_threads(), "calibration": calibration.tolist(), "held_out": held_out.tolist()}
    found = run(peer, asked)
    outcome.theirs_s.append(found["seconds"])
    outcome.their_perplexity = found["perplexity"]
    print(f"llm-compressor {found['versions']['llmcompressor']}, {bits} bits: {found['seconds']:.1f} s, "
          f"{found['processor_seconds']:.1f} s of processors, {found['perplexity']:.2f} (dense {found['dense']:.2f})",
          flush=True)  # fmt: skip


def run(peer: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What the peer's process found, its log kept back unless it fails."""
    done = subprocess.run([peer, PEER], input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"llm-compressor ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    raise SystemExit(main())
