"""How much a model's loss rises where one of its blocks alone is compressed, by block and by way to compress it.

Measured on request (`python -m engine run dense --only sensitivity`), kept as a profile of the dense trial, and read
without torch.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.errors import InputError
from engine.spec import Recipe

NAME = "sensitivity"  # of the measure, and of the profile that it leaves

ALONE = "sensitivity is measured by itself and of the original model: run dense --only sensitivity"

WINDOWS, TOKENS, POSITIONS = 4, 256, 128  # of text; positions of a window where models are compared, evenly spread

Kind = Literal["bits", "sparsity", "slice"]
WAYS: tuple[tuple[Kind, float], ...] = (
    *(("bits", bits) for bits in (8, 4, 3, 2)),
    *(("sparsity", share) for share in (0.3, 0.5, 0.7)),
    *(("slice", share) for share in (0.1, 0.2, 0.3)),  # of the directions that a block reads and writes
)


@dataclass(frozen=True)
class Way:
    """One way to compress a block alone, and what that did in each block.

    amount: bits, or the share of zeros or of directions cut off; loss: KL to the dense model in nats a token, None
    where the numbers overflow; block_bytes: of the block's linears as they are then stored, empty unless quantized.
    """

    kind: Kind
    amount: float
    loss: tuple[float | None, ...]
    block_bytes: tuple[int, ...]

    @property
    def label(self) -> str:
        """ "4 bits", "30% zeros", "10% sliced"."""
        if self.kind == "bits":
            return f"{self.amount:g} bits"
        return f"{100 * self.amount:g}% {'zeros' if self.kind == 'sparsity' else 'sliced'}"


@dataclass(frozen=True)
class Sensitivity:
    """Every way that was tried, and what a prediction needs besides.

    dense_bytes: of each block's linears in bf16; other_bytes: of everything else; group_size: of the quantized ways,
    which round to nearest on symmetric grids; windows, tokens, positions: the text, its windows' length, and at how
    many places in all the models were compared.
    """

    ways: tuple[Way, ...]
    dense_bytes: tuple[int, ...]
    other_bytes: int
    group_size: int
    windows: int
    tokens: int
    positions: int

    @property
    def blocks(self) -> int:
        return len(self.dense_bytes)

    @property
    def bits(self) -> dict[int, Way]:
        """The quantized ways by their bits, the most first."""
        return {int(way.amount): way for way in self.ways if way.kind == "bits"}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Sensitivity":
        """What `to_dict` wrote, lists where JSON made them of tuples."""
        ways = tuple(
            Way(way["kind"], way["amount"], tuple(way["loss"]), tuple(way["block_bytes"])) for way in values["ways"]
        )
        return Sensitivity(**{**values, "ways": ways, "dense_bytes": tuple(values["dense_bytes"])})


def refuse_beside(measures: Collection[str], recipe: Recipe) -> None:
    """Raise InputError where sensitivity is asked of a compressed model, or beside another measure."""
    if NAME in measures and (recipe.steps or len(measures) > 1):
        raise InputError(ALONE)
