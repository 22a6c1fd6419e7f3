"""What follows from measured results: every metric that compares a trial with the dense one.

The child process measures one model and knows nothing of others. What needs the dense model's answers is derived here,
item by item, from the stored answers of both. The worker derives when a trial finishes and stores the values with the
measured ones; `analyse` derives what is still missing when rows are read, such as trials that finished before dense.
"""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import stats
from engine.analysis import flips
from engine.analysis.front import FLATTERED_NOTE, flattered, is_dense
from engine.errors import InputError
from engine.metrics import ABOVE_CHANCE, SCORES
from engine.outcome.row import Row
from engine.tasks import get

if TYPE_CHECKING:
    from engine.store.items import ItemResult

    Aligned = tuple[list[ItemResult], list[ItemResult]]  # ours and dense's, of the same items

Items = Mapping[str, Sequence["ItemResult"]]  # task -> its answered items
Metrics = Mapping[str, float | None]

_ENDS = ("_low", "_high")
_NO_DENSE = "the original model has not been measured under this protocol yet"
_NO_PAIRS = "the original model answered other items"
_NO_RATIO = "the original model's own accuracy can't be told from {floor} on these items"
_NO_CHANCE = "the chance level is not known"
_NO_SPREAD = "a single item has no spread"
_NO_LENGTHS = "answers of an earlier version don't say which were right by length; measure again"
# What comparing a trial with dense gives, and its value for dense itself: those with an interval, and plain counts.
_ESTIMATES = {
    "accuracy_retention": 1.0,
    "retention_above_chance": 1.0,
    "accuracy_change": 0.0,
    "accuracy_norm_change": 0.0,
    "accuracy_norm_retention": 1.0,
    "retention_norm_above_chance": 1.0,
    "flips": 0.0,
}
_COUNTS = {"flips_to_wrong": 0.0, "flips_to_right": 0.0, "mcnemar_p": 1.0}
COMPARED = (*_ESTIMATES, *_COUNTS)


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
    for score in SCORES:
        values |= _with_errors(score, {task: _count(score, task, a, metrics) for task, a in tasks.items()})
    reasons = {name: _NO_SPREAD for name, value in values.items() if value is None}
    if dense_metrics is None or dense_items is None:
        return Derived({**values, **dict.fromkeys(COMPARED)}, reasons | dict.fromkeys(COMPARED, _NO_DENSE))
    if dense_items is items:
        return Derived({**values, **_SELF}, reasons)
    aligned = {task: flips.align(answers, dense_items.get(task, ())) for task, answers in tasks.items()}
    if not all(ours for ours, _ in aligned.values()):
        return Derived({**values, **dict.fromkeys(COMPARED)}, reasons | dict.fromkeys(COMPARED, _NO_PAIRS))
    compared = _compare(aligned, _chance(metrics, dense_metrics))
    return Derived({**values, **compared.metrics}, reasons | compared.reasons)


def verdict(row: Row, score: str) -> stats.Verdict | None:
    """Whether a row's `accuracy` or `accuracy_norm` can be told from dense's on the questions both answered.

    None for dense itself, and where it has not been compared.
    """
    change, low, high = (row.metrics.get(f"{score}_change{end}") for end in ("", *_ENDS))
    asked = row.metrics.get("questions")
    if is_dense(row) or change is None or low is None or high is None or not asked:
        return None
    return stats.verdict(stats.Estimate(change, low, high), int(asked))


def right(score: str, task: str, answers: Sequence["ItemResult"]) -> list[bool | None]:
    """Whether each answer to a task's items is right by a score; None where an older store's doesn't say."""
    normalised = _normalised(task)
    return [_is_right(score, answer, normalised) for answer in answers]


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
    if len(kept) > _MOST_KEPT:
        kept.clear()
    dense = {row.comparison_id: row for row in rows if row.has_result and is_dense(row)}
    answers: dict[str, Items] = {}

    def dense_items(trial: str) -> Items:
        if trial not in answers:
            answers[trial] = items_of(trial)
        return answers[trial]

    result = []
    for row in rows:
        if not row.has_result:
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
        result.append(_estimated(_with(row, added), reference))
    return result


_MEMO: dict[tuple[Any, ...], Derived] = {}
_MOST_KEPT = 20_000  # trials; what was dropped is derived again
_SELF: dict[str, float | None] = {
    **{f"{name}{end}": value for name, value in _ESTIMATES.items() for end in ("", *_ENDS)},
    **_COUNTS,
}


def _is_missing(row: Row, dense: Row | None) -> bool:
    if row.metrics.get("accuracy") is None:
        return False
    if "accuracy_stderr" not in row.metrics:
        return True
    comparable = dense is not None and row is not dense and dense.metrics.get("accuracy") is not None
    stated = all(name in row.metrics for name in COMPARED)  # rows of earlier versions lack some
    return comparable and (row.metrics.get("mcnemar_p") is None or not stated)


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


