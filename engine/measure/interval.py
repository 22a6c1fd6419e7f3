"""The interval of a mean of few measured values, such as one a window of text."""

import math

import numpy as np
from numpy.typing import ArrayLike

from engine.stats import Interval


def of_mean(values: ArrayLike) -> Interval | None:
    """The 95% interval of the mean of independent values by Student's t, or None for fewer than two of them.

    Of zero width where they are all equal, and not a number where one of them is not finite.
    Source: Student 1908, Biometrika 6.
    """
    from scipy.special import stdtrit  # slow to import

    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return None
    with np.errstate(invalid="ignore"):
        mean, deviation = float(sample.mean()), float(sample.std(ddof=1))
    half = float(stdtrit(len(sample) - 1, 0.975)) * deviation / math.sqrt(len(sample))
    return Interval(mean - half, mean + half)
