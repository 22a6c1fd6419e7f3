"""Settings of the quantizers."""

from dataclasses import dataclass
from typing import Any, ClassVar

from engine.errors import InputError
from engine.spec.setting import Range, Settings, setting, write

TARGETS = ("linears", "embedding", "head")
PER_CHANNEL = -1


def _bits() -> Any:
    return setting(4, "Bits for each weight.", kind=int, range=Range(2, 8), shown=True, sweep=(8, 6, 5, 4, 3, 2))


def _group_size() -> Any:
    return setting(
        64,
        "Weights that share one scale; -1 gives each output channel one scale.",
        kind=int,
        range=Range(8, 4096, extra=(PER_CHANNEL,)),
        shown=True,
        sweep=(PER_CHANNEL, 32, 64, 192),
    )


def _symmetric() -> Any:
    return setting(
        True, "Centre the grid on zero (no zero point to store); otherwise fit it to each group's range.", kind=bool
    )


def _targets() -> Any:
    return setting(
        ("linears",),
        "What to quantize: the blocks' linears, the embedding, the head. A tied embedding and head are one matrix.",
        kind=str,
        range=Range(choices=TARGETS),
        many=True,
    )


def damping() -> Any:
    return setting(
        0.01,
        "Added to the diagonal of the Hessian, as a share of its mean; more trusts the calibration text less.",
        kind=float,
        range=Range(0.0001, 1.0),
    )


def statistics() -> Any:
    return setting(
        "sequential",
        "What a layer's inputs are taken from: sequential, the blocks before it as they have become; dense, the model "
        "before this step, run once and kept for other settings. On the default model dense costs held-out perplexity: "
        "27.0 instead of 26.3 for GPTQ at 4 bits, 45.0 instead of 40.2 at 3, 44.8 instead of 42.9 for SparseGPT, half "
        "zeros.",
        kind=str,
        range=Range(choices=("sequential", "dense")),
        later=True,
    )


def of_dense(statistics: str) -> str:
    """What `describe` says of statistics that are not the default."""
    return ", statistics of the model before it" if statistics == "dense" else ""


def blocks() -> Any:
    return setting(
        None,
        "Layers whose linears it works on, counted from 0; unless given, all that no earlier step of its family names.",
        kind=int,
        range=Range(0, 9999),
        many=True,
        later=True,
    )


class Quantizer(Settings):
    """What is true of every quantizer, or of those that pack whole numbers in groups."""

    family: ClassVar[str] = "quantize"
    real: ClassVar[str] = "bytes at every width; 8 and 4 bits run packed, other widths run simulated"


@dataclass(frozen=True)
class Rtn(Quantizer):
    """Round to nearest: every weight goes to the closest point of its group's grid."""

    method: ClassVar[str] = "rtn"
    label: ClassVar[str] = "round to nearest"
    summary: ClassVar[str] = "Weights to b bits, each rounded to the nearest point of its group's grid; no data needed."
    paper: ClassVar[str] = "baseline of GPTQ (Frantar et al. 2022, arXiv:2210.17323)"
    starter: ClassVar[bool] = True

    bits: int = _bits()
    group_size: int = _group_size()
    symmetric: bool = _symmetric()
    targets: tuple[str, ...] = _targets()
    blocks: tuple[int, ...] | None = blocks()

    def describe(self) -> str:
        grid = "" if self.symmetric else ", asymmetric"
        return f"{self.bits}-bit, round to nearest, {_grain(self.group_size)}{grid}{_where(self.targets)}"


@dataclass(frozen=True)
class Gptq(Quantizer):
    """GPTQ: round to nearest column by column, each error made up for in the columns that are left."""

    method: ClassVar[str] = "gptq"
    label: ClassVar[str] = "GPTQ"
    summary: ClassVar[str] = (
        "Weights to b bits, rounded one input after another; the weights still to come make up for each error."
    )
    paper: ClassVar[str] = "GPTQ (Frantar et al. 2022, arXiv:2210.17323)"
    calibrated: ClassVar[bool] = True

    bits: int = _bits()
    group_size: int = _group_size()
    symmetric: bool = _symmetric()
    act_order: bool = setting(
        True,
        "Round the inputs with the largest activations first, on grids fixed beforehand; otherwise from left to right, "
        "on grids fitted when a group is reached.",
        kind=bool,
    )
    damping: float = damping()
    statistics: str = statistics()
    targets: tuple[str, ...] = _targets()
    blocks: tuple[int, ...] | None = blocks()

    def check_together(self) -> None:
        _refuse_no_linears(self.targets, "GPTQ")

    @property
    def calibration_passes(self) -> float:
        return 1.9  # measured beside a dense forward of the same tokens, as those of the pruners

    def describe(self) -> str:
        grid = "" if self.symmetric else ", asymmetric"
        order = "" if self.act_order else ", from left to right"
        told = of_dense(self.statistics)
        return f"{self.bits}-bit, GPTQ, {_grain(self.group_size)}{grid}{order}{told}{_where(self.targets)}"


