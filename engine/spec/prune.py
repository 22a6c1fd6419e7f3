"""Settings of the pruners."""

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.errors import InputError
from engine.spec.quantize import blocks, damping, of_dense, statistics
from engine.spec.setting import Range, Settings, setting, write

IMPORTANCE = {
    "magnitude": "by magnitude",
    "activation": "by activation",
    "wanda": "by Wanda's rule",
    "taylor": "by first-order Taylor",
}
_DEFAULT_IMPORTANCE = "activation"
ANGLE = "angle"  # how far a block's output turns from its input: of blocks alone
_MOST_ROUNDS = 32


def _importance() -> Any:
    return setting(
        _DEFAULT_IMPORTANCE,
        "What counts: magnitude, the norm of the weights that carry it on; activation, the norm of what it gives over "
        "the calibration text; wanda, both multiplied; taylor, how the loss changes without it, to first order.",
        kind=str,
        range=Range(choices=tuple(IMPORTANCE)),
        sweep=tuple(IMPORTANCE),
    )


def _rounds(later: bool = False) -> Any:
    return setting(
        1,
        "Rounds in which the target is reached, in equal shares; importance is measured again before each.",
        kind=int,
        range=Range(1, _MOST_ROUNDS),
        later=later,
    )


def _importance_passes(importance: str, rounds: int) -> float:
    """Forward passes that measuring importance takes; a backward pass counts as the two that it costs."""
    return rounds * {"magnitude": 0.0, "taylor": 4.0}.get(importance, 1.5)


def _manner(importance: str, rounds: int) -> str:
    """How units are chosen, for `describe`: what differs from the defaults."""
    by = "" if importance == _DEFAULT_IMPORTANCE else f" {IMPORTANCE[importance]}"
    return f"{by}{_in_rounds(rounds)}"


def _in_rounds(rounds: int) -> str:
    return f" in {rounds} rounds" if rounds > 1 else ""


def _nearest(value: float) -> int:
    """The nearest whole number, halves upwards."""
    return math.floor(value + 0.5)


@dataclass(frozen=True)
class Zeros(Settings):
    """What the pruners share that zero single weights: how many, scattered or in an N:M pattern."""

    family: ClassVar[str] = "prune"
    real: ClassVar[str] = (
        "the file, which leaves zeros out; dense kernels hold and multiply them: time and memory stay, but for 2:4 on "
        "GPUs with kernels for it"
    )
    version: ClassVar[int] = 2  # 1 stored zeros like any number
    by: ClassVar[str]  # "by magnitude"

    sparsity: float | None = setting(
        None,
        "Share of the linears' weights to zero; 0.5 unless a pattern is given.",
        kind=float,
        range=Range(0.0, below=1.0),
        shown=True,
        sweep=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    )
    pattern: str | None = setting(
        None, "N:M keeps N of every M neighbouring weights, such as 2:4.", kind=str, shown=True, sweep=("2:4", "4:8")
    )
    blocks: tuple[int, ...] | None = blocks()

    def check_together(self) -> None:
        shape = self.pattern_shape
        if shape is None:
            if self.sparsity is None:
                object.__setattr__(self, "sparsity", 0.5)
            return
        kept, size = shape
        if self.sparsity is not None and abs(self.sparsity - (1 - kept / size)) > 1e-9:
            raise InputError(
                f"sparsity={write(self.sparsity)} contradicts pattern={self.pattern}, which zeroes {1 - kept / size:g}"
            )
        object.__setattr__(self, "sparsity", None)

    @property
    def pattern_shape(self) -> tuple[int, int] | None:
        """(N, M) of the pattern, or None when scattered; raises InputError on a pattern that is none."""
        if self.pattern is None:
            return None
        match = re.fullmatch(r"(\d+):(\d+)", self.pattern)
        kept, size = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= kept < size <= 64:
            raise InputError(f"pattern must be N:M with 1 <= N < M <= 64, such as 2:4, got {self.pattern!r}")
        return kept, size

    def describe(self) -> str:
        amount = self.pattern if self.pattern is not None else f"{100 * (self.sparsity or 0):g}%"
        return f"{amount} zeros {self.by}"


