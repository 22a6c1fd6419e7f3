"""Which trials of a sweep need more questions, and which are settled already, at a stated confidence.

Every trial answers the items in one seeded order, in rounds: a round asks each task for its share of items, drawn at
random from those that are left. After any round a bettor who holds that one trial is as good as another *on all items*
stakes on every item of the next round at odds that would be fair if it were not; wealth beyond 1 / error is evidence,
whenever one looks (Ville's inequality), so looking again costs nothing. As items are drawn without replacement, the
odds follow what is left.

Why the wins of a round's items may be multiplied, though the odds only hold for the round's sum: stakes are known
before the round, tasks are drawn apart, and the items of a task, drawn without replacement, are negatively associated.
So the expected product is at most the product of what is expected, and as 1 + x <= e^x that is at most e to the
expected sum, which is not above 0 where the bettor is wrong. Betting on single items is what lets the stakes be large:
an item can lose a bettor far less than a round in which every task goes against him.
Source: Waudby-Smith and Ramdas 2024, J. R. Stat. Soc. B 86 (betting, also without replacement); Joag-Dev and Proschan
1983, Ann. Stat. 11 (negative association).

Differences within a tolerance don't decide a choice, and waiting for them would cost most of the questions. A trial is

- *left out* where one that is no larger is surely at most the tolerance less accurate;
- *on the front* where it is surely at most the tolerance less accurate than each that is no larger and not left out;
- *open* until then: it goes on, with those it must be held against, to the last item if need be.

With the stated confidence, taken over all pairs of the sweep at once, every one of these statements holds on all items.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
TOLERANCE = 0.03  # of accuracy, in [0, 1): what 3,000 questions settle between 24 trials, see `resolution`

Floats = NDArray[np.float64]
State = Literal["open", "on the front", "left out"]

# What bettors take the advantage over the odds to be, in accuracy over all items; each has an equal part of the wealth.
_ADVANTAGES = np.array([[0.02], [0.03], [0.045], [0.07], [0.1]])
_BOLDEST = 0.6  # the most of his wealth that one item can cost a bettor
_DIFFER, _EXPECTED = 0.1, 3  # before any is seen, this share of answers is taken to differ, as if in so many rounds
_ALIKE_DIFFER = 0.14  # the share of answers in which two results within 3 points differ: the median of 24 such trials
_POWER = 0.8
_EDGE = 1e-9


@dataclass(frozen=True)
class Standing:
    """Where a trial stands: its state, which trial leaves it out, and whether it must answer more."""

    state: State
    by: str | None
    needed: bool


@dataclass(frozen=True)
class Schedule:
    """In which round each item is asked.

    items: task -> how many it has, none of them empty. A task's places, with blanks that fill up its last share, are
    shuffled by themselves and dealt out in equal shares: rounds are exchangeable, whatever the tasks' sizes, and a
    task's order does not depend on which others are asked.
    """

    items: Mapping[str, int]
    seed: int

    @property
    def rounds(self) -> int:
        """How many there are: each asks about one item of the smallest task."""
        return min(self.items.values())

    def first(self, share: float) -> int:
        """How many rounds a share of the questions is."""
        return math.ceil(share * self.rounds - _EDGE)

    @property
    def weights(self) -> Floats:
        """[items of a round]: what each right answer of a round adds to an accuracy, times the rounds."""
        return np.concatenate(
            [np.full(self._share(task), self.rounds / size / len(self.items)) for task, size in self.items.items()]
        )

    def places(self, task: str) -> list[list[int]]:
        """The places of the items of a task that each round asks."""
        size = self.items[task]
        return [[int(place) for place in one if place < size] for one in self._dealt(task)]

    def scores(self, right: Mapping[str, Mapping[int, bool]]) -> Floats:
        """[answered rounds, items of a round]: what each adds to the accuracy, times the rounds; blanks add nothing.

        right: task -> (an item's place -> whether it was answered right). Ends before the first round that lacks one.
        """
        columns = []
        for task, size in self.items.items():
            said = np.zeros(self.rounds * self._share(task))  # blanks last
            said[:size] = [right.get(task, {}).get(place, math.nan) for place in range(size)]
            columns.append(said[self._dealt(task)])
        values = np.concatenate(columns, axis=1)
        lacking = np.isnan(values).any(axis=1)
        return (values * self.weights)[: lacking.argmax() if lacking.any() else None]

    def _dealt(self, task: str) -> NDArray[np.int64]:
        """[rounds, share]: the places that each round asks; those beyond the task's items are blanks."""
        draw = np.random.default_rng([self.seed, *task.encode()])
        return draw.permutation(self.rounds * self._share(task)).reshape(self.rounds, -1)

    def _share(self, task: str) -> int:
        return math.ceil(self.items[task] / self.rounds)


def resolution(items: Mapping[str, int], trials: int, confidence: float = CONFIDENCE) -> float:
    """The smallest difference in accuracy, in [0, 1], that all questions settle between any two of so many trials.

    items: task -> how many it has, none of them empty. Settled is what shows, four times in five, at the confidence
    over all pairs at once, where two results differ in as many answers as they usually do. A tolerance well below it
    stops few trials early: whatever the rule, what is left to settle takes every question.
    """
    pairs = max(1, trials * (trials - 1) // 2)
    variance = sum(_ALIKE_DIFFER / size for size in items.values()) / len(items) ** 2
    roots = NormalDist().inv_cdf(1 - (1 - confidence) / pairs) + NormalDist().inv_cdf(_POWER)
    return min(1.0, roots * math.sqrt(variance))


def standings(
    answered: Mapping[str, Floats],
    size: Mapping[str, float],
    schedule: Schedule,
    left_out: Mapping[str, str],
    confidence: float = CONFIDENCE,
    tolerance: float = TOLERANCE,
) -> dict[str, Standing]:
    """Where every trial of a sweep stands, by trial id.

    answered: each trial's `Schedule.scores` as far as it has come; size: what the front weighs against accuracy, lower
    being better; left_out: what was found before, trial -> by which: found once, it holds.
    """
    by_size = sorted(answered, key=lambda i: size[i])
    rivals = {i: [j for j in by_size if j != i and size[j] <= size[i]] for i in by_size}
    level = math.log(max(1, sum(map(len, rivals.values()))) / (1 - confidence))

    def held(first: str, second: str, by: float) -> float:
        """The evidence that the first is at most that much less accurate; without bounds once both answered all."""
        ours, theirs = answered[first], answered[second]
        if len(ours) == len(theirs) == schedule.rounds:
            return math.inf if ours.sum() >= theirs.sum() - _EDGE else -math.inf
        return evidence(ours, theirs, schedule, by)

    def replaces(rival: str, trial: str, by: float) -> float:
        """The evidence that the rival, which is no larger, leaves the trial out; equals of one size leave neither.

        Where nothing is tolerated the tolerant bettor must win too, so that a pair can mislead only through him.
        """
        equals = size[rival] == size[trial] and held(trial, rival, 0.0) >= level
        return -math.inf if equals else min(held(rival, trial, slack) for slack in {by, tolerance})

    out = _left_out(rivals, replaces, level, tolerance, left_out)
    against = {i: [j for j in rivals[i] if j not in out and held(i, j, tolerance) < level] for i in rivals}
    wanted = {trial for i, others in against.items() if others and i not in out for trial in (i, *others)}
    return {
        i: Standing(
            "left out" if i in out else "open" if against[i] else "on the front",
            out.get(i),
            i in wanted and len(answered[i]) < schedule.rounds,
        )
        for i in answered
    }


def evidence(ours: Floats, theirs: Floats, schedule: Schedule, tolerance: float) -> float:
    """The most log-wealth reached by bettors who hold that we are at most the tolerance less accurate than they.

    Reads the rounds that both answered. Infinite once the rounds that are left can't make it untrue. A stake is the
    advantage that is hoped for over the variance so far, near to what grows wealth fastest; as rounds run out, what
    has been won weighs more in the odds, and the advantage with it.
    """
    both = min(len(ours), len(theirs))
    if not both:
        return 0.0
    wins, weights = ours[:both] - theirs[:both], schedule.weights  # [rounds, items], each within its weight of 0
    seen, left = np.arange(both), schedule.rounds - np.arange(both)
    fair = (-tolerance * schedule.rounds - _before(wins)) / left / weights.sum()  # the mean of what is left, by weight
    certain = fair <= _EDGE - 1
    variance = (_before(wins**2) + _EXPECTED * _DIFFER * (weights**2).sum()) / (seen + _EXPECTED)
    safe = _BOLDEST / (weights.max() * np.maximum(1 + fair, _EDGE))
    stakes = np.minimum(_ADVANTAGES * schedule.rounds / left / variance, safe)  # [bettors, rounds]
    won = wins - np.maximum(fair, -1)[:, None] * weights
    grown = np.where(certain, np.inf, np.log1p(stakes[:, :, None] * won).sum(axis=2))
    wealth = np.logaddexp.reduce(np.cumsum(grown, axis=1), axis=0) - math.log(len(_ADVANTAGES))
    return float(wealth.max(initial=0.0))


def _before(values: Floats) -> Floats:
    """[rounds]: the sum over all items of earlier rounds."""
    return np.concatenate([[0.0], np.cumsum(values.sum(axis=1))[:-1]])


def _left_out(
    rivals: Mapping[str, Sequence[str]],
    replaces: Callable[[str, str, float], float],
    level: float,
    tolerance: float,
    before: Mapping[str, str],
) -> dict[str, str]:
    """Trials that are left out -> by which, those of `before` among them; `rivals` from the smallest trial on.

    One that leaves another out stays itself unless it is surely no more accurate than a third: were the tolerance
    enough, a staircase of small steps would fall one by one.
    """
    out, staying = dict(before), set(before.values())
    for trial in (trial for trial in rivals if trial not in before):
        slack = 0.0 if trial in staying else tolerance
        found = {rival: replaces(rival, trial, slack) for rival in rivals[trial] if rival not in out}
        sure = [rival for rival in found if found[rival] >= level]
        if sure:
            out[trial] = max(sure, key=lambda rival: (rival in staying, found[rival]))
            staying.add(out[trial])
    return out
