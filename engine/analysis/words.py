"""Results in words, the same in the sentences, the hovers, the tables and the report.

Texts are plain: whoever puts them into HTML escapes them.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.analysis.budget import Fitting
from engine.analysis.front import Front, borrowed, flattered, guesses, interval, telling_score
from engine.analysis.roofline import formats_of, left_out
from engine.metrics import Metric
from engine.outcome.row import Row
from engine.quantities import NOTHING, PLUS_MINUS, byte_count, format_value, times, with_interval
from engine.spec import Protocol, parse
from engine.spec.prune import Zeros
from engine.spec.setting import Settings
from engine.stats import Interval, distinguishable

SIMULATED = "Simulated: its bytes are real, but no kernel here runs it packed, so it has no speed or memory of its own."
NO_KNEE = "No knee: quality falls evenly, or too few results differ."
ZEROS_SIMULATED = "Simulated: dense kernels hold and multiply its zeros like any number: no less memory, no faster."
DIVERGENCE = (  # e to the minus KL is the mean ratio, a geometric one, of the two models' probabilities
    "Divergence: how far the probabilities of the next word move from the original's. At 0 nothing has changed; at 0.7 "
    "the words that the original expects are held half as likely, on average. In nats, by natural logarithms, a token."
)
_CLAUSE = re.compile(r", (?![^(]*\))| (?=\()")  # a comma outside parentheses, or what stands inside them


def short_label(row: Row) -> str:
    """The recipe in as few words as name it: "4-bit", "3 layers removed", "10% of the width sliced + 4-bit"."""
    return " + ".join(map(_in_brief, parse(row.recipe).steps)) or "Original"


def answer(row: Row, dense: Row | None) -> str:
    """What a stakeholder asks first, in two sentences: how much smaller, and what is kept."""
    return f"{size(row, dense)} {quality(row, dense)}".strip()


def size(row: Row, dense: Row | None) -> str:
    """ "3.1x smaller (86 MB, was 269 in bf16)." ; says so where the file is not smaller."""
    weight = row.value("weight_bytes")
    ratio = _ratio(row, dense)
    if weight is None or ratio is None:
        return ""
    whole = _round(weight * ratio)
    was = f"{_round(weight)}, was {whole.removesuffix(' MB') if weight >= 1e5 else whole} in bf16"
    if ratio >= 1.005:
        return f"{times(ratio)} smaller ({was})."
    if ratio <= 0.995:
        return f"{times(1 / ratio)} larger ({was})."
    same = "" if row.recipe == "dense" else ", the size of the original"
    return f"{_round(weight)}{same} in bf16."


def quality(row: Row, dense: Row | None = None) -> str:
    """ "Keeps 98% ± 2 of accuracy; guessing would keep 79%."; or no loss detected, and how large it could be.

    Where the original only guesses there is no share to keep: then how often the next word stays the same, and the loss
    found question by question.
    """
    if guesses(dense) and row.recipe != "dense":
        return f"{same_next_word(row)} {found_loss(row)}".strip()
    score = telling_score(dense or row)
    kept, change = row.value(f"{score}_retention"), interval(row, f"{score}_change")
    if row.recipe == "dense":
        accuracy = row.value(score)
        return "" if accuracy is None else f"Answers {format_value(score, accuracy)} right{_guessing_gets(row)}."
    if kept is None or change is None:
        return ""
    if not distinguishable(change):
        return no_loss(row, change)
    ends = interval(row, f"{score}_retention")
    share = with_interval(f"{score}_retention", kept, *(ends or (None, None)))
    return f"Keeps {share} of accuracy{_guessing_keeps(row, score)}."


def no_loss(row: Row, change: Interval) -> str:
    """ "No loss detected on 300 questions; it could be up to 1.7 points." """
    asked = row.value("questions")
    number = f" on {asked:,.0f} questions" if asked else ""
    return f"No loss detected{number}; it could be up to {max(0.0, -100 * change.low):.1f} points."


def found_loss(row: Row) -> str:
    """ "A loss of 4.4 ± 2.1 points was found on 1,200 questions."; or that none was, and how large it could be."""
    ends, difference, asked = interval(row, "accuracy_change"), row.value("accuracy_change"), row.value("questions")
    if ends is None or difference is None or row.recipe == "dense":
        return ""
    if not distinguishable(ends):
        return no_loss(row, ends)
    arm = max(difference - ends.low, ends.high - difference)
    number = f" on {asked:,.0f} questions" if asked else ""
    what = "loss" if difference < 0 else "gain"
    return f"A {what} of {100 * abs(difference):.1f} {PLUS_MINUS} {100 * arm:.1f} points was found{number}."


def same_next_word(row: Row) -> str:
    """ "The next word stays the original's 77% of the time." """
    share = row.value("top1_agreement")
    return "" if share is None else f"The next word stays the original's {100 * share:.0f}% of the time."


def perplexity(row: Row, dense: Row | None) -> str:
    """ "Perplexity 27.9, was 21.6." """
    now, before = row.value("perplexity"), dense.value("perplexity") if dense else None
    if now is None:
        return ""
    was = f", was {format_value('perplexity', before)}" if before else ""
    return f"Perplexity {format_value('perplexity', now)}{was}."


def guessing(dense: Row | None) -> str:
    """Why accuracy is not what a front shows, where the original itself only guesses; else empty.

    It says little then, but not nothing: each result has its paired change, which may leave zero out.
    """
    if dense is None or not guesses(dense):
        return ""
    asked = dense.value("questions")
    right, chance = (format_value(name, dense.value(name)) for name in ("accuracy", "accuracy_chance"))
    number = f"these {asked:,.0f} questions" if asked else "these questions"
    return (
        f"On {number} the original itself gets {right}, no better than guessing ({chance}), so accuracy "
        "hardly tells good results from bad. A loss may still show question by question; how often the next word stays "
        "the same shows more."
    )


def change(row: Row, score: str) -> str:
    """The change in a score against the original: a difference with its interval, or that none was detected."""
    ends = interval(row, f"{score}_change")
    if ends is None or row.recipe == "dense":
        return ""
    if not distinguishable(ends):
        return no_loss(row, ends)
    return with_interval(f"{score}_change", row.value(f"{score}_change"), *ends)


def speed(row: Row) -> str:
    """How much faster or slower a word comes than from the original, measured side by side."""
    ratio = row.value("decode_speedup")
    if row.simulated:
        return simulated(row)
    if ratio is None or row.recipe == "dense":
        return ""
    if 0.97 < ratio < 1.03:
        return "As fast per word as the original."
    return f"{times(ratio)} faster per word." if ratio > 1 else f"{times(1 / ratio)} slower per word."


def simulated(row: Row) -> str:
    """Why a simulated result has no speed: its width has no kernel, or its zeros are multiplied like any number."""
    return ZEROS_SIMULATED if all(isinstance(step, Zeros) for step in parse(row.recipe).steps) else SIMULATED


def unknown(row: Row, name: str) -> tuple[str, str]:
    """What stands for a metric that a result does not have, and why: a dash where it is simulated."""
    if borrowed(row, name):
        return NOTHING, simulated(row)
    return "not known", row.reasons.get(name, "not measured")


def why_not_smaller(row: Row, dense: Row | None) -> str:
    """Why a result is not smaller, or smaller only on disk; empty where its bytes need no explanation."""
    if said := zeros(row, dense):
        return said
    if row.simulated:
        return simulated(row)
    embedding, weight = row.value("embedding_bytes"), row.value("weight_bytes")
    packs = [target for step in parse(row.recipe).steps for target in getattr(step, "targets", ())]
    if packs and "embedding" not in packs and embedding and weight and embedding / weight > 0.15:
        return f"The embedding was left in bf16; it is {100 * embedding / weight:.0f}% of the file now."
    return ""


def zeros(row: Row, dense: Row | None) -> str:
    """What the zeros of a pruned result save, which is at most bytes of the file; empty where no step made any."""
    share, ratio = _zero_share(row), _ratio(row, dense)
    if share is None or share < 0.005 or not any(isinstance(step, Zeros) for step in parse(row.recipe).steps):
        return ""
    some = "Half the" if 0.475 < share < 0.525 else f"{100 * share:.0f}% of the"
    stored = formats_of(row, dense or row)
    if left_out(row, stored):
        which = "those of layers in 16 bits" if "linears" in stored.packed else "them"
        runs = "while the model runs, a zero costs as much as any number"
        if stored.zeros_kernel:
            runs = f"in bf16, {stored.zeros_kernel} leaves them out of memory and of the arithmetic too"
        return (
            f"{some} weights are zero. The file leaves {which} out and has a bit a weight for where they stood; {runs}."
        )
    scope = "the file is no smaller" if ratio is None or ratio < 1.005 else "the zeros make the file no smaller"
    return f"{some} weights are zero; {scope}: a stored zero costs as much as any number."


def short_name(metric: Metric) -> str:
    """What a sentence or a table calls a quality, however answers are counted."""
    return {"top1_agreement": "Same next word", "accuracy_norm": "Accuracy"}.get(metric.name, metric.label)


def knee(front: Front) -> str:
    """The knee in words, or the range it lies in where the questions asked can't tell closer."""
    if front.knee is None:
        return ""
    found, x = front.knee, front.x.name
    what = "the share of same next words" if front.y.name == "top1_agreement" else short_name(front.y).lower()
    falls = f"{what} falls off" if front.y.better == "higher" else f"{what} climbs"
    if found.is_range:
        low, high = (format_value(x, end.value(x)) for end in (found.low, found.high))
        return f"The knee lies between {low} and {high}: the questions asked can't tell closer. Beyond it {falls}."
    return f"The knee: {found.row.label} ({format_value(x, found.row.value(x))}). Beyond it {falls}."