@dataclass(frozen=True)
class Magnitude(Zeros):
    """Zero the weights of smallest magnitude."""

    method: ClassVar[str] = "magnitude"
    starter: ClassVar[bool] = True
    label: ClassVar[str] = "magnitude"
    by: ClassVar[str] = "by magnitude"
    summary: ClassVar[str] = "Sets the smallest weights to zero, scattered or in an N:M pattern; no data needed."
    paper: ClassVar[str] = "Han et al. 2015, arXiv:1506.02626"

    scope: str = setting(
        "layer",
        "Compare magnitudes within each linear, or over the whole model at once.",
        kind=str,
        range=Range(choices=("layer", "global")),
    )

    def check_together(self) -> None:
        if self.scope == "global" and self.pattern_shape is not None:
            size = self.pattern_shape[1]
            raise InputError(f"scope=global contradicts pattern={self.pattern}: N:M is decided within each {size}")
        super().check_together()

    def describe(self) -> str:
        return super().describe() + (" over the whole model" if self.scope == "global" else "")


@dataclass(frozen=True)
class Wanda(Zeros):
    """Zero, in every output row, the weights of smallest magnitude times the norm of what they multiply."""

    method: ClassVar[str] = "wanda"
    label: ClassVar[str] = "Wanda"
    by: ClassVar[str] = "by Wanda"
    summary: ClassVar[str] = (
        "Sets to zero, in each output, the weights whose magnitude times the size of their input is smallest."
    )
    paper: ClassVar[str] = "Wanda (Sun et al. 2023, arXiv:2306.11695)"
    calibrated: ClassVar[bool] = True

    @property
    def calibration_passes(self) -> float:
        return 1.4


@dataclass(frozen=True)
class SparseGpt(Zeros):
    """Zero the weights whose loss costs least, the others making up for it."""

    method: ClassVar[str] = "sparsegpt"
    label: ClassVar[str] = "SparseGPT"
    by: ClassVar[str] = "by SparseGPT"
    summary: ClassVar[str] = (
        "Sets to zero the weights that cost least, one input after another; the weights still to come make up for it."
    )
    paper: ClassVar[str] = "SparseGPT (Frantar and Alistarh 2023, arXiv:2301.00774)"
    calibrated: ClassVar[bool] = True
    unpacks: ClassVar[tuple[str, ...]] = ("linears",)

    damping: float = damping()
    statistics: str = statistics()

    @property
    def calibration_passes(self) -> float:
        return 1.9

    def describe(self) -> str:
        return super().describe() + of_dense(self.statistics)


class Removal(Settings):
    """What is true of every pruner that takes whole units out of the model."""

    family: ClassVar[str] = "prune"
    real: ClassVar[str] = "smaller and faster on any kernel"
    calibrated: ClassVar[bool] = True


@dataclass(frozen=True)
class Neurons(Removal):
    """Remove the neurons of every block's MLP that count least."""

    method: ClassVar[str] = "neurons"
    label: ClassVar[str] = "neurons"
    summary: ClassVar[str] = (
        "Removes the MLP neurons that count least, equally many from every block: a narrower model."
    )
    paper: ClassVar[str] = (
        "Minitron (Muralidharan et al. 2024, arXiv:2407.14679); LLM-Pruner (Ma et al. 2023, arXiv:2305.11627); "
        "Wanda (Sun et al. 2023, arXiv:2306.11695)"
    )

    fraction: float = setting(
        0.2,
        "Share of every block's neurons to remove.",
        kind=float,
        range=Range(0.0, below=1.0),
        shown=True,
        sweep=(0.1, 0.2, 0.3, 0.4),
    )
    importance: str = _importance()
    multiple: int = setting(
        64,
        "The neurons left are the nearest multiple of this, so that kernels and the groups of a later quantization "
        "divide them.",
        kind=int,
        range=Range(1, 4096),
    )
    rounds: int = _rounds()

    def describe(self) -> str:
        return f"{100 * self.fraction:g}% of the neurons removed{_manner(self.importance, self.rounds)}"

    @property
    def calibration_passes(self) -> float:
        return _importance_passes(self.importance, self.rounds)

    def width(self, intermediate: int) -> int:
        """The neurons left of a block's: the multiple nearest to (1 - fraction) of them; all of them at 0."""
        if self.fraction == 0:
            return intermediate
        return min(intermediate, _nearest((1 - self.fraction) * intermediate / self.multiple) * self.multiple)


