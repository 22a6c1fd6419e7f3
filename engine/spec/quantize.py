"""Settings of the quantizers."""

from dataclasses import dataclass
from typing import ClassVar

from engine.spec.setting import Range, Settings, setting

LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3")
TARGETS = ("linears", "embedding", "head")
PER_CHANNEL = -1


@dataclass(frozen=True)
class Rtn(Settings):
    """Round to nearest: every weight goes to the closest point of its group's grid."""

    family: ClassVar[str] = "quantize"
    method: ClassVar[str] = "rtn"
    label: ClassVar[str] = "round to nearest"
    summary: ClassVar[str] = "Weights to b bits, each rounded to the nearest point of its group's grid; no data needed."
    paper: ClassVar[str] = "baseline of GPTQ (Frantar et al. 2022, arXiv:2210.17323)"
    real: ClassVar[str] = "bytes at every width; 8 and 4 bits run packed, other widths run simulated"
    families: ClassVar[tuple[str, ...]] = LLAMA_LIKE

    bits: int = setting(4, "Bits for each weight.", kind=int, range=Range(2, 8), shown=True, sweep=(8, 6, 5, 4, 3, 2))
    group_size: int = setting(
        64,
        "Weights that share one scale; -1 gives each output channel one scale.",
        kind=int,
        range=Range(8, 4096, extra=(PER_CHANNEL,)),
        shown=True,
        sweep=(PER_CHANNEL, 32, 64, 192),
    )
    symmetric: bool = setting(
        True, "Centre the grid on zero (no zero point to store); otherwise fit it to each group's range.", kind=bool
    )
    targets: tuple[str, ...] = setting(
        ("linears",),
        "What to quantize: the blocks' linears, the embedding, the head. A tied embedding and head are one matrix.",
        kind=str,
        range=Range(choices=TARGETS),
        many=True,
    )

    def describe(self) -> str:
        grain = "one scale a channel" if self.group_size == PER_CHANNEL else f"groups of {self.group_size}"
        grid = "" if self.symmetric else ", asymmetric"
        where = "" if self.targets == ("linears",) else f" ({', '.join(self.targets)})"
        return f"{self.bits}-bit, round to nearest, {grain}{grid}{where}"
