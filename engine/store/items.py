"""The answers to a task's items, packed into one small blob for each trial and task."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.store import blob


class ItemResult(NamedTuple):
    """How a model answered one item; `id` is its place in the task's file, from 0.

    loglikelihoods: one a choice, None where it was not finite; choice and choice_norm: the answer by acc and by
    acc_norm; correct and correct_norm: whether they are the gold one, the latter None in answers of older stores.
    """

    id: int
    loglikelihoods: tuple[float | None, ...]
    choice: int | None
    choice_norm: int | None
    correct: bool
    correct_norm: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` writes it; without `correct_norm` where that is not known."""
        values = {**self._asdict(), "loglikelihoods": list(self.loglikelihoods)}
        return values if self.correct_norm is not None else {k: v for k, v in values.items() if k != "correct_norm"}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "ItemResult":
        sums = tuple(v if v is not None and math.isfinite(v) else None for v in values["loglikelihoods"])
        norm = values.get("correct_norm")
        right = (bool(values["correct"]), None if norm is None else bool(norm))
        return ItemResult(values["id"], sums, values["choice"], values.get("choice_norm"), *right)


def rounded(results: Iterable[ItemResult]) -> list[ItemResult]:
    """The results, log-likelihoods to a thousandth of a nat: finer than a page shows, in under half the bytes."""
    return [
        r._replace(loglikelihoods=tuple(v if v is None else round(v, 3) for v in r.loglikelihoods)) for r in results
    ]


def pack(results: Iterable[ItemResult]) -> bytes:
    """The results as a blob; `unpack` gives them back exactly."""
    return blob.deflate([list(r) for r in results])


def unpack(packed: bytes, most_bytes: int = 0) -> list[ItemResult]:
    """The results of a blob; raises ValueError where they take more than `most_bytes` (0: as many as they like)."""
    return [ItemResult(id, tuple(sums), *answered) for id, sums, *answered in blob.inflate(packed, most_bytes)]
