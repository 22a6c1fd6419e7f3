"""What follows from measured results: every metric that compares a trial with the dense one, and the JSON of a front.

The child process measures one model and knows nothing of others. What needs the dense model's answers is derived here,
item by item, from the stored answers of both. The worker derives when a trial finishes and stores the values with the
measured ones; `analyse` derives what is still missing when rows are read, such as trials that finished before dense.
"""

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine import stats
from engine.front import FLATTERED_NOTE, find_front, flattered, is_dense
from engine.row import Row

if TYPE_CHECKING:
    from engine.store.items import ItemResult

    Aligned = tuple[list[ItemResult], list[ItemResult]]  # ours and dense's, of the same items

Items = Mapping[str, Sequence["ItemResult"]]  # task -> its answered items
Metrics = Mapping[str, float | None]

COMPARED = ("accuracy_retention", "retention_above_chance", "accuracy_change", "flips")
_ENDS = ("_low", "_high")
_NO_DENSE = "the original model has not been measured under this protocol yet"
_NO_PAIRS = "the original model answered other items"
_NO_RATIO = "the original model's own accuracy can't be told from {floor} on these items"


class Derived(NamedTuple):
    """Metrics that follow from others, and why one of them is None."""

    metrics: dict[str, float | None]
    reasons: dict[str, str]


def derive(metrics: Metrics, items: Items, dense_metrics: Metrics | None, dense_items: Items | None) -> Derived:
    """Intervals of a trial's accuracy, and its comparison with the dense trial of the same protocol.

    items and dense_items: task -> answers, paired by item id; the same object for the dense trial itself.
    dense_metrics and dense_items are None while dense is not measured: what needs it is then None with that reason.
    """
    tasks = {task: answers for task, answers in items.items() if answers}
    if not tasks:
        return Derived({}, {})
    values: dict[str, float | None] = {"questions": float(sum(len(answers) for answers in tasks.values()))}
    for task, answers in tasks.items():
        right = sum(a.correct for a in answers)
        values |= {f"accuracy_{task}": right / len(answers)}
        values |= dict(zip((f"accuracy_{task}{end}" for end in _ENDS), stats.wilson(right, len(answers)), strict=True))
    shares = [(sum(a.correct for a in answers), len(answers)) for answers in tasks.values()]
    values |= _named("accuracy", stats.macro_accuracy(shares))
    if dense_metrics is None or dense_items is None:
        return Derived({**values, **dict.fromkeys(COMPARED)}, dict.fromkeys(COMPARED, _NO_DENSE))
    if dense_items is items:
        return Derived({**values, **_SELF}, {})
    aligned = [_align(answers, dense_items.get(task, ())) for task, answers in tasks.items()]
    if not all(ours for ours, _ in aligned):
        return Derived({**values, **dict.fromkeys(COMPARED)}, dict.fromkeys(COMPARED, _NO_PAIRS))
    compared = _compare(aligned, _chance(metrics, dense_metrics))
    return Derived({**values, **compared.metrics}, compared.reasons)


def dense_identities(metrics: Metrics) -> dict[str, float | None]:
    """What is true of the dense model by definition, for the metrics it has and doesn't state."""
    known: dict[str, float | None] = {}
    if metrics.get("accuracy") is not None:
        known |= _SELF
    if metrics.get("perplexity") is not None:
        known |= {"top1_agreement": 1.0}
    return {name: value for name, value in known.items() if metrics.get(name) is None}


def analyse(
    rows: Sequence[Row], items_of: Callable[[str], Items], memo: MutableMapping[tuple[Any, ...], Derived] | None = None
) -> list[Row]:
    """The rows in their order, finished ones with what can be derived and with the note of a flattered result.

    items_of: trial id -> its answers; asked only for rows whose derived metrics are missing. `memo` keeps them between
    calls (one of the module unless given), keyed by the trial, its dense trial and when both finished.
    """
    kept = _MEMO if memo is None else memo
    dense = {row.comparison_id: row for row in rows if row.state == "done" and is_dense(row)}
    answers: dict[str, Items] = {}

    def dense_items(trial: str) -> Items:
        if trial not in answers:
            answers[trial] = items_of(trial)
        return answers[trial]

    result = []
    for row in rows:
        if row.state != "done":
            result.append(row)
            continue
        reference = dense.get(row.comparison_id)
        added = Derived({}, {})
        if _is_missing(row, reference):
            key = _key(row, reference)
            if key not in kept:
                compared = (reference.metrics, dense_items(reference.trial_id)) if reference else (None, None)
                own = dense_items(row.trial_id) if row is reference else items_of(row.trial_id)
                kept[key] = derive(row.metrics, own, *compared)
            added = kept[key]
        result.append(_with(row, added))
    return result


