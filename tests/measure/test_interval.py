"""Student's interval of a mean, against scipy's own."""

import math

import numpy as np
import pytest
from scipy import stats

from engine.measure import interval


@pytest.mark.parametrize("sample", [(1.0, 2.0), (0.1, -0.3, 0.2, 0.7, 0.05)])
def test_it_is_scipys(sample: tuple[float, ...]) -> None:
    expected = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    assert interval.of_mean(sample) == pytest.approx((expected.low, expected.high))


def test_two_values_by_hand() -> None:
    """Mean 1, standard error 1, and the t distribution's 97.5% point at one degree of freedom, tan(0.475 pi)."""
    assert interval.of_mean((0.0, 2.0)) == pytest.approx((1 - 12.7062047, 1 + 12.7062047))


def test_one_value_has_none_and_equal_values_no_width() -> None:
    assert interval.of_mean([3.0]) is None
    assert interval.of_mean([3.0, 3.0]) == (3.0, 3.0)


def test_what_is_not_finite_stays_visible() -> None:
    found = interval.of_mean(np.array([1.0, math.inf]))
    assert found is not None
    assert math.isnan(found.low)
