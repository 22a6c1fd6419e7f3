import time

import numpy as np
import pytest

from engine import pareto


def brute_force(xs: np.ndarray, ys: np.ndarray) -> list[bool]:
    """Lower x and higher y are better."""
    points = list(zip(xs, ys, strict=True))
    return [not any(a <= x and b >= y and (a < x or b > y) for a, b in points) for x, y in points]


@pytest.mark.parametrize("seed", range(20))
def test_front_equals_brute_force_with_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    xs, ys = random.integers(0, 8, 40).astype(float), random.integers(0, 8, 40).astype(float)
    assert pareto.on_front(xs, ys).tolist() == brute_force(xs, ys)


def test_equal_points_both_stay() -> None:
    assert pareto.on_front([1, 1, 1, 2], [5, 5, 4, 5]).tolist() == [True, True, False, False]


def test_directions() -> None:
    assert pareto.on_front([1, 2, 3], [1, 2, 1], "higher", "lower").tolist() == [False, False, True]


def test_values_that_are_not_finite_never_stand_on_a_front() -> None:
    assert pareto.on_front([1, np.nan, 2], [np.inf, 3, 2]).tolist() == [False, False, True]
    assert pareto.on_front([], []).tolist() == []


def test_hypervolume_by_hand() -> None:
    """Two steps inside the corner (4, 0): from x = 1 to 2 of height 1, from 2 to 4 of height 3."""
    assert pareto.hypervolume([1, 2, 3, 9], [1, 3, 2, 9], (4, 0)) == pytest.approx(1 * 1 + 2 * 3)
    assert pareto.hypervolume([5], [5], (4, 0)) == 0
    assert pareto.hypervolume([2, 2], [3, 3], (4, 0)) == pytest.approx(6)


def test_hypervolume_equals_counting_cells() -> None:
    random = np.random.default_rng(3)
    xs, ys = random.integers(0, 20, 12).astype(float), random.integers(1, 20, 12).astype(float)
    cells = sum(any(x <= i and y >= j + 1 for x, y in zip(xs, ys, strict=True)) for i in range(20) for j in range(20))
    assert pareto.hypervolume(xs, ys, (20, 0)) == pytest.approx(cells)


SIZES = [50, 70, 100, 140, 200, 280]
ACCURACIES = [0.30, 0.31, 0.44, 0.45, 0.455, 0.46]


def test_knee_is_the_last_point_before_the_fall() -> None:
    found = pareto.knee(SIZES, ACCURACIES)
    assert found is not None
    assert (found.index, found.is_range) == (2, False)


def test_knee_ignores_dominated_points() -> None:
    found = pareto.knee([*SIZES, 150], [*ACCURACIES, 0.2])
    assert found is not None
    assert found.index == 2


@pytest.mark.parametrize("accuracies", [[0.1, 0.2, 0.3], [0.1, 0.12, 0.3], [0.1, 0.1, 0.1]])
def test_a_front_that_is_straight_sags_or_has_one_point_has_no_knee(accuracies: list[float]) -> None:
    assert pareto.knee([10, 100, 1000], accuracies) is None


def test_a_front_runs_on_to_what_costs_more_and_is_no_better() -> None:
    """Here the smallest of the best is the knee: without what is larger, 100 lies below the line from 50 to 200."""
    assert pareto.knee([50, 100, 200], [0.2, 0.25, 0.45]) is None
    y = np.array([0.2, 0.25, 0.45, 0.44])
    found = pareto.knee([50, 100, 200, 400], y, y - 0.01, y + 0.01)
    assert found == pareto.Knee(2, 2, 2)


def test_knee_becomes_a_range_where_noise_moves_it_and_only_there() -> None:
    sizes, accuracies = [50, 100, 120, 280], [0.30, 0.43, 0.45, 0.46]
    y = np.array(accuracies)
    noisy = pareto.knee(sizes, y, y - 0.03, y + 0.03)
    still = pareto.knee(sizes, y, y - 0.0005, y + 0.0005)
    assert noisy is not None
    assert still is not None
    assert (sizes[noisy.low], sizes[noisy.high], still.is_range) == (100, 120, False)
    assert noisy == pareto.knee(sizes, y, y - 0.03, y + 0.03)


def test_knee_works_for_faster_is_right_and_for_perplexity() -> None:
    found = pareto.knee([1, 1.1, 2, 2.1], [0.46, 0.455, 0.45, 0.3], x_better="higher")
    assert found is not None
    assert found.index == 2
    found = pareto.knee(SIZES, [900, 800, 25, 23, 22, 21.6], y_better="lower", log_y=True)
    assert found is not None
    assert found.index == 2


def test_a_million_points_are_not_compared_with_each_other() -> None:
    """Each with each would be 10^12 comparisons: no machine does them within the limit, and no memory holds them."""
    random = np.random.default_rng(0)
    xs = random.uniform(20, 300, 10**6)
    ys = 0.3 + 0.2 * (1 - np.exp(-xs / 60)) + random.normal(0, 0.02, 10**6)
    began = time.process_time()
    assert 0 < pareto.on_front(xs, ys).sum() < 1000
    assert time.process_time() - began < 20
