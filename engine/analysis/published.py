"""Figures that papers give of compressed models, to set beside ours on relative axes: how larger models behave.

They are never part of a front: other models, other texts and questions, another harness. Sizes are nominal: what the
setting keeps of the matrices it changes (b bits a weight with 16 more a group for the scale, the share of the width or
of the layers that is left), not bytes of a file. Of zeros, scattered or 2:4, what is left counts with a bit a weight
for where it stands, like ours.
"""

from typing import Literal, NamedTuple

Measure = Literal["perplexity", "score"]


class Published(NamedTuple):
    """One compressed model as a paper reports it.

    size_ratio: how many times smaller, nominally; value and original: its perplexity, or a score in percent, and that
    of the model it was made from; on: what was measured; source: the arXiv id of the paper that gives the figures.
    """

    model: str
    method: str
    setting: str
    size_ratio: float
    measure: Measure
    value: float
    original: float
    on: str
    source: str

    @property
    def relative(self) -> float:
        """Perplexity over the original's; or the change of the score, in percentage points."""
        return self.value / self.original if self.measure == "perplexity" else self.value - self.original


_SLICEGPT, _WANDA, _AWQ, _OMNIQUANT = "2401.15024", "2306.11695", "2306.00978", "2308.13137"
_SHORTGPT = "2403.03853"
_WIKITEXT = "WikiText-2"


def _sliced(model: str, original: float, *perplexities: float) -> list[Published]:
    """SliceGPT at 20, 25 and 30%."""
    return [
        Published(
            model, "SliceGPT", f"{percent}% of the width", 100 / (100 - percent), "perplexity", value, original,
            _WIKITEXT, _SLICEGPT,
        )
        for percent, value in zip((20, 25, 30), perplexities, strict=True)
    ]  # fmt: skip


def _pruned(method: str, half: float, two_of_four: float) -> list[Published]:
    """Half the weights of Llama-2-7B zeroed, scattered and 2:4."""
    return [
        Published(
            "Llama-2-7B", method, setting, 16 / (8 + 1), "perplexity", value, 5.12, f"{_WIKITEXT}, 4,096 tokens", _WANDA
        )
        for setting, value in (("50% zeros", half), ("2:4 zeros", two_of_four))
    ]


def _grouped(method: str, four: float, three: float) -> list[Published]:
    """The linears of Llama-2-7B in 4 and 3 bits, groups of 128."""
    return [
        Published(
            "Llama-2-7B", method, f"{bits} bits, groups of 128", 16 / (bits + 16 / 128), "perplexity", value, 5.47,
            f"{_WIKITEXT}, 2,048 tokens", _AWQ,
        )
        for bits, value in ((4, four), (3, three))
    ]  # fmt: skip


def _two_bits(method: str, value: float) -> Published:
    """The linears of Llama-2-7B in 2 bits, one scale a channel."""
    where = f"{_WIKITEXT}, 2,048 tokens"
    return Published("Llama-2-7B", method, "2 bits", 8.0, "perplexity", value, 5.47, where, _OMNIQUANT)


PUBLISHED = (
    *_sliced("OPT-125M", 27.64, 34.26, 37.74, 43.98),
    *_sliced("OPT-6.7B", 10.85, 11.48, 11.90, 12.51),
    *_sliced("Llama-2-7B", 5.47, 6.64, 7.24, 8.12),
    *_sliced("Llama-2-70B", 3.32, 4.25, 4.60, 5.05),
    *_pruned("Wanda", 6.42, 11.02),
    *_pruned("SparseGPT", 6.51, 10.17),
    *_pruned("Magnitude", 14.89, 54.59),
    *_grouped("Round to nearest", 5.73, 6.66),
    *_grouped("GPTQ", 5.69, 6.43),
    *_grouped("AWQ", 5.60, 6.24),
    _two_bits("Round to nearest", 3.8e4),
    _two_bits("GPTQ", 7.7e3),
    _two_bits("OmniQuant", 37.0),
    Published(
        "Llama-2-70B", "SliceGPT", "25% of the width", 4 / 3, "score", 73.59, 76.57, "five zero-shot tasks", _SLICEGPT
    ),
    Published(
        "Llama-2-70B", "SliceGPT + recovery", "25% of the width", 4 / 3, "score", 75.62, 76.57, "five zero-shot tasks",
        _SLICEGPT,
    ),
    Published(
        "Phi-2", "SliceGPT", "25% of the width", 4 / 3, "score", 62.52, 72.24, "five zero-shot tasks", _SLICEGPT
    ),
    Published(
        "Phi-2", "SliceGPT + recovery", "25% of the width", 4 / 3, "score", 65.24, 72.24, "five zero-shot tasks",
        _SLICEGPT,
    ),
    Published("Llama-2-7B", "ShortGPT", "27% of the layers", 100 / 73, "score", 44.0, 45.4, "MMLU", _SHORTGPT),
    Published("Llama-2-7B", "ShortGPT", "27% of the layers", 100 / 73, "score", 0.7, 19.4, "XSum", _SHORTGPT),
)  # fmt: skip
