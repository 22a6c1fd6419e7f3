"""What a zero-shot task is: how a record of its file becomes an item, a question with choices to score.

An item is a tuple of requests, one a choice: a context and the continuation whose log-likelihood is the choice's
score. Formats and columns are those of lm-evaluation-harness 0.4.13's task files, so that a number here can be held
against a published one. Only what is no question differs: where an answer names none of the choices, the record is
refused; lm-eval counts the item as wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.packages.embedded import Embedded
from engine.tasks.hub import HubData

Record = Mapping[str, Any]


class RecordError(ValueError):
    """A record that the task can't read; the message says which column, and what is allowed."""


@dataclass(frozen=True)
class Item:
    """One question: `requests` holds a (context, continuation) for each choice.

    options: the choices as people read them; id: the item's place in its file, from 0; gold: the right choice's index,
    or None where there is nothing to choose from: then the one continuation is what should come next, and it counts as
    right where every token of it is the most likely one; group: what the item is reported under besides its task.
    """

    id: int
    requests: tuple[tuple[str, str], ...]
    options: tuple[str, ...]
    gold: int | None
    group: str = ""

    @property
    def context(self) -> str:
        """The context of the first choice, which nearly every task shares among all of them."""
        return self.requests[0][0]

    @property
    def choices(self) -> tuple[str, ...]:
        """The continuations, each with its leading space."""
        return tuple(continuation for _, continuation in self.requests)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Characters of each choice without its leading space: what acc_norm divides by."""
        return tuple(len(option) for option in self.options)


@dataclass(frozen=True)
class Task:
    """A zero-shot task; `read` turns a record and its place in the file into an Item, or raises RecordError.

    subset: of a task that is made of several, the column that names a record's; a limit then counts within each.
    """

    name: str
    label: str
    summary: str
    columns: tuple[str, ...]  # of the file, as the dataset's own release names them
    normalised: bool  # whether acc_norm is defined for it
    read: Callable[[Record, int], Item]
    embedded: Embedded | None = None
    hub: HubData | None = None
    subset: str = ""


def item(id: int, context: str, options: tuple[str, ...], gold: int) -> Item:
    """An item whose choices share one context and are scored as " " + option."""
    return Item(id, tuple((context, f" {option}") for option in options), options, gold)


def text(record: Record, column: str) -> str:
    """The text in a column; raises RecordError where it is missing or something else."""
    value = _column(record, column)
    if not isinstance(value, str):
        raise RecordError(f"column {column!r} must be text, got {_shown(value)}")
    return value


def listed(record: Record, column: str, low: int) -> tuple[str, ...]:
    """The list of at least `low` texts in a column; raises RecordError where it is missing or something else."""
    return texts(_column(record, column), column, low)


def texts(value: Any, column: str, low: int, high: int | None = None) -> tuple[str, ...]:
    """A list of texts, between `low` and `high` of them; raises RecordError otherwise."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise RecordError(f"column {column!r} must be a list of texts, got {_shown(value)}")
    if len(value) < low or (high is not None and len(value) > high):
        count = f"{low}" if low == high else f"at least {low}" if high is None else f"{low} to {high}"
        raise RecordError(f"column {column!r} must hold {count} texts, got {len(value)}")
    return tuple(value)


def number(record: Record, column: str, low: int, high: int) -> int:
    """A whole number in [low, high], written as one or as its digits; raises RecordError otherwise."""
    value = _column(record, column)
    given = value.strip() if isinstance(value, str) else value
    for one in range(low, high + 1):
        if given in (one, str(one)):
            return one
    few = " or ".join(str(one) for one in range(low, high + 1))
    allowed = few if high <= low + 1 else f"a whole number in [{low}, {high}]"
    raise RecordError(f"column {column!r} must be {allowed}, got {_shown(value)}")


def lettered_choices(record: Record, column: str = "choices") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts and the labels of a column {"text": [...], "label": [...]}, equally many and at least one."""
    value = _column(record, column)
    if not isinstance(value, Mapping) or not {"text", "label"} <= set(value):
        raise RecordError(f"column {column!r} must hold 'text' and 'label', got {_shown(value)}")
    options, labels = (texts(value[part], f"{column}.{part}", low=1) for part in ("text", "label"))
    if len(options) != len(labels):
        raise RecordError(f"column {column!r} has {len(options)} texts and {len(labels)} labels; they must be as many")
    return options, labels


def answer_index(record: Record, labels: tuple[str, ...], column: str = "answerKey") -> int:
    """Which of `labels` the answer column names; raises RecordError for none of them."""
    answer = text(record, column).lstrip()
    if answer not in labels:
        raise RecordError(f"column {column!r} must be one of {', '.join(labels)}, got {_shown(answer)}")
    return labels.index(answer)


def _column(record: Record, column: str) -> Any:
    if column not in record:
        raise RecordError(f"column {column!r} is missing; this one has {', '.join(map(str, record)) or 'none'}")
    return record[column]


def _shown(value: Any) -> str:
    """A value in an error message, cut to a readable length."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
