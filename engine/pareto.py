"""The Pareto front of two metrics, its knee, and the area it dominates.

A point dominates another when it is no worse in both metrics and better in one; points that are equal in both don't
dominate each other, so ties stay. Values that are not finite never stand on a front.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.stats import Z

Better = Literal["lower", "higher"]
Floats = NDArray[np.float64]


def on_front(x: ArrayLike, y: ArrayLike, x_better: Better = "lower", y_better: Better = "higher") -> NDArray[np.bool_]:
    """Which points no other dominates: [points] of booleans, in O(n log n)."""
    xs, ys = _costs(x, x_better), _costs(y, y_better)
    mask = np.zeros(len(xs), dtype=bool)
    valid = np.flatnonzero(np.isfinite(xs) & np.isfinite(ys))
    if not len(valid):
        return mask
    order = valid[np.argsort(xs[valid], kind="stable")]
    starts, heights = _steps(xs[order], ys[order])
    mask[order] = ys[order] == np.repeat(heights, np.diff(starts, append=len(order)))
    return mask


def hypervolume(
    x: ArrayLike, y: ArrayLike, reference: tuple[float, float], x_better: Better = "lower", y_better: Better = "higher"
) -> float:
    """The exact area that the points dominate inside the corner `reference` (x, y), in units of x times y.

    Points that are no better than the reference in either metric add nothing. Larger is better.
    """
    xs, ys = _costs(x, x_better), _costs(y, y_better)
    corner_x, corner_y = float(_costs([reference[0]], x_better)[0]), float(_costs([reference[1]], y_better)[0])
    inside = on_front(xs, ys, "lower", "lower") & (xs < corner_x) & (ys < corner_y)
    corners = np.unique(np.column_stack((xs[inside], ys[inside])), axis=0)  # by x upwards, so y goes down
    if not len(corners):
        return 0.0
    heights = np.r_[corner_y, corners[:-1, 1]] - corners[:, 1]
    return float(((corner_x - corners[:, 0]) * heights).sum())


@dataclass(frozen=True)
class Knee:
    """The last point of a front before quality falls off, as an index into the points given.

    `low` and `high` are the points with the smallest and largest x that the knee moves to in 95% of resamplings; all
    three are the same where resampling doesn't move it.
    """

    index: int
    low: int
    high: int

    @property
    def is_range(self) -> bool:
        return self.low != self.high


def knee(
    x: ArrayLike,
    y: ArrayLike,
    y_low: ArrayLike | None = None,
    y_high: ArrayLike | None = None,
    *,
    x_better: Better = "lower",
    y_better: Better = "higher",
    log_x: bool = True,
    log_y: bool = False,
    draws: int = 200,
    seed: int = 0,
) -> Knee | None:
    """The point of the front that stands farthest above the chord between the front's two ends.

    A front runs on, as the step that it is, to the worst x of all points: what costs more and is no better says that
    nothing is gained there. Both axes are stretched to [0, 1] between the ends first, x (and y where `log_y`) after a
    logarithm. None where all of the front lies on or below the chord: quality that falls evenly has no knee.
    `y_low` and `y_high` [points] are 95% intervals; with them the ys are drawn `draws` times from normal distributions
    of that width, and the front and its knee found again.
    Source: the distance of Kneedle, Satopää et al. 2011, for a front that is known as a whole.
    """
    xs, ys = _logged(x, log_x, x_better), _logged(y, log_y, y_better)
    end = float(np.max(xs, where=np.isfinite(xs + ys), initial=-np.inf))
    order = np.argsort(xs, kind="stable")
    order = order[np.isfinite(xs + ys)[order]]
    centre = _knee(xs[order], ys[order], end)
    if centre is None:
        return None
    spread = _spread(y, y_low, y_high, log_y)
    near = _near_front(ys, spread, order)
    place = np.searchsorted(np.sort(near), near)  # of each point's noise, drawn in the order of the points given
    random = np.random.default_rng(seed)
    found: list[int] = []
    for noise in random.standard_normal((draws, len(near))) if spread[near].any() else ():
        index = _knee(xs[near], ys[near] + noise[place] * spread[near], end)
        if index is not None:
            found.append(int(near[index]))
    middle = int(order[centre])
    low, high = _central(found or [middle], xs)
    better_x = np.asarray(x, dtype=float)
    ends = sorted({middle, low, high}, key=lambda i: better_x[i])
    return Knee(middle, ends[0], ends[-1])


def _costs(values: ArrayLike, better: Better) -> Floats:
    """The values as costs: lower is better."""
    array = np.array(values, dtype=np.float64)
    return array if better == "lower" else -array


def _logged(values: ArrayLike, log: bool, better: Better) -> Floats:
    array = np.array(values, dtype=np.float64)
    if log:
        array = np.log(np.where(array > 0, array, np.nan))
    return array if better == "lower" else -array


def _steps(xs: Floats, ys: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Where each new x begins among costs by x upwards, and the front's y there, NaN where none of them is on it."""
    starts = np.flatnonzero(np.r_[True, xs[1:] > xs[:-1]])
    best = np.minimum.reduceat(ys, starts)
    best_before = np.r_[np.inf, np.minimum.accumulate(best)[:-1]]  # at any smaller x
    return starts, np.where(best < best_before, best, np.nan)


def _knee(xs: Floats, ys: Floats, end: float) -> int | None:
    """Index of the knee of costs on linear axes, by x upwards, the smaller x where two stand equally far, or None.

    end: how far the front runs on, the worst x of all points.
    """
    if not len(xs):
        return None
    starts, heights = _steps(xs, ys)
    front = np.flatnonzero(np.isfinite(heights))
    across, up = xs[starts[front]], heights[front]
    width, height = end - across[0], up[0] - up[-1]
    if width <= 0 or height <= 0:
        return None
    distance = 1 - (across - across[0]) / width - (up - up[-1]) / height
    best = int(np.argmax(distance))
    first = int(starts[front[best]])  # of the points of this x
    return first + int(np.argmax(ys[first:] == up[best])) if distance[best] > 1e-9 else None


def _spread(y: ArrayLike, y_low: ArrayLike | None, y_high: ArrayLike | None, log: bool) -> Floats:
    """Standard deviations of the ys on the axis they are drawn on; zero where an interval is missing."""
    values = np.array(y, dtype=np.float64)
    if y_low is None or y_high is None:
        return np.zeros(len(values))
    low, high = _logged(y_low, log, "lower"), _logged(y_high, log, "lower")
    return np.nan_to_num((high - low) / (2 * Z), nan=0.0, posinf=0.0, neginf=0.0)


def _near_front(ys: Floats, spread: Floats, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """The points of the front, and those whose 95% interval reaches it, by x upwards as `order` has all of them."""
    bound = np.minimum.accumulate(ys[order])
    return order[(ys - Z * spread)[order] <= bound]


def _central(found: list[int], xs: Floats) -> tuple[int, int]:
    """The ends of the central 95% of the points found, by x."""
    ordered = sorted(found, key=lambda i: xs[i])
    cut = int(0.025 * len(ordered))
    return ordered[cut], ordered[len(ordered) - 1 - cut]
