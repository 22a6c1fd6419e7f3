"""Settings of the slicers."""

from dataclasses import dataclass
from typing import ClassVar

from engine.layouts import Layout
from engine.spec.quantize import TARGETS
from engine.spec.setting import Range, Settings, setting


@dataclass(frozen=True)
class SliceGpt(Settings):
    """Rotate the residual stream onto its principal axes and delete the least of them."""

    family: ClassVar[str] = "slice"
    method: ClassVar[str] = "slicegpt"
    label: ClassVar[str] = "SliceGPT"
    summary: ClassVar[str] = (
        "Rotates the model onto its principal directions, then deletes the least: narrower matrices."
    )
    paper: ClassVar[str] = (
        "SliceGPT (Ashkboos et al. 2024, arXiv:2401.15024), in a form with one rotation for the model"
    )
    real: ClassVar[str] = "smaller and faster on any kernel"
    calibrated: ClassVar[bool] = True
    unpacks: ClassVar[tuple[str, ...]] = TARGETS
    rewrites: ClassVar[str] = "slicing writes every weight along turned axes"
    starter: ClassVar[bool] = True

    fraction: float = setting(
        0.2,
        "Share of the hidden width to delete; what is left is rounded down to a multiple of 8.",
        kind=float,
        range=Range(0.0, below=1.0),
        shown=True,
        sweep=(0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    )
    head: str = setting(
        "tied",
        "tied shares the sliced embedding with the head through one small matrix; untied stores a head of its own.",
        kind=str,
        range=Range(choices=("tied", "untied")),
    )

    @classmethod
    def unfit(cls, layout: Layout) -> str:
        return layout.no_rotation

    def describe(self) -> str:
        untied = ", untied head" if self.head == "untied" else ""
        return f"{100 * self.fraction:g}% of the width sliced{untied}"

    def width(self, hidden_size: int) -> int:
        """The sliced width: int((1 - fraction) * hidden_size) rounded down to a multiple of 8; all of it at 0."""
        return hidden_size if self.fraction == 0 else int((1 - self.fraction) * hidden_size) // 8 * 8
