"""What articles say of compression, what the papers say, and what the measured results of one model say of it.

Each claim is held to rows of one comparison; where none of the needed kind was measured, that is the verdict.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from engine import quantities
from engine.analysis import words
from engine.analysis.front import flattered, is_dense, telling_score
from engine.analysis.ladder import BROKEN, CLOSE, FP32, GOALS
from engine.outcome.row import Row
from engine.spec import Settings, parse

Verdict = Literal["holds", "holds in part", "does not hold", "not measured"]
SHAPES: dict[Verdict, str] = {"holds": "●", "holds in part": "◐", "does not hold": "○", "not measured": "–"}
_FASTER = 1.03  # times the original's speed: less is no difference
_NEARLY = 0.95  # of what a claim says
_DISTILBERT, _BERT = 66, 110  # million parameters


class Finding(NamedTuple):
    """What the results say of a claim, in sentences."""

    verdict: Verdict
    measured: str


@dataclass(frozen=True)
class Claim:
    """A sentence that one reads, what the papers behind it say, and how results are held to it."""

    said: str
    papers: str
    source: str
    test: Callable[[Sequence[Row], Row], Finding]
    recipes: tuple[str, ...] = ()  # what would have to be measured


class Tested(NamedTuple):
    claim: Claim
    finding: Finding


def tested(rows: Sequence[Row], dense: Row) -> list[Tested]:
    """Every claim, held to the finished results among rows that no grid flatters; dense: their original."""
    sound = [row for row in rows if row.has_result and not is_dense(row) and not flattered(row)]
    return [Tested(claim, claim.test(sound, dense)) for claim in CLAIMS]


def _half_is_half(rows: Sequence[Row], dense: Row) -> Finding:
    found = max(
        _of_one_step(rows, "magnitude"), key=lambda pair: getattr(pair[1], "sparsity", None) or 0.0, default=None
    )
    if found is None or not (said := words.zeros(found[0], dense)):
        return _NOTHING
    ratio = _ratio(found[0], dense)
    now, before = (quantities.format_value("weight_bytes", row.value("weight_bytes")) for row in (found[0], dense))
    measured = f"{words.short_label(found[0])}: {now}, was {before}. {said}"
    return Finding("holds" if ratio >= 2 * _NEARLY else "does not hold", measured)


def _four_times(rows: Sequence[Row], dense: Row) -> Finding:
    row = _four_bit(rows)
    whole, embedding = dense.value("weight_bytes"), dense.value("embedding_bytes")
    if row is None or not whole:
        return _NOTHING
    share = (
        f" The embedding stays in bf16, and it is {100 * embedding / whole:.0f}% of the original." if embedding else ""
    )
    return Finding(
        "holds" if _ratio(row, dense) >= 4 * _NEARLY else "does not hold",
        f"{row.label}: {words.size(row, dense)}{share}",
    )


def _free(rows: Sequence[Row], dense: Row) -> Finding:
    row = _four_bit(rows)
    share = row.value("top1_agreement") if row else None
    if row is None or share is None:
        return _NOTHING
    verdict: Verdict = "holds" if share >= CLOSE else "holds in part" if share >= BROKEN else "does not hold"
    return Finding(verdict, f"{row.label}. {_cost(row, dense)}")


def _faster(rows: Sequence[Row], dense: Row) -> Finding:
    timed = [
        row
        for row, step in sorted(_of_one_step(rows, "rtn"), key=lambda pair: -getattr(pair[1], "bits", 0))
        if not row.simulated and row.value("decode_speedup") and row.value("prefill_speedup")
    ]
    if not timed:
        return _NOTHING
    ratios = [row.value(name) or 0.0 for row in timed for name in ("decode_speedup", "prefill_speedup")]
    faster = sum(ratio > _FASTER for ratio in ratios)
    verdict: Verdict = "holds" if faster == len(ratios) else "holds in part" if faster else "does not hold"
    said = [
        f"{row.label}: {quantities.times(row.value('decode_speedup') or 0.0)} the original's speed for a word, "
        f"{quantities.times(row.value('prefill_speedup') or 0.0)} for a prompt."
        for row in timed[:2]
    ]
    return Finding(verdict, " ".join(said))


def _sets_to_zero(rows: Sequence[Row], dense: Row) -> Finding:
    found = max(_of_one_step(rows, "slicegpt"), key=lambda pair: getattr(pair[1], "fraction", 0.0), default=None)
    before = dense.value("parameters")
    left, nonzero = (found[0].value(name) if found else None for name in ("parameters", "nonzero_parameters"))
    if found is None or before is None or left is None or nonzero is None:
        return _NOTHING
    zeros = "none of them zero" if nonzero == left else f"{100 * (1 - nonzero / left):.1f}% of them zero"
    counts = [quantities.format_value("parameters", count) for count in (left, before)]
    verdict: Verdict = "does not hold" if left < before and nonzero > _NEARLY * left else "holds"
    return Finding(verdict, f"{words.short_label(found[0])}: {counts[0]} numbers instead of {counts[1]}, {zeros}.")


def _nobody_notices(rows: Sequence[Row], dense: Row) -> Finding:
    found = max(_of_one_step(rows, "layers"), key=lambda pair: getattr(pair[1], "count", 0), default=None)
    share = found[0].value("top1_agreement") if found else None
    if found is None or share is None:
        return _NOTHING
    measured = f"{words.short_label(found[0])}. {_cost(found[0], dense)}"
    return Finding("holds" if share >= CLOSE else "does not hold", measured)


def _sixty_percent(rows: Sequence[Row], dense: Row) -> Finding:
    fewer = 100 * (1 - _DISTILBERT / _BERT)
    return Finding(
        "does not hold",
        f"By the paper's own counts {_DISTILBERT} of {_BERT} million numbers are left, {fewer:.0f}% fewer. Nothing of "
        "ours: distillation is not offered here yet.",
    )


def _ten_times(rows: Sequence[Row], dense: Row) -> Finding:
    row = min(rows, key=lambda row: row.value("weight_bytes") or float("inf"), default=None)
    if row is None or not row.value("weight_bytes"):
        return _NOTHING
    ratio, goal = _ratio(row, dense), GOALS[-1]
    verdict: Verdict = "holds" if ratio >= goal else "holds in part" if FP32 * ratio >= goal else "does not hold"
    return Finding(
        verdict,
        f"The smallest measured, {words.short_label(row)}: {quantities.times(ratio)} against bf16, "
        f"{quantities.times(FP32 * ratio)} against fp32.",
    )


CLAIMS = (
    Claim(
        "Set half of the weights to zero, and the model is half the size.",
        "Wanda reports perplexity at 50% zeros; a speed only for the 2:4 pattern, on hardware made for it.",
        "Sun et al. 2023, arXiv:2306.11695",
        _half_is_half,
        ("prune:magnitude,sparsity=0.5",),
    ),
    Claim(
        "4 bits instead of 16: four times smaller.",
        "GPTQ quantizes the blocks' linears. In a model of 175 billion weights these are nearly everything; in a small "
        "one with a large vocabulary they are not.",
        "Frantar et al. 2022, arXiv:2210.17323",
        _four_times,
        ("quantize:rtn,bits=4",),
    ),
    Claim(
        "4 bits cost nothing.",
        "Llama-2-7B, perplexity 5.47: 5.73 rounded to nearest, 5.60 with AWQ. Larger models lose less.",
        "Lin et al. 2023, arXiv:2306.00978",
        _free,
        ("quantize:rtn,bits=4",),
    ),
    Claim(
        "Quantized models are faster.",
        "GPTQ: 3.25x a word against FP16 on one A100, with a kernel of its own and a model that waits for the memory.",
        "Frantar et al. 2022, arXiv:2210.17323",
        _faster,
        ("quantize:rtn,bits=8", "quantize:rtn,bits=4"),
    ),
    Claim(
        "SliceGPT sets the least important weights to zero.",
        "It turns the model and deletes whole rows and columns: the matrices get narrower, and stay dense.",
        "Ashkboos et al. 2024, arXiv:2401.15024",
        _sets_to_zero,
        ("slice:slicegpt,fraction=0.2",),
    ),
    Claim(
        "A fifth of the layers can go, and nobody notices.",
        "ShortGPT without 27% of Llama-2-7B's layers: multiple choice (MMLU) 45.4 to 44.0, but summaries (XSum) 19.4 "
        "to 0.7.",
        "Men et al. 2024, arXiv:2403.03853",
        _nobody_notices,
        ("prune:layers,count=6",),
    ),
    Claim(
        "DistilBERT is 60% smaller than BERT.",
        "It is 40% smaller and 60% faster, and keeps 97% of BERT's score on GLUE.",
        "Sanh et al. 2019, arXiv:1910.01108",
        _sixty_percent,
    ),
    Claim(
        "Ten times smaller.",
        "Ask against what: ten times against fp32 is five times against bf16, which models are released in.",
        "arithmetic: 32 and 16 bits a number",
        _ten_times,
        ("quantize:rtn,bits=2",),
    ),
)
_NOTHING = Finding("not measured", "No result of this kind has been measured yet.")


def _of_one_step(rows: Iterable[Row], method: str) -> list[tuple[Row, Settings]]:
    """The results of one step of a method, each with its step."""
    found = [(row, parse(row.recipe).steps) for row in rows]
    return [(row, steps[0]) for row, steps in found if len(steps) == 1 and steps[0].method == method]


def _four_bit(rows: Sequence[Row]) -> Row | None:
    """The best result with 4-bit linears and all else as it was."""
    found = [
        row
        for row, step in _of_one_step(rows, "rtn")
        if getattr(step, "bits", 0) == 4 and getattr(step, "targets", ()) == ("linears",)
    ]
    return max(found, key=lambda row: row.value("top1_agreement") or 0.0, default=None)


def _ratio(row: Row, dense: Row) -> float:
    return (dense.value("weight_bytes") or 0.0) / (row.value("weight_bytes") or float("inf"))


def _cost(row: Row, dense: Row) -> str:
    """What a result lost, in sentences."""
    lost = words.change(row, telling_score(dense))
    said = f"Accuracy {lost}." if lost and not lost.endswith(".") else lost
    return " ".join(filter(None, [said, words.same_next_word(row), words.perplexity(row, dense)]))
