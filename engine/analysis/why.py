"""Why a result is not smaller or faster, in sentences that each follow from its own numbers.

A rule is a function of what is known of a result; it gives a sentence where its numbers say so and nothing elsewhere.
`sentences` asks them in order, what concerns the bytes first, and keeps the first few.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine import quantities
from engine.analysis import roofline, words
from engine.analysis.front import is_dense
from engine.analysis.parts import expanded_to
from engine.analysis.passes import Pair, passes
from engine.analysis.roofline import Phase
from engine.layers import formats
from engine.layers.formats import KERNEL_BITS, PARTS, STORED_BITS, Formats, Packing, Part
from engine.machine import Limits
from engine.outcome.row import Row
from engine.spec import parse

MOST = 5
_NOTICED = 0.005  # of the original: less is no difference
_NAMED = 0.01  # of the original: a smaller part is no cause


@dataclass(frozen=True)
class Case:
    """What the rules know of a result: its formats, and how a prompt and a word were timed."""

    row: Row
    dense: Row
    formats: Formats
    passes: Mapping[Phase, Pair]

    def method(self, name: str) -> bool:
        """Whether a step is of this method or of this family."""
        return any(name in (step.method, step.family) for step in parse(self.row.recipe).steps)

    def share(self, part: Part) -> float:
        """A part's share of the original's bytes."""
        whole = self.dense.value("weight_bytes")
        return (self.dense.value(f"{part}_bytes") or 0.0) / whole if whole else 0.0

    def gone(self, part: Part) -> float:
        """The share of a part's numbers that the original has and the result has not."""
        before = roofline.numbers(self.dense, Formats({}, self.formats.tied), part)
        return 1 - roofline.numbers(self.row, self.formats, part) / before if before else 0.0


def case(row: Row, dense: Row, limits: Limits | None) -> Case:
    """What is known of a result; limits: of the machine that timed it, where they are known."""
    return Case(row, dense, roofline.formats_of(row, dense), passes(row, dense, limits))


def sentences(found: Case) -> list[str]:
    """At most `MOST` sentences, in the order of `RULES`."""
    said = [sentence for rule in RULES if (sentence := rule(found))]
    return said[:MOST]


def zeros(found: Case) -> str:
    """Stored zeros: "Half the weights are zero; the file is no smaller: …"."""
    return words.zeros(found.row, found.dense)


def packed(found: Case) -> str:
    """Fewer bits for some parts, and what keeps the whole file from shrinking as much; nothing where layers differ."""
    if not found.formats.packed or any(packing.widths for packing in found.formats.packed.values()):
        return ""
    main = min(found.formats.packed, key=found.formats.bits)
    bits, causes = found.formats.bits(main), _unshrunk(found, main)
    weight, whole = found.row.value("weight_bytes"), found.dense.value("weight_bytes")
    if not causes or not weight or not whole:
        return ""
    ratio, hoped = whole / weight, STORED_BITS / bits
    if ratio >= 0.97 * hoped:
        return f"{causes[0].upper()}{causes[1:]}."
    takes = f"{main} take" if main == "linears" else f"{main} takes"
    smaller = f"{quantities.times(ratio)} smaller" if ratio > 1 + _NOTICED else "no smaller"
    return f"Its {takes} {bits} bits instead of {STORED_BITS}, but the file is {smaller}, not {hoped:.2g}x: {causes}."


def unpacked(found: Case) -> str:
    """A step after a quantizer that changed the weights."""
    steps = parse(found.row.recipe).steps
    if found.formats.packed or not any(getattr(step, "targets", ()) for step in steps):
        return ""
    last = "slice" if found.method("slice") else "pruning"
    return f"The {last} came after the rounding and took the matrices off their grid: they are stored in 16 bits again."


def fewer_layers(found: Case) -> str:
    """Removed blocks, and the embedding that stays."""
    gone, share = found.gone("linears"), found.share("embedding")
    if not found.method("layers") or found.method("slice") or gone < _NOTICED or share < _NAMED:
        return ""
    weight, whole = found.row.value("weight_bytes"), found.dense.value("weight_bytes")
    if found.formats.packed or not weight or not whole:
        return f"{_percent(gone)} of the linears are gone, but not the embedding, {_percent(share)} of the original."
    file = _percent(1 - weight / whole)
    return (
        f"{_percent(gone)} of the linears are gone, but not the embedding, {_percent(share)} of the original: "
        f"the file is {file} smaller."
    )


def narrower(found: Case) -> str:
    """A slice: fewer numbers in as many matrices."""
    now, before = (row.value("parameters") for row in (found.row, found.dense))
    if not found.method("slice") or not now or not before or 1 - now / before < _NOTICED:
        return ""
    said = f"Every matrix lost rows or columns, so {_percent(1 - now / before)} of the numbers are gone"
    if found.method("layers"):
        return f"{said}, with those of the removed layers."
    return f"{said}; but there are no fewer matrices, each with its own call."