def picked(found: Fitting, budget: str, dense: Row | None) -> str:
    """The best within a memory budget, given as "120 MB", or what the smallest result needs where nothing fits."""
    if found.row is None:
        if found.smallest is None:
            return "Nothing has been measured yet."
        least = format_value("weight_bytes", found.smallest.value("weight_bytes"))
        return f"Nothing measured fits {budget}; the smallest is {found.smallest.label} with {least}."
    name = "the original model" if found.row.recipe == "dense" else found.row.label
    return f"Best within {budget}: {name}. {answer(found.row, dense)}"


def protocol(row: Row, questions: float | None = None) -> list[str]:
    """Where and how a result was measured: machine, threads, number format, batch, n; the parts of a subtitle."""
    environment, asked = row.environment, row.protocol
    threads = asked.get("threads") or environment.get("cpu_threads")
    parts = [
        str(environment.get("cpu") or environment.get("machine") or ""),
        f"{threads} thread{'s' if threads != 1 else ''}" if threads else "",
        {"float32": "fp32"}.get(str(asked.get("dtype")), str(asked.get("dtype") or "")),
        f"batch {asked['batch_size']}" if "batch_size" in asked else "",
        f"n = {questions:,.0f} questions" if questions else "",
    ]
    return [part for part in parts if part]