def to_json(row: Row, items: Items | None = None) -> dict[str, Any]:
    """A trial as `run --json` and `front --json` write it; with `items` also its answers.

    A value that is infinite or not a number is None, with its reason in "reasons".
    """
    values = {name: _finite(value) for name, value in row.metrics.items()}
    unsaid = {name: "the value is not finite" for name, value in row.metrics.items() if value is not None}
    reasons = {name: why for name, why in {**unsaid, **row.reasons}.items() if values.get(name) is None}
    content: dict[str, Any] = {
        "trial": row.trial_id,
        "comparison": row.comparison_id,
        "model": row.model,
        "recipe": row.recipe,
        "protocol": {k: list(v) if isinstance(v, tuple) else v for k, v in row.protocol.items()},
        "metrics": values,
        "reasons": reasons,
        "environment": _environment(row),
        "simulated": row.simulated,
        "notes": list(row.notes),
    }
    if items is not None:
        content["items"] = {task: [answer.to_dict() for answer in answers] for task, answers in items.items()}
    return content


def front_json(
    rows: Sequence[Row], x: str = "weight_bytes", y: str = "accuracy", comparison: str | None = None
) -> list[dict[str, Any]]:
    """Every finished trial without its items, each with `on_front`, in the order given.

    A front holds one comparison, so trials of another are never on it; see `engine.front.find_front`.
    """
    best = find_front(rows, x, y, comparison).best_ids
    return [{**to_json(row), "on_front": row.trial_id in best} for row in rows if row.state == "done"]


_MEMO: dict[tuple[Any, ...], Derived] = {}
_SELF: dict[str, float | None] = {
    f"{name}{end}": value for name, value in zip(COMPARED, (1.0, 1.0, 0.0, 0.0), strict=True) for end in ("", *_ENDS)
}


def _is_missing(row: Row, dense: Row | None) -> bool:
    if row.metrics.get("accuracy") is None:
        return False
    if dense is None or dense.metrics.get("accuracy") is None:
        return row.metrics.get("accuracy_low") is None
    return row.metrics.get("accuracy_low") is None or (row is not dense and row.metrics.get("accuracy_change") is None)


def _key(row: Row, dense: Row | None) -> tuple[Any, ...]:
    reference = (dense.trial_id, dense.finished_at) if dense else None
    return (row.trial_id, row.finished_at, row.metrics.get("accuracy"), reference)


def _with(row: Row, added: Derived) -> Row:
    """The row with derived metrics; what was measured or stored goes before them."""
    more = {name: value for name, value in added.metrics.items() if row.metrics.get(name) is None}
    if is_dense(row):
        more |= dense_identities({**row.metrics, **more})
    mark = flattered(row) and FLATTERED_NOTE not in row.notes
    if not (more or mark):
        return row
    metrics = {**row.metrics, **more}
    notes = (*row.notes, FLATTERED_NOTE) if mark else row.notes
    reasons = {name: why for name, why in {**row.reasons, **added.reasons}.items() if metrics.get(name) is None}
    return replace(row, metrics=metrics, reasons=reasons, notes=notes)


def _align(ours: Sequence["ItemResult"], theirs: Sequence["ItemResult"]) -> "Aligned":
    """Both models' answers to the items that both answered, in one order."""
    known = {answer.id: answer for answer in theirs}
    common = [answer for answer in ours if answer.id in known]
    return common, [known[answer.id] for answer in common]


def _compare(tasks: Sequence["Aligned"], chance: float | None) -> Derived:
    pairs = [stats.pair([a.correct for a in ours], [b.correct for b in theirs]) for ours, theirs in tasks]
    flipped = sum(_differs(a, b) for ours, theirs in tasks for a, b in zip(ours, theirs, strict=True))
    asked = sum(p.items for p in pairs)
    values = _named("accuracy_change", stats.accuracy_change(pairs))
    values |= _named("flips", stats.Estimate(flipped / asked, *stats.wilson(flipped, asked)))
    reasons: dict[str, str] = {}
    floors = {"accuracy_retention": (0.0, "zero"), "retention_above_chance": (chance, "guessing")}
    for name, (floor, words) in floors.items():
        ratio = None if floor is None else stats.retention(pairs, floor)
        values |= dict.fromkeys((name, *(name + end for end in _ENDS))) if ratio is None else _named(name, ratio)
        if ratio is None:
            reasons[name] = "the chance level is not known" if floor is None else _NO_RATIO.format(floor=words)
    return Derived(values, reasons)


def _differs(ours: "ItemResult", theirs: "ItemResult") -> bool:
    """Whether the answer changed; where a task has no choices, whether being right did."""
    if ours.choice is None and theirs.choice is None:
        return ours.correct != theirs.correct
    return ours.choice != theirs.choice


def _chance(metrics: Metrics, dense_metrics: Metrics) -> float | None:
    return next((v for m in (metrics, dense_metrics) if (v := m.get("accuracy_chance")) is not None), None)


def _named(name: str, estimate: stats.Estimate) -> dict[str, float | None]:
    return dict(zip((name, *(name + end for end in _ENDS)), map(float, estimate), strict=True))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _environment(row: Row) -> dict[str, Any]:
    """The environment with the date the trial finished, where the measuring process left none."""
    known = dict(row.environment)
    if "date" not in known and row.finished_at:
        known["date"] = datetime.fromtimestamp(row.finished_at, UTC).replace(microsecond=0).isoformat()
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in known.items()}