def _estimated(row: Row, dense: Row | None) -> Row:
    """The row; where an anytime sweep stopped it early, with its accuracy as it would be over all questions.

    That is dense's accuracy over all of them with the paired change on those answered: which came first cancels.
    """
    if row.stopped_at is None or dense is None:
        return row
    metrics = dict(row.metrics)
    for score in SCORES:
        base = dense.value(score)
        for end in ("", *_ENDS):
            change = row.value(f"{score}_change{end}")
            if base is not None and change is not None:
                metrics[f"{score}{end}"] = base + change
    return replace(row, metrics=metrics)


def _count(score: str, task: str, answers: Sequence["ItemResult"], metrics: Metrics) -> tuple[int, int] | None:
    """(right answers, answers) of a task; None where neither the answers nor what was measured says."""
    rights = right(score, task, answers)
    if None not in rights:
        return sum(map(bool, rights)), len(answers)
    share = metrics.get(f"{score}_{task}")
    return None if share is None else (round(share * len(answers)), len(answers))


def _normalised(task: str) -> bool:
    """Whether a task defines acc_norm; one that is not known here any more may have."""
    try:
        return get(task).normalised
    except InputError:
        return True


def _is_right(score: str, answer: "ItemResult", normalised: bool) -> bool | None:
    """Whether an answer is right by acc or by acc_norm; by acc too where the task is not `normalised`.

    Answers of older stores don't state the latter. It follows where both choose alike, where acc's choice is right,
    and where there are two choices; else it is None.
    """
    alike = answer.choice_norm is None or answer.choice_norm == answer.choice
    if score == "accuracy" or alike or not normalised:
        return answer.correct
    if answer.correct_norm is None and (answer.correct or len(answer.loglikelihoods) == 2):
        return not answer.correct
    return answer.correct_norm


def _with_errors(score: str, counts: Mapping[str, tuple[int, int] | None]) -> dict[str, float | None]:
    """A score with its intervals and standard errors, of every task and of their mean; empty where a task has none."""
    known = {task: count for task, count in counts.items() if count is not None}
    if len(known) < len(counts):
        return {}
    values: dict[str, float | None] = {}
    for task, (right, asked) in known.items():
        values |= _named(f"{score}_{task}", stats.Estimate(right / asked, *stats.wilson(right, asked)))
        values[f"{score}_{task}_stderr"] = stats.standard_error(right, asked)
    errors = [values[f"{score}_{task}_stderr"] for task in known]
    mean = _named(score, stats.macro_accuracy(list(known.values())))
    return {**values, **mean, f"{score}_stderr": stats.macro_standard_error(errors)}


def _compare(tasks: Mapping[str, "Aligned"], chance: float | None) -> Derived:
    counted = {score: _pairs(score, tasks) for score in SCORES}
    pairs = counted["accuracy"]
    assert pairs is not None
    asked = sum(p.items for p in pairs)
    changed = sum(flips.differs(a, b) for ours, theirs in tasks.values() for a, b in zip(ours, theirs, strict=True))
    values = _named("flips", stats.Estimate(changed / asked, *stats.wilson(changed, asked)))
    values["flips_to_wrong"] = float(sum(p.only_dense for p in pairs))
    values["flips_to_right"] = float(sum(p.only_compressed for p in pairs))
    values["mcnemar_p"] = stats.mcnemar_p(pairs)
    found = Derived(values, {})
    for score, of in counted.items():
        change, kept = (stats.accuracy_change(of), stats.retention(of)) if of else (None, None)
        _add(found, f"{score}_change", change, _NO_LENGTHS)
        _add(found, f"{score}_retention", kept, _NO_RATIO.format(floor="zero") if of else _NO_LENGTHS)
        above = None if of is None or chance is None else stats.retention(of, chance)
        why = _NO_CHANCE if chance is None else _NO_RATIO.format(floor="guessing")
        _add(found, ABOVE_CHANCE[score], above, why if of else _NO_LENGTHS)
    return found


def _add(found: Derived, name: str, estimate: stats.Estimate | None, why_none: str) -> None:
    """Add an estimate with its interval, or why there is none."""
    if estimate is not None:
        found.metrics.update(_named(name, estimate))
        return
    names = (name, *(name + end for end in _ENDS))
    found.metrics.update(dict.fromkeys(names))
    found.reasons.update(dict.fromkeys(names, why_none))


def _pairs(score: str, tasks: Mapping[str, "Aligned"]) -> list[stats.Pairs] | None:
    """Each task's items by which model is right by this score; None where that is not known of every item."""
    found = []
    for task, sides in tasks.items():
        ours, theirs = (right(score, task, side) for side in sides)
        if None in ours or None in theirs:
            return None
        found.append(stats.pair([bool(one) for one in ours], [bool(one) for one in theirs]))
    return found


def _chance(metrics: Metrics, dense_metrics: Metrics) -> float | None:
    return next((v for m in (metrics, dense_metrics) if (v := m.get("accuracy_chance")) is not None), None)


def _named(name: str, estimate: stats.Estimate) -> dict[str, float | None]:
    return dict(zip((name, *(name + end for end in _ENDS)), map(float, estimate), strict=True))