@dataclass(frozen=True)
class Heads(Removal):
    """Remove the attention heads of every block that count least."""

    method: ClassVar[str] = "heads"
    label: ClassVar[str] = "attention heads"
    summary: ClassVar[str] = "Removes the attention heads that count least, equally many from every block."
    paper: ClassVar[str] = (
        "Michel et al. 2019, arXiv:1905.10650; Minitron (Muralidharan et al. 2024, arXiv:2407.14679); "
        "LLM-Pruner (Ma et al. 2023, arXiv:2305.11627)"
    )
    real: ClassVar[str] = "smaller and faster on any kernel; unit=groups shrinks the KV cache too"

    fraction: float = setting(
        0.25,
        "Share of every block's heads to remove, to the nearest whole unit.",
        kind=float,
        range=Range(0.0, below=1.0),
        shown=True,
        sweep=(0.25, 0.5),
    )
    unit: str = setting(
        "groups",
        "groups removes key and value heads with all query heads that read them; queries removes equally many query "
        "heads from each of these groups.",
        kind=str,
        range=Range(choices=("groups", "queries")),
    )
    importance: str = _importance()
    rounds: int = _rounds()

    def describe(self) -> str:
        which = "query heads" if self.unit == "queries" else "heads"
        return f"{100 * self.fraction:g}% of the {which} removed{_manner(self.importance, self.rounds)}"

    @property
    def calibration_passes(self) -> float:
        return _importance_passes(self.importance, self.rounds)

    def left(self, heads: int, kv_heads: int) -> tuple[int, int]:
        """(query heads, key and value heads) left of a block's: a standard configuration has groups of one size."""
        group = heads // kv_heads
        if self.unit == "groups":
            kv_left = kv_heads - _nearest(self.fraction * kv_heads)
            return kv_left * group, kv_left
        return kv_heads * (group - _nearest(self.fraction * group)), kv_heads


@dataclass(frozen=True)
class Layers(Removal):
    """Remove the whole blocks that count least."""

    method: ClassVar[str] = "layers"
    label: ClassVar[str] = "whole layers"
    summary: ClassVar[str] = (
        "Removes the blocks that count least, by default those whose output differs least in angle from their input: "
        "a shallower model."
    )
    paper: ClassVar[str] = (
        "ShortGPT (Men et al. 2024, arXiv:2403.03853); Gromov et al. 2024, arXiv:2403.17887; "
        "Shortened LLaMA (Kim et al. 2024, arXiv:2402.02834)"
    )
    starter: ClassVar[bool] = True

    count: int = setting(
        3, "How many blocks to remove.", kind=int, range=Range(0, 1000), shown=True, sweep=(1, 2, 3, 6, 9, 12)
    )
    rounds: int = _rounds(later=True)
    importance: str = setting(
        ANGLE,
        "What counts: angle, how far the output turns from the input; magnitude, the norm of the weights that write "
        "to the stream; activation, the norm of what the block adds to it over the calibration text; wanda, the norm "
        "of these weights times that of what they read; taylor, how the loss changes without the block, to first "
        "order. On the default model angle costs least; magnitude and wanda take first layers, which ruins it.",
        kind=str,
        range=Range(choices=(ANGLE, *IMPORTANCE)),
        sweep=(ANGLE, *IMPORTANCE),
        later=True,
    )

    def check_together(self) -> None:
        if self.rounds > max(self.count, 1):
            raise InputError(f"rounds must be at most count={self.count}, one block a round, got {self.rounds}")

    def describe(self) -> str:
        layers = "1 layer" if self.count == 1 else f"{self.count} layers"
        by = "" if self.importance == ANGLE else f" {IMPORTANCE[self.importance]}"
        return f"{layers} removed{by}{_in_rounds(self.rounds)}"

    @property
    def calibration_passes(self) -> float:
        return _importance_passes(self.importance, self.rounds)
