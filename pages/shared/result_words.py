"""What pages say of one result in marks and figures, the same on Start, Explore and Result."""

from collections.abc import Mapping
from typing import Any

from engine import quantities
from engine.analysis import words
from engine.analysis.front import flattered, guesses, interval, own_value, telling_score
from engine.analysis.passes import SPEEDUPS, beside
from engine.analysis.results import verdict
from engine.metrics import metric
from engine.outcome.row import Row
from engine.plots import FAMILIES
from engine.stats import Estimate, Verdict, questions_to_settle
from engine.tasks import task_label
from pages.shared import markup
from pages.shared.markup import Figure
from pages.shared.stored import Group

_COLOURS = {"quantize": "blue", "prune": "orange", "slice": "green", "distil": "violet", "combined": "gray"}


def family_label(name: str) -> str:
    """A family with its mark, in Streamlit's Markdown; .streamlit/config.toml gives these names the marks' hues."""
    look = FAMILIES[name]
    return f":{_COLOURS[name]}[{look.glyph}] {look.label}"


def marks(row: Row, dense: Row | None, on_front: bool | None = None) -> list[tuple[str, str]]:
    """(mark, explanation) of a finished result: what it is on the front, and how far it can be trusted."""
    found = [] if on_front is None else [_PLACE[on_front]]
    if judged := verdict(row, telling_score(dense)):
        said = f"{verdict_sentence(judged)} {words.guessing(dense)}".strip()
        name = judged.standing.capitalize()
        found.append((f"{name} than the original" if name in ("Better", "Worse") else name, said))
    if row.simulated:
        found.append(("Simulated", words.simulated(row)))
    if flattered(row):
        found.append(("† Own grid", next((note for note in row.notes if note.startswith("†")), "")))
    found.append(
        ("Recorded", "Shipped with Kneepoint, or from a saved sweep.")
        if row.recorded
        else ("Measured here", "From your own store.")
    )
    return found


def short_verdict(row: Row, score: str) -> str:
    """Worse, better, not distinguishable by a score; empty of the original, and of what was not compared with it."""
    found = verdict(row, score)
    return found.standing if found else ""


def verdict_sentence(found: Verdict, by: str = "") -> str:
    """ "Not distinguishable from the original on 600 questions: between 3.1 points worse and 0.7 better."

    by: how answers were chosen, put before the sentence, where it is not by acc.
    """
    name = _STANDING[found.standing]
    asked = f"{f'{by}, {name[0].lower()}{name[1:]}' if by else name} on {found.questions:,} questions"
    if found.standing == "not distinguishable":
        return f"{asked}: between {100 * abs(found.low):.1f} points worse and {100 * found.high:.1f} better."
    ends = sorted(100 * abs(end) for end in (found.low, found.high))
    return f"{asked}: by {100 * abs(found.change):.1f} points, at least {ends[0]:.1f} and at most {ends[1]:.1f}."


def settling(found: Verdict, points: int = 2) -> str:
    """ "About 2,400 questions of this kind would settle a difference of 2 points." """
    needed = _needed(found, points)
    if needed <= found.questions:
        return f"These {found.questions:,} questions are enough to settle a difference of {points} points."
    return f"About {_rounded(needed)} questions of this kind would settle a difference of {points} points."


def settling_more(found: Verdict) -> str:
    """What it takes to settle differences of 5, 2 and 1 points."""
    many, some, few = (_rounded(_needed(found, points)) for points in (1, 2, 5))
    return (
        f"To settle a difference of 5, 2 or 1 points takes about {few}, {some} or {many} questions of this kind: "
        "that many show it at 95% four times in five."
    )


def size_figure(row: Row, dense: Row | None) -> Figure:
    weight, before = (
        quantities.format_value("weight_bytes", r.value("weight_bytes") if r else None) for r in (row, dense)
    )
    ratio = row.value("compression_ratio")
    if row.recipe == "dense":
        under = "the original, in bf16"
    elif ratio is None or ratio < 1.005:
        under = f"no smaller than bf16, {before}"
    else:
        under = f"{quantities.times(ratio)} smaller than bf16, was {before}"
    return Figure("Weights", weight, under, markup.definition("weight_bytes"))


