"""What is kept of a trial beside its row: too large, or too seldom read, to stand among its metrics."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.outcome.texts import Text

Profile = Mapping[str, Any]  # JSON content: a result with more than one number, such as an error for every block


class Kept(NamedTuple):
    """The greedy texts of a trial, and its profiles by name."""

    texts: Sequence[Text] = ()
    profiles: Mapping[str, Profile] = {}


NOTHING_KEPT = Kept()
