"""What ran each part of a model, a line a part: how it is stored, what multiplied it for a word and for a prompt."""

from typing import NamedTuple

from engine import quantities
from engine.analysis import words
from engine.analysis.roofline import left_out
from engine.layers.formats import EXPANDED, STORED_BITS, Formats, Part, way
from engine.outcome.row import Row
from engine.spec.quantize import PER_CHANNEL

_SHORT = {"float32": "fp32", "bfloat16": "bf16"}
_LOOKED_UP = "rows looked up"


class PartRun(NamedTuple):
    """A part in words: its name, how it is stored, and what ran it in both phases."""

    name: str
    stored: str
    word: str
    prompt: str


def parts_run(row: Row, found: Formats) -> list[PartRun]:
    """The parts of a result that its network multiplies or looks up; those without bytes are left out.

    A prompt asks the head for its last token only, so the head runs as for a word.
    """
    asked = row.protocol
    batch = int(asked.get("batch_size", 1))
    prompt = batch * int(asked.get("prompt_tokens", 128))
    table, small = ("Embedding and head", "Matrix before the head") if found.tied else ("Embedding", "Head")
    lines: list[tuple[Part, str, int]] = [
        ("linears", "Linears", prompt),
        ("embedding", table, batch),
        ("head", small, batch),
    ]
    return [
        PartRun(name, _stored(row, found, part), *_ran(row, found, part, batch, tokens))
        for part, name, tokens in lines
        if row.value(f"{part}_bytes")
    ]


def _stored(row: Row, found: Formats, part: Part) -> str:
    """ "4 bits, groups of 64, 53.1 MB"; the bytes are those of the numbers, without scales."""
    size = quantities.format_value("weight_bytes", row.value(f"{part}_bytes"))
    packing = found.packed.get(part)
    lacking = ", zeros left out" if part == "linears" and left_out(row, found) else ""
    if packing is None:
        return f"{STORED_BITS} bits{lacking}, {size}"
    if packing.widths:
        where = f"{lacking} at {STORED_BITS}" if lacking else ""
        return f"{' or '.join(map(str, packing.widths))} bits by layer{where}, {size}"
    grain = "one scale a row" if packing.group_size == PER_CHANNEL else f"groups of {packing.group_size}"
    return f"{packing.bits} bits, {grain}, {size}"


def expanded_to(row: Row, phase: str) -> str:
    """What packed weights were expanded to for many tokens: "fp32", "bf16" or "int8"; empty where it is not known.

    Whole numbers of 8 bits are multiplied as such, whatever a phase was timed in.
    """
    known = row.environment.get(EXPANDED)
    if known == "int8":
        return "int8"
    bf16 = str(row.protocol.get("device", "cpu")) != "cpu" or known == "bfloat16"
    return _ran_in(row, phase) if bf16 else "fp32"


def _ran_in(row: Row, phase: str) -> str:
    """The number format that a phase was timed in, as it is called in short; empty where it is not known."""
    side = "compressed" if row.recipe != "dense" else "dense"
    return _SHORT.get(str(row.environment.get(f"{side}_{phase}_dtype")), "")


def _ran(row: Row, found: Formats, part: Part, batch: int, tokens: int) -> tuple[str, str]:
    if part == "embedding" and not found.tied:
        return _LOOKED_UP, _LOOKED_UP
    return _how(row, found, part, "decode", batch), _how(row, found, part, "prefill", tokens)


def _how(row: Row, found: Formats, part: Part, phase: str, tokens: int) -> str:
    device = str(row.protocol.get("device", "cpu"))
    ran_in = _ran_in(row, phase)
    packing = None if part == "head" and found.tied else found.packed.get(part)
    match way(packing, tokens, device):
        case "packed":
            widths = packing.widths if packing else ()
            plain = f", and plain in {ran_in or 'fp32 or bf16'}" if STORED_BITS in widths else ""
            return f"packed kernels{plain}" if widths else f"packed {found.bits(part)}-bit kernel"
        case "expanded":
            to = expanded_to(row, phase)
            if to == "int8":
                return "8-bit whole numbers"
            return f"expanded to {to}" if to else "expanded"
        case "copied":
            return "no kernel: a 16-bit copy"
        case "library":
            assert packing is not None
            return f"{packing.library}, {packing.bits}-bit"
        case "plain":
            if part == "linears" and found.zeros_kernel and ran_in == "bf16":
                return f"{ran_in}, {found.zeros_kernel} without the zeros"
            zeros = ", zeros multiplied too" if part == "linears" and words.zeros(row, None) else ""
            return f"{ran_in or 'fp32 or bf16'}{zeros}"
