"""Rows with made-up results, for tests of what is said and drawn of them."""

from collections.abc import Mapping
from typing import Any

from engine.analysis.results import Items, analyse
from engine.outcome.row import Row
from engine.spec import DEFAULT_MODEL, Protocol, parse
from engine.store.items import ItemResult

DENSE_BYTES = 269_030_016
TASKS = ("piqa", "openbookqa")
PROTOCOL: Mapping[str, Any] = {**Protocol(tasks=TASKS, limit=100).__dict__, "tasks": list(TASKS)}
ENVIRONMENT = {
    "cpu": "Test CPU",
    "cpu_threads": 2,
    "torch": "2.13.0",
    "kneepoint": "0.1.0",
    "commit": "c0ffee",
    "date": "2025-11-21T06:00:00+00:00",
}
#        recipe, share of dense's bytes, right of 100 in both tasks
SWEEP = (
    ("dense", 1.0, 50),
    ("quantize:rtn,bits=8", 0.62, 50),
    ("quantize:rtn,bits=4", 0.42, 46),
    ("quantize:rtn,bits=2", 0.32, 31),
    ("prune:magnitude,sparsity=0.5", 1.0, 40),
    ("prune:layers,count=3", 0.92, 47),
    ("slice:slicegpt,fraction=0.2", 0.8, 41),
    ("slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4", 0.38, 43),
)


def answers(right: int, items: int = 100) -> list[ItemResult]:
    """The first `right` items answered with choice 0, which is gold, the others with choice 1."""
    return [ItemResult(i, (-1.0, -2.0), int(i >= right), int(i >= right), i < right) for i in range(items)]


def row(recipe: str = "dense", trial: str = "0" * 16, **changes: Any) -> Row:
    """A finished row of the default model; `changes` are Row's fields, `metrics` as they are."""
    fields = {"protocol": PROTOCOL, "environment": ENVIRONMENT, "finished_at": 1.0, **changes}
    return Row(trial, fields.pop("comparison_id", "group"), fields.pop("model", DEFAULT_MODEL), recipe, **fields)


def sweep() -> tuple[list[Row], dict[str, Items]]:
    """A finished sweep with all that can be derived, and every trial's answers."""
    rows, items = [], {}
    for n, (recipe, share, right) in enumerate(SWEEP):
        trial = f"{n:016x}"
        zeros = 0.4 if "magnitude" in recipe else 0.0
        metrics = {
            "weight_bytes": DENSE_BYTES * share,
            "compression_ratio": 1 / share,
            "accuracy": right / 100,
            "accuracy_chance": 0.3,
            "perplexity": 21.6 * 1.2 ** (50 - right),
            "parameters": 134.5e6,
            "nonzero_parameters": 134.5e6 * (1 - zeros),
            "decode_speedup": None if "bits=2" in recipe or zeros else 1 / share**0.5,
        }
        simulated = "bits=2" in recipe or bool(zeros)
        rows.append(row(parse(recipe).text, trial, metrics=metrics, simulated=simulated, finished_at=float(n + 1)))
        items[trial] = {task: answers(right) for task in TASKS}
    return analyse(rows, items.__getitem__, {}), items
