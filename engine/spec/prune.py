"""Settings of the pruners."""

import re
from dataclasses import dataclass
from typing import ClassVar

from engine.errors import InputError
from engine.spec.quantize import LLAMA_LIKE
from engine.spec.setting import Range, Settings, setting, write


@dataclass(frozen=True)
class Magnitude(Settings):
    """Zero the weights of smallest magnitude."""

    family: ClassVar[str] = "prune"
    method: ClassVar[str] = "magnitude"
    label: ClassVar[str] = "magnitude"
    summary: ClassVar[str] = "Sets the smallest weights to zero, scattered or in an N:M pattern; no data needed."
    paper: ClassVar[str] = "Han et al. 2015, arXiv:1506.02626"
    real: ClassVar[str] = "the zeros; dense kernels still store and multiply them, so neither bytes nor time fall"
    families: ClassVar[tuple[str, ...]] = LLAMA_LIKE
    starter: ClassVar[bool] = True

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
    scope: str = setting(
        "layer",
        "Compare magnitudes within each linear, or over the whole model at once.",
        kind=str,
        range=Range(choices=("layer", "global")),
    )

    def check_together(self) -> None:
        shape = self.pattern_shape
        if shape is None:
            if self.sparsity is None:
                object.__setattr__(self, "sparsity", 0.5)
            return
        kept, size = shape
        if self.scope == "global":
            raise InputError(f"scope=global contradicts pattern={self.pattern}: N:M is decided within each {size}")
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
        if self.pattern is not None:
            return f"{self.pattern} zeros by magnitude"
        where = " over the whole model" if self.scope == "global" else ""
        return f"{100 * (self.sparsity or 0):g}% zeros by magnitude{where}"


@dataclass(frozen=True)
class Layers(Settings):
    """Remove the whole blocks that change their input least."""

    family: ClassVar[str] = "prune"
    method: ClassVar[str] = "layers"
    label: ClassVar[str] = "whole layers"
    summary: ClassVar[str] = (
        "Removes the blocks whose output differs least in angle from their input: a shallower model."
    )
    paper: ClassVar[str] = "ShortGPT (Men et al. 2024, arXiv:2403.03853); Gromov et al. 2024, arXiv:2403.17887"
    real: ClassVar[str] = "smaller and faster on any kernel"
    calibrated: ClassVar[bool] = True
    families: ClassVar[tuple[str, ...]] = LLAMA_LIKE
    starter: ClassVar[bool] = True

    count: int = setting(
        3, "How many blocks to remove.", kind=int, range=Range(0, 1000), shown=True, sweep=(1, 2, 3, 6, 9, 12)
    )

    def describe(self) -> str:
        return f"{self.count} layers removed" if self.count != 1 else "1 layer removed"