@dataclass(frozen=True)
class Awq(Quantizer):
    """AWQ: round to nearest once the inputs with large activations have been given a finer grid."""

    method: ClassVar[str] = "awq"
    label: ClassVar[str] = "AWQ"
    summary: ClassVar[str] = (
        "Weights to b bits, those of much used inputs scaled up before and their inputs down, and ranges clipped where "
        "that keeps the outputs closer."
    )
    paper: ClassVar[str] = "AWQ (Lin et al. 2023, arXiv:2306.00978)"
    rewrites: ClassVar[str] = "AWQ scales channels up in one matrix and down in the one before it"
    calibrated: ClassVar[bool] = True

    bits: int = _bits()
    group_size: int = _group_size()
    symmetric: bool = _symmetric()
    clip: bool = setting(True, "Shrink each group's range where that keeps the outputs closer.", kind=bool)
    targets: tuple[str, ...] = _targets()
    blocks: tuple[int, ...] | None = blocks()

    def check_together(self) -> None:
        _refuse_no_linears(self.targets, "AWQ")

    def describe(self) -> str:
        grid = "" if self.symmetric else ", asymmetric"
        clip = "" if self.clip else ", ranges not clipped"
        return f"{self.bits}-bit, AWQ, {_grain(self.group_size)}{grid}{clip}{_where(self.targets)}"


@dataclass(frozen=True)
class SmoothQuant(Quantizer):
    """SmoothQuant: 8-bit weights and activations, the largest activations moved into the weights first."""

    method: ClassVar[str] = "smoothquant"
    label: ClassVar[str] = "SmoothQuant"
    summary: ClassVar[str] = (
        "Weights and activations to 8 bits, the largest activations made smaller before and their weights larger."
    )
    paper: ClassVar[str] = "SmoothQuant (Xiao et al. 2022, arXiv:2211.10438)"
    rewrites: ClassVar[str] = "SmoothQuant moves factors from the activations into the weights"
    real: ClassVar[str] = (
        "bytes, memory, time and the rounding of activations; CPUs with units for it read prompts in int8"
    )
    calibrated: ClassVar[bool] = True
    bits: ClassVar[int] = 8
    group_size: ClassVar[int] = PER_CHANNEL
    symmetric: ClassVar[bool] = True
    targets: ClassVar[tuple[str, ...]] = ("linears",)

    alpha: float = setting(
        0.5,
        "How much of the activations' size moves into the weights: 0 none, 1 all of it.",
        kind=float,
        range=Range(0.0, 1.0),
        shown=True,
        sweep=(0.25, 0.5, 0.75),
    )
    blocks: tuple[int, ...] | None = blocks()

    def describe(self) -> str:
        return f"8-bit weights and activations, SmoothQuant at {self.alpha:g}"


@dataclass(frozen=True)
class Hqq(Quantizer):
    """Half-quadratic quantization: the grid of every group is fitted so that most errors become small."""

    method: ClassVar[str] = "hqq"
    label: ClassVar[str] = "half-quadratic"
    summary: ClassVar[str] = (
        "Weights to b bits, the grid of each group fitted to them, outliers counting less; no data needed."
    )
    paper: ClassVar[str] = "Badri and Shaji 2023, Half-Quadratic Quantization of Large Machine Learning Models"
    symmetric: ClassVar[bool] = False  # the grid has zero points

    bits: int = _bits()
    group_size: int = _group_size()
    norm: float = setting(
        0.7,
        "Power of the errors whose sum is kept small; below 1 a few outliers may be missed for the sake of the rest.",
        kind=float,
        range=Range(0.1, 1.0),
    )
    zero_points: str = setting(
        "whole",
        "whole keeps zero on the grid, in as many bits as a weight; fraction fits closer in 8 bits, as the paper does.",
        kind=str,
        range=Range(choices=("whole", "fraction")),
    )
    iterations: int = setting(20, "Rounds of fitting.", kind=int, range=Range(1, 100))
    fit_scales: bool = setting(
        True, "Fit the scales too; false keeps those of round to nearest, as the paper does.", kind=bool
    )
    targets: tuple[str, ...] = _targets()
    blocks: tuple[int, ...] | None = blocks()

    def check_together(self) -> None:
        if self.zero_points == "whole" and not self.fit_scales:
            raise InputError("fit_scales=false contradicts zero_points=whole: nothing is left to fit; use fraction")

    @property
    def zero_bits(self) -> int:
        """Of a stored zero point."""
        return 8 if self.zero_points == "fraction" else self.bits

    def describe(self) -> str:
        fitted = "" if self.zero_points == "whole" else ", zero points with a fraction"
        fitted += "" if self.fit_scales else ", scales kept"
        return f"{self.bits}-bit, half-quadratic, {_grain(self.group_size)}{fitted}{_where(self.targets)}"