def text_read(row: Row) -> list[str]:
    """How much text a result's next words were compared on, as the part of a subtitle; a short text may give less."""
    windows, length = (row.protocol.get(name) for name in ("perplexity_windows", "sequence_length"))
    if not windows or not length:
        return []
    most = "" if row.protocol.get("perplexity_text") == Protocol().perplexity_text else "up to "
    return [f"n = {most}{windows:,} x {length:,} tokens"]


def comparison(protocol: Mapping[str, Any]) -> str:
    """A protocol's items in words: "100 items of piqa, openbookqa"."""
    tasks = protocol.get("tasks") or ()
    return f"{protocol.get('limit', 0):,} items of {', '.join(tasks)}"


def marks(row: Row) -> str:
    """The mark that follows a flattered result's name."""
    return "†" if flattered(row) else ""


def distinct_labels(rows: Sequence[Row]) -> dict[str, str]:
    """Trial id -> short label, with as many more words as tell rows of the same short label apart."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(short_label(row), []).append(row)
    labels = {}
    for short, members in groups.items():
        clauses = {row.trial_id: _CLAUSE.split(row.label) for row in members}
        shared = set.intersection(*(set(c) for c in clauses.values()))
        for row in members:
            more = [c for c in clauses[row.trial_id] if c not in shared and not short.startswith(c)]
            labels[row.trial_id] = ", ".join([short, *more]).replace(", (", " (") + marks(row)
    return labels


def measured_on(rows: Sequence[Row]) -> str:
    """ "Test CPU, 2 January 2026": the machine of finished trials and their last date; empty unless all know both."""
    facts = [row.environment for row in rows if row.state == "done"]
    if not facts or any(not {"cpu", "date"} <= set(fact) for fact in facts):
        return ""
    machines = sorted({str(fact["cpu"]) for fact in facts})
    latest = max(datetime.fromisoformat(fact["date"]) for fact in facts)
    machine = machines[0] if len(machines) == 1 else f"{len(machines)} machines"
    return f"{machine}, {latest.day} {latest:%B %Y}"


def _in_brief(step: Settings) -> str:
    """A step in a word or two, with what it works on where that is not the linears: "8-bit embedding"."""
    said, targets = step.describe().split(",")[0], getattr(step, "targets", ("linears",))
    return said if not targets or "linears" in targets else f"{said} {' and '.join(targets)}"


def _ratio(row: Row, dense: Row | None) -> float | None:
    """Dense bf16 bytes over the row's: as measured, or against the dense row."""
    ratio, weight = row.value("compression_ratio"), row.value("weight_bytes")
    whole = dense.value("weight_bytes") if dense else None
    return ratio if ratio is not None else whole / weight if whole and weight else None


def _zero_share(row: Row) -> float | None:
    parameters, nonzero = row.value("parameters"), row.value("nonzero_parameters")
    return 1 - nonzero / parameters if parameters and nonzero is not None else None


def _guessing_keeps(row: Row, score: str) -> str:
    chance, accuracy, kept = (row.value(name) for name in ("accuracy_chance", score, f"{score}_retention"))
    if chance is None or not accuracy or not kept:
        return ""
    return f"; guessing would keep {100 * chance * kept / accuracy:.0f}%"


def _guessing_gets(row: Row) -> str:
    chance = row.value("accuracy_chance")
    return "" if chance is None else f"; guessing gets {format_value('accuracy', chance)}"


def _round(value: float) -> str:
    """Bytes with their unit, as whole MB from 10 MB on."""
    return f"{value / 1e6:,.0f} MB" if value >= 9.95e6 else byte_count(value)
