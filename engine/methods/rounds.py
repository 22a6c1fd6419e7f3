"""Pruning in rounds: how many units are left after each."""

from itertools import pairwise


def steps_down(start: int, end: int, rounds: int) -> list[int]:
    """The numbers left after each round from `start` to `end`, falling; rounds that would remove nothing are left out.

    >>> steps_down(9, 3, 3)
    [7, 5, 3]
    """
    left = [start - (start - end) * done // rounds for done in range(rounds + 1)]
    return [after for before, after in pairwise(left) if after < before]
