"""What can be said of accuracies measured on few items: intervals, paired comparisons, flips.

A compressed model answers the items that the dense model answered, so the two are compared item by item: an item that
both get right or both get wrong says nothing, and the noise of which items were drawn cancels. Accuracies are macro
means over tasks, each task with the same weight however many items it has.

Every interval is a 95% interval in closed form, so the same answers always give the same numbers. None of them has zero
width when nothing differed: that 300 answers agree doesn't show that the next would.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Z = 1.959963984540054  # the normal distribution's 97.5% point
POWER_Z = 0.8416212335729143  # its 80% point

Standing = Literal["better", "worse", "not distinguishable"]


class Interval(NamedTuple):
    """Two ends of a 95% interval, low <= high."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A measured value with its 95% interval."""

    value: float
    low: float
    high: float


class Verdict(NamedTuple):
    """Whether a model can be told from dense on the questions both answered.

    change: compressed less dense accuracy, in [-1, 1]; low and high: its 95% interval.
    """

    standing: Standing
    questions: int
    change: float
    low: float
    high: float


@dataclass(frozen=True)
class Pairs:
    """The items of one task by which of two models answered them right."""

    both: int
    only_compressed: int
    only_dense: int
    neither: int

    @property
    def items(self) -> int:
        return self.both + self.only_compressed + self.only_dense + self.neither


def pair(compressed: ArrayLike, dense: ArrayLike) -> Pairs:
    """Count the four outcomes of one task; both arguments are [items] of booleans, in the same order.

    Raises ValueError where their lengths differ or there are no items.
    """
    ours, theirs = np.asarray(compressed, dtype=bool), np.asarray(dense, dtype=bool)
    if ours.shape != theirs.shape or ours.ndim != 1 or not len(ours):
        raise ValueError(f"paired answers must be two equal, non-empty lists, got {ours.shape} and {theirs.shape}")
    outcomes = (ours & theirs, ours & ~theirs, ~ours & theirs, ~ours & ~theirs)
    return Pairs(*(int(outcome.sum()) for outcome in outcomes))


def wilson(successes: int, items: int) -> Interval:
    """The score interval of a share of items; raises ValueError unless 0 <= successes <= items and items > 0.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22.
    """
    if not 0 <= successes <= items or items == 0:
        raise ValueError(f"successes must be in [0, items] and items above 0, got {successes} of {items}")
    from scipy.stats import binomtest  # slow to import, and pages read intervals that are stored already

    ends = binomtest(successes, items).proportion_ci(method="wilson")
    return Interval(float(ends.low), float(ends.high))


def mean_interval(values: ArrayLike) -> Interval | None:
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


def standard_error(successes: int, items: int) -> float | None:
    """The sample standard deviation of right and wrong over the root of their number, as lm-eval gives it.

    None for a single item, which has no spread. Source: lm-evaluation-harness 0.4.13, `mean_stderr`.
    """
    share = successes / items
    return math.sqrt(share * (1 - share) / (items - 1)) if items > 1 else None


def macro_standard_error(errors: Sequence[float | None]) -> float | None:
    """The standard error of the mean over tasks of their shares, from each task's; None where one is not known.

    Source: lm-evaluation-harness 0.4.13, `unweighted_mean_stderr`.
    """
    known = [error for error in errors if error is not None]
    return math.hypot(*known) / len(known) if len(known) == len(errors) else None


def macro_accuracy(tasks: Sequence[tuple[int, int]]) -> Estimate:
    """The mean over tasks of their shares, from (successes, items) of each.

    The tasks' Wilson intervals are joined by adding the squares of their arms, so one task gives Wilson's own.
    Source: Zou and Donner 2008, Statistics in Medicine 27 (the method of variance estimates recovery).
    """
    shares = np.array([successes / items for successes, items in tasks])
    ends = np.array([wilson(successes, items) for successes, items in tasks])  # [tasks, 2]
    value, (down, up) = float(shares.mean()), np.sqrt(((ends - shares[:, None]) ** 2).sum(axis=0)) / len(tasks)
    return Estimate(value, max(0.0, value - down), min(1.0, value + up))