def parted_head(found: Case) -> str:
    """A head that a slice parted from the embedding."""
    head = found.row.value("head_bytes")
    if found.formats.tied or found.dense.value("head_bytes") or not head:
        return ""
    return f"The head no longer shares the embedding, and is stored apart: {_megabytes(head)}."


def no_kernel(found: Case) -> str:
    """A width that nothing runs packed."""
    multiplied = {part: p for part, p in found.formats.packed.items() if part != "embedding" or found.formats.tied}
    widths = sorted({_width(packing) for packing in multiplied.values() if not packing.has_kernel})
    if not widths:
        return ""
    said = f"Simulated: no real kernel for {' and '.join(widths)}, so no time is claimed"
    resident, weight = (found.row.value(name) for name in ("resident_weight_bytes", "weight_bytes"))
    if not resident or not weight:
        return f"{said}."
    return f"{said}; they run expanded, {_megabytes(resident)} in memory for {_megabytes(weight)} stored."


def zeros_multiplied(found: Case) -> str:
    """Zeros as operations: "Zeros are multiplied like any number: …"."""
    pair = found.passes.get("decode")
    if not words.zeros(found.row, found.dense) or pair is None or pair.original is None:
        return ""
    ours, before = pair.ours.done.flop, pair.original.done.flop
    if abs(ours / before - 1) > _NOTICED:
        return ""
    return (
        f"Zeros are multiplied like any number: a word takes {quantities.operations(ours)}, as many as the original's."
    )


def zeros_skipped(found: Case) -> str:
    """Zeros that a kernel leaves out of a word's operations."""
    pair, kernel = found.passes.get("decode"), found.formats.zeros_kernel
    if not kernel or pair is None or pair.original is None or pair.ours.dtype != "bfloat16":
        return ""
    ours, before = (quantities.operations(side.done.flop) for side in (pair.ours, pair.original))
    return f"{kernel} multiplies without the zeros, two of every four: a word takes {ours} instead of {before}."


def bytes_moved(found: Case) -> str:
    """What a word reads, and what reading less saves."""
    pair = found.passes.get("decode")
    if pair is None or no_kernel(found):
        return ""
    ours, original = pair
    batch = int(found.row.protocol.get("batch_size", 1))
    moves = f"A word{f' for each of {batch} sequences' if batch > 1 else ''} moves {_megabytes(ours.done.bytes)}"
    if ours.least and ours.least.decided_by == "arithmetic":
        busy = f"{quantities.operations(ours.done.flop)} in {_ms(ours.least.arithmetic_ms)}"
        return f"{moves} in {_ms(ours.least.memory_ms)} at best, but its arithmetic, {busy}, takes longer."
    if original is None:
        least = f", which takes {_ms(ours.least.memory_ms)} at the memory's full speed" if ours.least else ""
        return f"{moves}{least}{f'; it took {_ms(ours.took_ms)}' if least and ours.took_ms else ''}."
    if abs(ours.done.bytes / original.done.bytes - 1) < _NOTICED:
        return ""
    moves = f"{moves}, the original's {_megabytes(original.done.bytes)}"
    if ours.least is None or original.least is None or original.took_ms is None:
        return f"{moves}."
    saved = original.least.memory_ms - ours.least.memory_ms
    change = f"saves {_ms(saved)}" if saved > 0 else f"costs {_ms(-saved)} more"
    return f"{moves}: at the memory's full speed that {change}, where the original took {_ms(original.took_ms)}."


def wide_numbers(found: Case) -> str:
    """Numbers of 16 stored bits that were read as 32."""
    pair = found.passes.get("decode")
    sides = {"It": pair.ours, "The original": pair.original} if pair else {}
    wide = [name for name, side in sides.items() if side and side.dtype == "float32"]
    if not wide:
        return ""
    name, its = ("Both", "their") if len(wide) > 1 else (wide[0], "its")
    return f"{name} decoded in fp32, the faster format in that run, so {its} 16-bit numbers were read as 32 bits each."


def overhead(found: Case) -> str:
    """What of a word's time is neither reading nor arithmetic."""
    pair = found.passes.get("decode")
    if pair is None or pair.ours.parts_ms is None or not pair.ours.took_ms:
        return ""
    left, took = pair.ours.parts_ms[2], pair.ours.took_ms
    if left <= 0:
        return "A word took less than the machine's limits allow: they are too low, or a cache held the weights."
    before = pair.original.parts_ms if pair.original else None
    beside = f" (the original: {_ms(before[2])})" if before else ""
    unpacking = ", unpacking" if any(packing.has_kernel for packing in found.formats.packed.values()) else ""
    return (
        f"{_percent(left / took)} of a word's time, {_ms(left)}{beside}, goes beyond reading and arithmetic: Python, "
        f"starting small operations, norms, attention{unpacking}, and whatever runs below full speed."
    )


