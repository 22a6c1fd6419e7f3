"""How each part of a compressed model is stored, and what multiplies it; from its recipe, without torch.

Parts are those that a quantizer's `targets` name. A part that no step packed is stored in bf16 and runs in the number
format that was timed as the faster one.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from engine.spec import Recipe
from engine.spec.prune import Zeros
from engine.spec.quantize import PER_CHANNEL
from engine.spec.recipe import named_blocks

Part = Literal["linears", "embedding", "head"]
PARTS: tuple[Part, ...] = ("linears", "embedding", "head")
Way = Literal["plain", "packed", "expanded", "copied", "library"]

KERNEL_BITS = (8, 4)
KERNEL_ROWS = 32  # tokens at once up to which the kernel beats expanding; 32 to 60 by format and size, in groups of 64
STORED_BITS = 16  # of a part that no step packed
EXPANDED = "expanded_dtype"  # the fact of a trial on a CPU that says in what many bf16 tokens are multiplied
ZEROS_KERNEL = "zeros_kernel"  # the fact of a timing that says what left zeros out; empty where nothing did


class Packing(NamedTuple):
    """How a part is packed; library: what packed and runs it, where that is not ours.

    widths: the bits of its layers, where a recipe packs them differently or leaves some as they are; the rest is then
    said of those that no kernel runs, or else of those with the fewest bits.
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
    """The packed parts of a model, and whether its embedding and its head are one matrix, which counts as embedding.

    plain_zeros: whether some step zeroes weights of linears that are not packed; zeros_kernel: what leaves those out of
    memory and of the arithmetic where the linears run in bf16, 2:4 on a GPU that is; empty where nothing does.
    """

    packed: Mapping[Part, Packing]
    tied: bool
    plain_zeros: bool = False
    zeros_kernel: str = ""

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
    packed: dict[Part, Packing] = {}  # tables
    count = max((block for step in recipe.steps for block in named_blocks(step)), default=-1) + 2
    layers: list[Packing | None] = [None] * count  # by block: those that are named, and one for all others
    zeroed: set[int] = set()
    for place, step in enumerate(recipe.steps):
        blocks = named_blocks(recipe.step_on(place, count)) or range(count)
        packed = {part: packing for part, packing in packed.items() if part not in step.unpacks}
        packs = _targets(step, tied)
        if "linears" in packs or "linears" in step.unpacks:
            for block in blocks:
                layers[block] = _packing(step) if packs else None
        packed |= {part: _packing(step) for part in packs if part != "linears"}
        if isinstance(step, Zeros):
            zeroed.update(blocks)
        if step.family == "slice":
            zeroed.clear()
            tied = tied and getattr(step, "head", "tied") == "tied"
    linears = _together(layers)
    plain_zeros = any(layers[block] is None for block in zeroed)
    return Formats({"linears": linears, **packed} if linears else packed, tied, plain_zeros)


def _together(layers: Sequence[Packing | None]) -> Packing | None:
    """How the linears are packed, of layers that may differ; None where no layer is."""
    found = dict.fromkeys(layers)
    packed = [packing for packing in found if packing is not None]
    if len(found) < 2 or not packed:
        return packed[0] if packed else None
    said = min(packed, key=lambda packing: (packing.has_kernel, packing.bits))
    widths = {STORED_BITS if packing is None else packing.bits for packing in found}
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