@dataclass(frozen=True)
class Ternary(Quantizer):
    """Ternary weights: minus one, zero or one, times the scale of their group."""

    method: ClassVar[str] = "ternary"
    label: ClassVar[str] = "ternary"
    summary: ClassVar[str] = (
        "Weights to -1, 0 or 1 times their group's scale, in the least-squares sense; no data needed. Ruinous without "
        "training: a measure of what is lost, not a choice."
    )
    paper: ClassVar[str] = "Li and Liu 2016, arXiv:1605.04711"
    real: ClassVar[str] = "bytes, at 2 bits a weight of which three in four codes are used; runs simulated"
    bits: ClassVar[int] = 2  # as stored
    symmetric: ClassVar[bool] = True

    group_size: int = _group_size()
    targets: tuple[str, ...] = _targets()
    blocks: tuple[int, ...] | None = blocks()

    def describe(self) -> str:
        return f"Ternary, {_grain(self.group_size)}{_where(self.targets)}"


@dataclass(frozen=True)
class Bnb(Quantizer):
    """bitsandbytes: its LLM.int8(), nf4 and fp4."""

    method: ClassVar[str] = "bnb"
    label: ClassVar[str] = "bitsandbytes"
    summary: ClassVar[str] = "The linears packed and run by bitsandbytes: LLM.int8(), nf4 or fp4; no data needed."
    paper: ClassVar[str] = "LLM.int8(), Dettmers et al. 2022, arXiv:2208.07339; QLoRA, 2023, arXiv:2305.14314"
    real: ClassVar[str] = "bytes, memory and time, by the library's kernels; on a CPU these expand a matrix at each use"
    targets: ClassVar[tuple[str, ...]] = ("linears",)
    symmetric: ClassVar[bool] = True
    library: ClassVar[str] = "bitsandbytes"

    format: str = setting(
        "nf4",
        "int8 rounds activations too, but for outliers; nf4 has points for normal weights, fp4 those of small floats.",
        kind=str,
        range=Range(choices=("int8", "nf4", "fp4")),
        shown=True,
        sweep=("int8", "nf4", "fp4"),
    )
    block_size: int = setting(
        64,
        "Neighbours in the flattened matrix that share one scale, in nf4 and fp4; int8 has one scale a row.",
        kind=int,
        range=Range(choices=(32, 64, 128, 256, 512, 1024, 2048, 4096)),
    )
    double_quantization: bool = setting(False, "Round the scales of nf4 and fp4 to 8 bits too.", kind=bool)
    blocks: tuple[int, ...] | None = blocks()

    def check_together(self) -> None:
        if self.format != "int8":
            return
        if self.double_quantization:
            raise InputError(
                "double_quantization=true contradicts format=int8, whose scales stay in fp32; leave it out"
            )
        if self.block_size != 64:
            raise InputError(f"block_size={self.block_size} contradicts format=int8, which has one scale a row")

    @property
    def bits(self) -> int:
        """Of one stored number."""
        return 8 if self.format == "int8" else 4

    @property
    def group_size(self) -> int:
        """Weights that share one scale; blocks run on where a row ends."""
        return PER_CHANNEL if self.format == "int8" else self.block_size

    @property
    def scale_bits(self) -> int:
        """Of one scale; what scales are themselves rounded by comes to an eighth of a bit each more."""
        return 8 if self.double_quantization else 32

    def describe(self) -> str:
        double = ", scales rounded too" if self.double_quantization else ""
        return f"{self.bits}-bit, bitsandbytes {self.format}, {_grain(self.group_size)}{double}"


@dataclass(frozen=True)
class KvCache(Quantizer):
    """The KV cache in few bits: keys and values of every token, rounded by themselves."""

    method: ClassVar[str] = "kv_cache"
    label: ClassVar[str] = "KV cache"
    summary: ClassVar[str] = "Keys and values to b bits, every token's by themselves; the weights stay. No data needed."
    paper: ClassVar[str] = "FlexGen (Sheng et al. 2023, arXiv:2303.06865)"
    real: ClassVar[str] = "the accuracy, and the bytes a packed cache takes; here it runs in 16 bits, simulated"
    symmetric: ClassVar[bool] = False
    targets: ClassVar[tuple[str, ...]] = ()  # no weights

    bits: int = setting(8, "Bits for each key and value.", kind=int, range=Range(2, 8), shown=True, sweep=(8, 4))
    group_size: int = setting(
        64,
        "Neighbours within a head that share one scale and zero point; -1 gives each head one.",
        kind=int,
        range=Range(8, 4096, extra=(PER_CHANNEL,)),
        shown=True,
        sweep=(64, 32),
    )

    def describe(self) -> str:
        grain = "one scale a head" if self.group_size == PER_CHANNEL else _grain(self.group_size)
        return f"{self.bits}-bit KV cache, {grain}"


Grouped = Rtn | Hqq | Ternary  # what rounds groups of weights of the matrices that it names


def _grain(group_size: int) -> str:
    return "one scale a channel" if group_size == PER_CHANNEL else f"groups of {group_size}"


def _refuse_no_linears(targets: tuple[str, ...], label: str) -> None:
    """Raise InputError where a method whose rule is for linears is given none."""
    if "linears" not in targets:
        raise InputError(
            f"targets={write(targets)} leaves {label} nothing to do: it rounds the embedding and the head to nearest; "
            "add linears, or use quantize:rtn"
        )


def _where(targets: tuple[str, ...]) -> str:
    """What else than the linears is quantized, in brackets."""
    return "" if targets == ("linears",) else f" ({', '.join(targets)})"