def expanded(found: Case) -> str:
    """Packed weights in a prompt's products."""
    asked = found.row.protocol
    tokens, device = int(asked.get("batch_size", 1)) * int(asked.get("prompt_tokens", 128)), _device(found.row)
    packing = found.formats.packed.get("linears")
    if formats.way(packing, tokens, device) != "expanded":
        return ""
    to = expanded_to(found.row, "prefill")
    if to == "int8":
        return ""
    wide = f" to {to}" if to else ""
    said = f"Weights are expanded{wide} before the prompt's matrix products, which gain nothing from packing"
    ratio, high = (found.row.value(f"prefill_speedup{end}") for end in ("", "_high"))
    if ratio and high and high < 1:
        return f"{said}; it took {quantities.times(1 / ratio)} as long as the original's."
    return f"{said}."


def library(found: Case) -> str:
    """Weights that a library's kernels multiply on a CPU."""
    packing, ratio = found.formats.packed.get("linears"), found.row.value("decode_speedup")
    if packing is None or not packing.library or _device(found.row) != "cpu" or ratio is None or ratio >= 1:
        return ""
    return (
        f"{packing.library} expands each matrix anew at every use on a CPU: that saves memory, and a word took "
        f"{quantities.times(1 / ratio)} as long as the original's."
    )


def prompt(found: Case) -> str:
    """A prompt waits for arithmetic."""
    pair = found.passes.get("prefill")
    if pair is None or found.formats.packed or not pair.ours.least or pair.ours.least.decided_by != "arithmetic":
        return ""
    ours, original = pair
    now = quantities.operations(ours.done.flop)
    if original is None:
        least = _ms(pair.ours.least.arithmetic_ms)
        return f"A prompt waits for arithmetic, not for memory: {now} take at least {least}, however small the file."
    ratio = original.done.flop / ours.done.flop
    if ratio < 1 + _NOTICED:
        return f"A prompt waits for arithmetic, and has as much of it as the original's: {now}."
    said = f"A prompt waits for arithmetic: {now} instead of {quantities.operations(original.done.flop)} allow"
    speed = [found.row.value(f"prefill_speedup{end}") for end in ("", "_low", "_high")]
    if None in speed:
        return f"{said} {quantities.times(ratio)}."
    was, low, high = (quantities.times(value) for value in speed if value is not None)
    return f"{said} {quantities.times(ratio)}; measured {was} ({low} to {high})."


RULES: tuple[Callable[[Case], str], ...] = (
    zeros,
    packed,
    unpacked,
    fewer_layers,
    narrower,
    parted_head,
    no_kernel,
    library,
    zeros_multiplied,
    zeros_skipped,
    bytes_moved,
    wide_numbers,
    overhead,
    expanded,
    prompt,
)


def unrewarded(row: Row) -> str:
    """ "2.4x smaller, but 1.3x slower per word." ; empty of what is not smaller, and of what is also faster."""
    ratio, speed = row.value("compression_ratio"), row.value("decode_speedup")
    if row.simulated or is_dense(row) or ratio is None or speed is None or ratio < 1.195 or speed >= 1.03:
        return ""
    how = "as fast per word as before" if speed > 0.97 else f"{quantities.times(1 / speed)} slower per word"
    return f"{quantities.times(ratio)} smaller, but {how}."


def _unshrunk(found: Case, main: Part) -> str:
    """What has more bits than the part that was packed most, as clauses; empty where nothing has."""
    clauses = []
    for part in PARTS:
        bits = found.formats.bits(part)
        if bits <= found.formats.bits(main) or found.share(part) < _NAMED:
            continue
        is_, was, takes = ("are", "were", "take") if part == "linears" else ("is", "was", "takes")
        how = f"{was} left at {bits} bits" if part not in found.formats.packed else f"{takes} {bits} bits"
        clauses.append(f"the {part} {is_} {_percent(found.share(part))} of the original and {how}")
    if scales := found.row.value("scales_zeros_bytes"):
        points = "" if all(packing.symmetric for packing in found.formats.packed.values()) else " and zero points"
        clauses.append(f"scales{points} add {_megabytes(scales)}")
    return ", and ".join(clauses)


def _width(packing: Packing) -> str:
    """ "3-bit weights"; with the groups where the width alone would have a kernel."""
    groups = f" in groups of {packing.group_size}" if packing.bits in KERNEL_BITS else ""
    return f"{packing.bits}-bit weights{groups}"


def _device(row: Row) -> str:
    return str(row.protocol.get("device", "cpu"))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _megabytes(count: float) -> str:
    return quantities.format_value("weight_bytes", count)


def _ms(milliseconds: float) -> str:
    return quantities.format_value("decode_ms_per_token", milliseconds)
