"""What pages say of one result in marks and figures, the same on Start, Explore and Result."""

from collections.abc import Mapping
from typing import Any

from engine import words
from engine.front import flattered, guesses
from engine.metrics import metric
from engine.plots import FAMILIES
from engine.row import Row
from engine.tasks import TASKS
from pages.shared import markup
from pages.shared.markup import Figure

_COLOURS = {"quantize": "blue", "prune": "orange", "slice": "green", "distil": "violet", "combined": "gray"}


def family_label(name: str) -> str:
    """A family with its mark, in Streamlit's Markdown; .streamlit/config.toml gives these names the marks' hues."""
    look = FAMILIES[name]
    return f":{_COLOURS[name]}[{look.glyph}] {look.label}"


def marks(row: Row, on_front: bool | None = None) -> list[tuple[str, str]]:
    """(mark, explanation) of a finished result: what it is on the front, and how far it can be trusted."""
    found = [] if on_front is None else [_PLACE[on_front]]
    if row.simulated:
        found.append(("Simulated", words.simulated(row)))
    if flattered(row):
        found.append(("† Own grid", next((note for note in row.notes if note.startswith("†")), "")))
    found.append(("Recorded", "Shipped with Kneepoint.") if row.recorded else ("Measured here", "From your own store."))
    return found


def size_figure(row: Row, dense: Row | None) -> Figure:
    weight, before = (words.format_value("weight_bytes", r.value("weight_bytes") if r else None) for r in (row, dense))
    ratio = row.value("compression_ratio")
    if row.recipe == "dense":
        under = "the original, in bf16"
    elif ratio is None or ratio < 1.005:
        under = f"no smaller than bf16, {before}"
    else:
        under = f"{words.times(ratio)} smaller than bf16, was {before}"
    return Figure("Weights", weight, under, markup.definition("weight_bytes"))


def accuracy_figure(row: Row, dense: Row | None) -> Figure:
    right, guessed = (words.format_value(name, row.value(name)) for name in ("accuracy", "accuracy_chance"))
    before = words.format_value("accuracy", dense.value("accuracy") if dense else None)
    kept = row.value("accuracy_retention")
    if row.recipe == "dense" or kept is None:
        return Figure("Accuracy", right, f"guessing gets {guessed}", markup.definition("accuracy"))
    share = words.with_interval(
        "accuracy_retention", kept, row.value("accuracy_retention_low"), row.value("accuracy_retention_high")
    )
    under = f"{right} right, the original {before}, guessing {guessed}"
    return Figure("Accuracy kept", share, under, markup.definition("accuracy_retention"))


def quality_figure(row: Row, dense: Row | None) -> Figure:
    """What is kept of the answers, or of the next words where the original itself only guesses the answers."""
    if row.recipe == "dense" or not guesses(dense):
        return accuracy_figure(row, dense)
    share = words.format_value("top1_agreement", row.value("top1_agreement"))
    return Figure("Same next word", share, "as the original, on held-out text", markup.definition("top1_agreement"))


def speed_figure(row: Row) -> Figure:
    pace = row.value("decode_ms_per_token")
    shown = words.format_value("decode_ms_per_token", pace)
    if row.simulated:
        return Figure("Speed", "Not known", "simulated: no kernel here runs it", words.simulated(row))
    if pace is None:
        return Figure("Speed", "Not measured", row.reasons.get("decode_ms_per_token", ""))
    if row.recipe == "dense" or row.value("decode_speedup") is None:
        return Figure("Time per word", shown, "", markup.definition("decode_ms_per_token"))
    value = words.format_value("decode_speedup", row.value("decode_speedup"))
    return Figure("Words per second", value, f"of the original's; {shown} a word", markup.definition("decode_speedup"))


def line(row: Row, dense: Row | None, name: str) -> list[str | tuple[str, str]]:
    """A metric's line in a table: its name, defined on hover, the value with its interval, the original's."""
    found = metric(name)
    value, low, high = (row.value(f"{name}{end}") for end in ("", "_low", "_high"))
    shown: str | tuple[str, str] = words.format_value(name, value)
    if value is None:
        shown = ("not known", row.reasons.get(name, "not measured"))
    elif low is not None and high is not None and found.unit in ("%", "points"):
        shown = words.with_interval(name, value, low, high)
    before = words.format_value(name, dense.value(name) if dense else None)
    return [(found.label, found.definition), shown, before]


def questions(protocol: Mapping[str, Any]) -> str:
    """What a protocol asks, in words: "100 items each of PIQA and OpenBookQA"."""
    names = [TASKS[task].label if task in TASKS else str(task) for task in protocol.get("tasks") or ()]
    return (
        f"{protocol.get('limit', 0):,} items each of {', '.join(names[:-1])}{' and ' if names[1:] else ''}{names[-1]}"
    )


_PLACE = {
    True: ("On the front", "No other result is better on both axes."),
    False: ("Dominated", "Another result is at least as good on both axes and better on one."),
}
