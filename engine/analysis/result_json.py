"""Results as JSON: one trial, or every trial beside a front, as `engine.recorded` reads them back."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine.analysis.front import find_front
from engine.analysis.results import Items, verdict
from engine.metrics import SCORES
from engine.outcome.kept import NOTHING_KEPT, Kept
from engine.outcome.row import Row

FRONT_TEXTS = 5  # of each trial, so that the recorded results stay small


def to_json(row: Row, items: Items | None = None, kept: Kept = NOTHING_KEPT) -> dict[str, Any]:
    """A trial as `run --json` and `front --json` write it; with `items` also its answers, with `kept` the rest.

    A value that is infinite or not a number is None, with its reason in "reasons". "verdict" says of each score that
    was compared with the dense model's whether it is better, worse or not distinguishable, on how many questions, and
    the change in accuracy with the ends of its 95% interval. Where dense itself only guesses there is nothing above
    guessing to keep: then retention_above_chance is None, with that reason.
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
        "verdict": {score: found._asdict() for score in SCORES if (found := verdict(row, score))},
        "environment": _environment(row),
        "simulated": row.simulated,
        "notes": list(row.notes),
        "stopped_at": row.stopped_at,
        "left_out_by": row.left_out_by,
    }
    if items is not None:
        content["items"] = {task: [answer.to_dict() for answer in answers] for task, answers in items.items()}
    if kept.texts:
        content["texts"] = [text.to_dict() for text in kept.texts]
    if kept.profiles:
        content["profiles"] = dict(kept.profiles)
    return content


def front_json(
    rows: Sequence[Row],
    x: str = "weight_bytes",
    y: str = "accuracy",
    comparison: str | None = None,
    kept_of: Callable[[str], Kept] = lambda trial_id: NOTHING_KEPT,
    answers_of: Callable[[str], Mapping[str, str]] = lambda trial_id: {},
) -> list[dict[str, Any]]:
    """Every finished trial without its items, with its profiles, a few of its texts and `on_front`, in the order given.

    answers_of: trial id -> its packed answers by task, as "answers"; see `engine.recorded`.
    A front holds one comparison, so trials of another are never on it; see `engine.analysis.front.find_front`.
    """
    best = find_front(rows, x, y, comparison).best_ids
    return [
        {
            **to_json(row, kept=kept._replace(texts=kept.texts[:FRONT_TEXTS])),
            **({"answers": dict(answers)} if (answers := answers_of(row.trial_id)) else {}),
            "on_front": row.trial_id in best,
        }
        for row in rows
        if row.state == "done"
        for kept in [kept_of(row.trial_id)]
    ]


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _environment(row: Row) -> dict[str, Any]:
    """The environment with the date the trial finished, where the measuring process left none."""
    known = dict(row.environment)
    if "date" not in known and row.finished_at:
        known["date"] = datetime.fromtimestamp(row.finished_at, UTC).replace(microsecond=0).isoformat()
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in known.items()}