def accuracy_figure(row: Row, dense: Row | None) -> Figure:
    score = telling_score(dense or row)
    right, guessed = (quantities.format_value(name, row.value(name)) for name in (score, "accuracy_chance"))
    before = quantities.format_value(score, dense.value(score) if dense else None)
    kept, low, high = (row.value(f"{score}_retention{end}") for end in ("", "_low", "_high"))
    if row.recipe == "dense" or kept is None:
        return Figure("Accuracy", right, f"guessing gets {guessed}", markup.definition(score))
    share = quantities.with_interval(f"{score}_retention", kept, low, high)
    under = f"{right} right, the original {before}, guessing {guessed}"
    return Figure("Accuracy kept", share, under, markup.definition(f"{score}_retention"))


def quality_figure(row: Row, dense: Row | None) -> Figure:
    """What is kept of the answers, or of the next words where the original itself only guesses the answers."""
    if row.recipe == "dense" or not guesses(dense):
        return accuracy_figure(row, dense)
    share = quantities.format_value("top1_agreement", row.value("top1_agreement"))
    return Figure("Same next word", share, "as the original, on the same text", markup.definition("top1_agreement"))


def speed_figure(row: Row) -> Figure:
    pace = row.value("decode_ms_per_token")
    shown = quantities.format_value("decode_ms_per_token", pace)
    if row.simulated:
        return Figure("Speed", "Not known", "simulated: no kernel here runs it", words.simulated(row))
    if pace is None:
        return Figure("Speed", "Not measured", row.reasons.get("decode_ms_per_token", ""))
    if row.recipe == "dense" or row.value("decode_speedup") is None:
        return Figure("Time per word", shown, "", markup.definition("decode_ms_per_token"))
    value = quantities.format_value("decode_speedup", row.value("decode_speedup"))
    before = quantities.format_value("decode_ms_per_token", beside(row, "decode_ms_per_token"))
    under = f"of the original's; {shown} a word, was {before}"
    return Figure("Words per second", value, under, markup.definition("decode_speedup"))


_ITS_OWN_RUN = "Of the original's own run. Its times above are those of the run that timed this result."


def line(row: Row, dense: Row | None, name: str) -> list[str | tuple[str, str]]:
    """A metric's line in a table: its name, defined on hover, the value with its interval, the original's.

    The original's times are those of the run that timed the result; their spread is known of its own run only.
    """
    found = metric(name)
    shown = words.unknown(row, name) if own_value(row, name) is None else _measured(row, name, found.unit)
    before = beside(row, name) if name in SPEEDUPS else None
    if before is None and dense is not None:
        before = dense.value(name)
    original = quantities.format_value(name, before)
    apart = name.endswith("_spread_ms") and before is not None and dense is not None and dense.trial_id != row.trial_id
    return [(found.label, found.definition), shown, (original, _ITS_OWN_RUN) if apart else original]


def group_name(group: Group) -> str:
    """What a list calls a group: where it comes from, the model, how many results, and what they were asked."""
    comparison = group.comparison
    return f"{group.chip}: {comparison.model}, {comparison.trials} results, {questions(comparison.protocol)}"


def questions(protocol: Mapping[str, Any]) -> str:
    """What a protocol asks, in words: "100 items each of PIQA and OpenBookQA"."""
    names = [task_label(task) for task in protocol.get("tasks") or ()]
    return (
        f"{protocol.get('limit', 0):,} items each of {', '.join(names[:-1])}{' and ' if names[1:] else ''}{names[-1]}"
    )


def _measured(row: Row, name: str, unit: str) -> str | tuple[str, str]:
    """A value with its interval, and on hover what does not fit beside it."""
    value, ends, error = row.value(name), interval(row, name), row.value(f"{name}_stderr")
    if ends is None or (row.recipe == "dense" and ends.low == ends.high):  # of the original against itself
        return quantities.format_value(name, value)
    if unit not in ("%", "points"):
        return quantities.format_value(name, value), f"95%: {quantities.span(name, *ends)}"
    shown = quantities.with_interval(name, value, *ends)
    return shown if error is None else (shown, f"Standard error {100 * error:.2f} points.")


def _needed(found: Verdict, points: int) -> int:
    return questions_to_settle(Estimate(found.change, found.low, found.high), found.questions, points / 100)


def _rounded(count: int) -> str:
    """A number of questions with two digits that mean something."""
    return f"{round(count, min(0, 2 - len(str(count)))):,}"


_STANDING = {
    "better": "Better than the original",
    "worse": "Worse than the original",
    "not distinguishable": "Not distinguishable from the original",
}
_PLACE = {
    True: ("On the front", "No other result is better on both axes."),
    False: ("Dominated", "Another result is at least as good on both axes and better on one."),
}
