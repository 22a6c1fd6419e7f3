"""How each part of a compressed model is stored, and what multiplies it; from its recipe, without torch.

Parts are those that a quantizer's `targets` name. A part that no step packed is stored in bf16 and runs in the number
format that was timed as the faster one.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from engine.spec import Recipe
from engine.spec.quantize import PER_CHANNEL
from engine.spec.recipe import named_blocks

Part = Literal["linears", "embedding", "head"]
PARTS: tuple[Part, ...] = ("linears", "embedding", "head")
Way = Literal["plain", "packed", "expanded", "copied", "library"]

KERNEL_BITS = (8, 4)
KERNEL_ROWS = 16  # tokens at once up to which the kernel beats dequantizing block by block
STORED_BITS = 16  # of a part that no step packed


class Packing(NamedTuple):
    """How a part is packed; library: what packed and runs it, where that is not ours.

    widths: the bits of its layers, where a recipe packs them differently; the rest is then said of those that no kernel
    runs, or else of those with the fewest bits.
    """

    bits: int
    group_size: int
    symmetric: bool
    library: str = ""
    widths: tuple[int, ...] = ()

    @property
    def has_kernel(self) -> bool:
        """Whether it runs as it is packed."""
        return bool(self.library) or has_kernel(self.bits, self.group_size)


class Formats(NamedTuple):
    """The packed parts of a model, and whether its embedding and its head are one matrix, which counts as embedding."""

    packed: Mapping[Part, Packing]
    tied: bool

    def bits(self, part: Part) -> int:
        """Of one stored number of a part, scales and zero points not counted."""
        return self.packed[part].bits if part in self.packed else STORED_BITS


def has_kernel(bits: int, group_size: int) -> bool:
    """Whether a matrix multiplies in its packed form: at 4 bits an odd group would share a byte with its neighbour.

    The rows of which `PER_CHANNEL` makes groups are taken to be of even length.
    """
    return bits == 8 or (bits == 4 and (group_size == PER_CHANNEL or group_size % 2 == 0))


def formats(recipe: Recipe, tied: bool) -> Formats:
    """How the parts are stored once every step was applied; tied: whether the original's head is its embedding.

    A later quantizer decides over an earlier one, and other steps take the matrices that they change off their grid.
    """
    packed: dict[Part, Packing] = {}
    by_layer = False
    for step in recipe.steps:
        packed = {part: packing for part, packing in packed.items() if part not in step.unpacks}
        if step.family == "slice":
            tied = tied and getattr(step, "head", "tied") == "tied"
        elif step.family == "quantize":
            by_layer = by_layer or bool(named_blocks(step))
            before = packed.get("linears")
            packed |= dict.fromkeys(_targets(step, tied), _packing(step))
            if by_layer and "linears" in packed:
                packed["linears"] = _mixed(before, packed["linears"])
    return Formats(packed, tied)


def _mixed(before: Packing | None, now: Packing) -> Packing:
    """How layers are packed of which some are packed otherwise, where `before` is given."""
    both = [now] if before is None else [before, now]
    widths = {bits for packing in both for bits in packing.widths or (packing.bits,)}
    said = min(both, key=lambda packing: (packing.has_kernel, packing.bits))
    return said._replace(widths=tuple(sorted(widths)))


def way(packing: Packing | None, tokens: int, device: str) -> Way:
    """What multiplies a part with so many tokens at once.

    plain: torch's own product; packed: a kernel that reads the codes as stored; expanded: some rows at a time are
    dequantized, multiplied and dropped; copied: no kernel runs it, so a dequantized copy stands for it (simulated);
    library: whatever the library that packed it has for the device.
    """
    if packing is None:
        return "plain"
    if packing.library:
        return "library"
    if not packing.has_kernel:
        return "copied"
    return "packed" if device == "cpu" and tokens <= KERNEL_ROWS else "expanded"


def _targets(step: object, tied: bool) -> tuple[Part, ...]:
    """The parts that a quantizer packs: of a tied pair, naming either names the one matrix."""
    named = set(getattr(step, "targets", ()))
    if tied and named & {"embedding", "head"}:
        named = (named - {"head"}) | {"embedding"}
    return tuple(part for part in PARTS if part in named)


def _packing(step: object) -> Packing:
    known = {
        name: getattr(step, name) for name in ("bits", "group_size", "symmetric", "library") if hasattr(step, name)
    }
    return Packing(**known)
