import pytest

from engine.methods.rounds import steps_down


@pytest.mark.parametrize(
    ("start", "end", "rounds", "left"),
    [
        (9, 3, 3, [7, 5, 3]),
        (10, 3, 2, [7, 3]),
        (8, 6, 4, [7, 6]),  # rounds that would remove nothing are left out
        (5, 5, 3, []),
        (1536, 1216, 1, [1216]),
    ],
)
def test_equal_shares_down_to_the_target(start: int, end: int, rounds: int, left: list[int]) -> None:
    assert steps_down(start, end, rounds) == left
