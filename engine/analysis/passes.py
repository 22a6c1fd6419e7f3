"""One pass over a model as it was timed: the bytes it moved, its operations, and what is left of its time.

`engine.analysis.roofline` asks what a pass needs at least, by the bytes that are stored. Here it is what really ran:
numbers that no step packed are read in the number format that was timed, twice as many bytes in fp32 as are stored, and
a width without a kernel as the dequantized copy that stands for it. The original's pass is the one that was timed
beside, in the same run: its time is the compressed one's times the speed-up, because both are of medians.
"""

from typing import NamedTuple

from engine.analysis import roofline
from engine.analysis.front import is_dense
from engine.analysis.roofline import PHASES, LeastTime, Network, Phase, Work
from engine.layers.formats import PARTS, STORED_BITS, Formats
from engine.machine import Limits
from engine.outcome.row import Row

BITS = {"bfloat16": 16, "float32": 32}  # of a number, by the format it runs in
SPEEDUPS = {  # the speed-up that was measured with a time, or with what follows from it
    "prefill_ms": "prefill_speedup",
    "decode_ms_per_token": "decode_speedup",
    "decode_tokens_per_s": "decode_speedup",
}


class Pass(NamedTuple):
    """dtype: what unpacked numbers ran in, None where that was not noted (then they count as stored, in bf16); least:
    None where the machine's limits are not known; took_ms: None where no kernel runs it, or it was not timed.
    """

    dtype: str | None
    done: Work
    least: LeastTime | None
    took_ms: float | None

    @property
    def parts_ms(self) -> tuple[float, float, float] | None:
        """Reading, arithmetic and the rest, which add up to the measured time; None where they can't be told apart.

        Reading and arithmetic overlap, so arithmetic is what it takes beyond reading. Where a pass took less than the
        limits allow, there is no rest and the others are shortened alike.
        """
        if self.least is None or self.took_ms is None:
            return None
        reading, least = self.least.memory_ms, self.least.ms
        scale = min(1.0, self.took_ms / least)
        return scale * reading, scale * (least - reading), self.took_ms - scale * least


class Pair(NamedTuple):
    """A result's pass, and the original's beside it; None of dense itself and where the original has no size."""

    ours: Pass
    original: Pass | None


def passes(row: Row, dense: Row, limits: Limits | None) -> dict[Phase, Pair]:
    """A prompt and a word as the row's protocol timed them; empty where the row's size was not measured.

    limits: of the machine that timed the row, as far as they are known; those of another kind of machine are not used.
    """
    fitting = limits if limits is not None and limits.fits(row) else None
    found = {phase: _pair(row, dense, phase, fitting) for phase in PHASES}
    return {phase: pair for phase, pair in found.items() if pair is not None}


def beside(row: Row, name: str) -> float | None:
    """One of `SPEEDUPS` of the original, in the run that timed a result; None where that did not time both.

    Times of two runs don't compare: the machine is not equally fast in both.
    """
    value, ratio = row.value(name), row.value(SPEEDUPS[name])
    if value is None or not ratio:
        return None
    return value / ratio if name == "decode_tokens_per_s" else value * ratio


def running(row: Row, dense: Row, dtype: str | None) -> Network | None:
    """The network of a result as it runs in a number format; None where its size was not measured."""
    stored = roofline.network(row, dense)
    if stored is None:
        return None
    wider = BITS.get(dtype or "", STORED_BITS) / STORED_BITS
    formats = roofline.formats_of(row, dense)
    read = [part for part in PARTS if part != "embedding" or formats.tied]
    kernels = {part for part, packing in formats.packed.items() if packing.has_kernel}
    body_weights = stored.body_weights
    if formats.zeros_kernel and dtype == "bfloat16":
        kernels.add("linears")  # it holds 2:4 in as many bytes as the file does
        body_weights -= _skipped(row, formats)
    codes = sum(row.value(f"{part}_bytes") or 0.0 for part in read)
    scales = row.value("scales_zeros_bytes") or 0.0
    plain = stored.read_bytes - codes - scales  # norms and the like
    plain += sum(roofline.numbers(row, formats, part) * STORED_BITS / 8 for part in read if part not in kernels)
    packed = sum(row.value(f"{part}_bytes") or 0.0 for part in read if part in kernels) + (scales if kernels else 0.0)
    return stored._replace(
        read_bytes=packed + wider * plain, body_weights=body_weights, cache_bytes=wider * stored.cache_bytes
    )


def _skipped(row: Row, formats: Formats) -> float:
    """How many zeros the file of plain linears leaves out: 8 of every 16 weights, 16 bytes, for 2 bytes of mask."""
    missing = 2 * roofline.numbers(row, formats, "linears") - (row.value("linears_bytes") or 0.0)
    return missing * 8 / 14


def _pair(row: Row, dense: Row, phase: Phase, limits: Limits | None) -> Pair | None:
    name = "prefill_ms" if phase == "prefill" else "decode_ms_per_token"
    took = row.value(name)
    ours = _pass(row, dense, phase, "dense" if is_dense(row) else "compressed", limits, took, row)
    if ours is None or is_dense(row):
        return None if ours is None else Pair(ours, None)
    return Pair(ours, _pass(dense, dense, phase, "dense", limits, beside(row, name), row))


def _pass(
    model: Row, dense: Row, phase: Phase, side: str, limits: Limits | None, took_ms: float | None, timed: Row
) -> Pass | None:
    """A model's pass in the run that timed `timed`, where it was the "dense" or the "compressed" side."""
    dtype = timed.environment.get(f"{side}_{phase}_dtype")
    found = running(model, dense, dtype)
    if found is None:
        return None
    done = roofline.asked_work(found, timed, phase)
    return Pass(dtype, done, roofline.least_time(done, limits) if limits else None, took_ms)