def accuracy_change(tasks: Sequence[Pairs]) -> Estimate:
    """The macro mean of compressed less dense accuracy, in [-1, 1], with its paired interval.

    One imagined item is added to each side of the disagreements, shared out among the tasks, before the normal interval
    is taken: tasks of one size then give the interval of their items pooled.
    Source: Bonett and Price 2012, J. Educ. Behav. Stat. 37.
    """
    value = float(np.mean([(p.only_compressed - p.only_dense) / p.items for p in tasks]))
    m = _moments(tasks)
    centre = m.compressed - m.dense
    half = Z * math.sqrt(max(0.0, m.var_compressed - 2 * m.covariance + m.var_dense))
    return Estimate(value, max(-1.0, centre - half), min(1.0, centre + half))


def retention(tasks: Sequence[Pairs], chance: float = 0.0) -> Estimate | None:
    """(compressed - chance) / (dense - chance) of macro accuracies with its paired interval.

    None where the dense accuracy itself can't be told from `chance`: the ratio then has no bounded interval. With the
    same imagined items as `accuracy_change`, and 1 is inside this interval exactly when 0 is inside that one.
    Source: Fieller 1954, J. R. Stat. Soc. B 16.
    """
    dense = float(np.mean([(p.both + p.only_dense) / p.items for p in tasks])) - chance
    compressed = float(np.mean([(p.both + p.only_compressed) / p.items for p in tasks])) - chance
    m = _moments(tasks)
    ours, theirs = m.compressed - chance, m.dense - chance
    square = theirs**2 - Z**2 * m.var_dense
    if dense <= 0 or theirs <= 0 or square <= 0:
        return None
    middle = ours * theirs - Z**2 * m.covariance
    root = math.sqrt(max(0.0, middle**2 - square * (ours**2 - Z**2 * m.var_compressed)))
    low, high = (middle - root) / square, (middle + root) / square
    return Estimate(compressed / dense, low if chance else max(0.0, low), high)


def distinguishable(change: Estimate | Interval) -> bool:
    """Whether an interval of a change leaves zero out."""
    return change.low > 0 or change.high < 0


def verdict(change: Estimate, questions: int) -> Verdict:
    """What an interval of a change says: better, worse, or not distinguishable on that many questions."""
    standing: Standing = "not distinguishable"
    if distinguishable(change):
        standing = "better" if change.low > 0 else "worse"
    return Verdict(standing, questions, *change)


def questions_to_settle(change: Estimate, questions: int, difference: float) -> int:
    """How many questions of the same kind would show a true `difference` in accuracy at 95%, four times in five.

    change: what was measured on `questions` items, from `accuracy_change`: its width holds how often the two models
    disagree, and so how much one more question tells. difference: in (0, 1]; no difference needs less disagreement
    than itself. Raises ValueError outside these ranges. Source: Connor 1987, Biometrics 43.
    """
    if questions < 1 or not 0 < difference <= 1:
        raise ValueError(f"questions must be above 0 and difference in (0, 1], got {questions} and {difference}")
    variance = questions * ((change.high - change.low) / (2 * Z)) ** 2  # of one question's difference
    disagreement = min(1.0, max(difference, variance + change.value**2))
    roots = Z * math.sqrt(disagreement) + POWER_Z * math.sqrt(disagreement - difference**2)
    return math.ceil((roots / difference) ** 2)


def mcnemar_p(tasks: Sequence[Pairs]) -> float:
    """The exact two-sided p-value that both models are right equally often, from the items they disagree on.

    1.0 where they never disagree. Source: McNemar 1947, Psychometrika 12, in its exact binomial form.
    """
    ours, theirs = sum(p.only_compressed for p in tasks), sum(p.only_dense for p in tasks)
    if ours + theirs == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(ours, ours + theirs).pvalue)


class _Moments(NamedTuple):
    """Means of the two macro accuracies, and the variances and covariance of those means."""

    compressed: float
    dense: float
    var_compressed: float
    var_dense: float
    covariance: float


def _moments(tasks: Sequence[Pairs]) -> _Moments:
    imagined = 1 / len(tasks)  # items added to each side of a task's disagreements
    both = np.array([p.both for p in tasks], dtype=float)
    items = np.array([p.items for p in tasks]) + 2 * imagined
    ours = (both + [p.only_compressed + imagined for p in tasks]) / items
    theirs = (both + [p.only_dense + imagined for p in tasks]) / items
    scale = len(tasks) ** 2
    return _Moments(
        float(ours.mean()),
        float(theirs.mean()),
        float((ours * (1 - ours) / items).sum()) / scale,
        float((theirs * (1 - theirs) / items).sum()) / scale,
        float(((both / items - ours * theirs) / items).sum()) / scale,
    )
