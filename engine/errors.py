"""The one kind of error whose text is meant for the user."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something the user gave is wrong; the message is one sentence naming the value and what is allowed."""


def unknown(kind: str, name: str, available: Iterable[str]) -> InputError:
    """An InputError for a name that does not exist, suggesting the nearest one that does."""
    names = sorted(available)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"unknown {kind} {name!r}; {hint}available: {', '.join(names)}")
