"""Prefill and decoding time over batches and prompts: where a compressed model is faster, and where it is not.

Each cell is timed as `engine.measure.latency` times its one: both networks in one process, taking turns, each in the
number format that is faster for it there. Long passes are timed fewer times, so that the grid takes minutes.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from engine.measure import latency, machine_load
from engine.measure.latency import DTYPES, Blocks, Load, Meter, Report, Side
from engine.outcome.latency_cells import Cell, LatencyGrid, Phase
from engine.spec import Protocol

PROMPTS, BATCHES = (32, 128, 512), (1, 4, 8)
DECODE_PROMPT, DECODE_TOKENS = 128, 24
PROBED = ((1, 32), (1, 128), (1, 512), (4, 128), (8, 128))  # (batch, prompt) at which both formats are tried
FEWEST, FULL_TOKENS = 4, 256  # runs of a long prefill; tokens up to which there are as many as in the usual timing
PATIENCE_SECONDS = 10.0  # after which a disturbed cell is not repeated

Formats = dict[str, torch.dtype]  # side -> number format


class Timed(NamedTuple):
    """A cell to time."""

    phase: Phase
    batch: int
    prompt: int

    @property
    def runs(self) -> int:
        """How many blocks of times each side gives."""
        if self.phase == "decode":
            return latency.DECODE_ROUNDS * DECODE_TOKENS // latency.CHUNK
        fitting = latency.PREFILLS * FULL_TOKENS // (self.batch * self.prompt)
        return max(FEWEST, min(latency.PREFILLS, fitting))

    def protocol(self, protocol: Protocol) -> Protocol:
        """The protocol under which the usual timing times this cell."""
        return replace(protocol, batch_size=self.batch, prompt_tokens=self.prompt, decode_tokens=DECODE_TOKENS)


CELLS = (
    *(Timed("prefill", batch, prompt) for prompt in PROMPTS for batch in BATCHES),
    *(Timed("decode", batch, DECODE_PROMPT) for batch in BATCHES),
)


def measure(dense: Load, compressed: Load | None, protocol: Protocol, report: Report) -> LatencyGrid:
    """Time every cell of the compressed network against the dense one, or of the dense one alone.

    The caller holds the machine's timing lock.
    """
    sides = [Side("dense", dense)] + ([Side("compressed", compressed)] if compressed else [])
    meter = Meter(report, len(sides) * len(DTYPES) + sum(cell.runs for cell in CELLS))
    with torch.inference_mode():
        found = [_formats(side, protocol, meter) for side in sides]
        formats = {cell: {side.name: known[cell] for side, known in zip(sides, found, strict=True)} for cell in CELLS}
        timed = {cell: _time(cell, sides, formats[cell], protocol, meter) for cell in _few_loads(formats)}
    return LatencyGrid(tuple(timed[cell] for cell in CELLS))


def _formats(side: Side, protocol: Protocol, meter: Meter) -> dict[Timed, torch.dtype]:
    """The faster number format of a side for every cell; a prefill's is that of the longest tried one that it has."""
    tried = latency.probe(side, [Timed("decode", *pair).protocol(protocol) for pair in PROBED], meter)
    prefill = {batch * prompt: found["prefill"] for (batch, prompt), found in zip(PROBED, tried, strict=True)}
    decode = {pair: found["decode"] for pair, found in zip(PROBED, tried, strict=True)}
    return {
        cell: decode[cell.batch, cell.prompt]
        if cell.phase == "decode"
        else prefill[max(tokens for tokens in prefill if tokens <= cell.batch * cell.prompt)]
        for cell in CELLS
    }


def _few_loads(formats: Mapping[Timed, Formats]) -> list[Timed]:
    """The cells in an order that reads each network anew as seldom as may be: those of the same formats together."""
    return sorted(formats, key=lambda cell: [str(dtype) for dtype in formats[cell].values()])


def _time(cell: Timed, sides: list[Side], formats: Formats, protocol: Protocol, meter: Meter) -> Cell:
    run = latency.decode_blocks if cell.phase == "decode" else partial(latency.prefill_blocks, runs=cell.runs)
    networks = [side.network(formats[side.name]) for side in sides]
    asked = cell.protocol(protocol)
    times, others = latency.quietest(run, networks, asked, meter, PATIENCE_SECONDS)
    ratio, low, high = latency.speedup(times, protocol.seed) if len(sides) > 1 else (1.0, 1.0, 1.0)
    (dense_ms, dense_spread), (ms, spread) = _middle(times, 0), _middle(times, -1)
    names = [str(dtype).removeprefix("torch.") for dtype in formats.values()]
    return Cell(
        *cell, ms, spread, dense_ms, dense_spread, ratio, low, high,
        dtype=names[-1], dense_dtype=names[0], disturbed=machine_load.disturbed(others),
    )  # fmt: skip


def _middle(times: Blocks, side: int) -> tuple[float, float]:
    """Median and interquartile range of a side's times."""
    low, middle, high = np.nanpercentile(times[side], (25, 50, 75))
    return float(middle), float(high - low)
