"""Which trials of a sweep need more questions, and which are settled already, at a stated confidence.

Every trial answers the items in one seeded order, in rounds: a round asks each task for its share of items, drawn at
random from those that are left. After any round a bettor who holds that one trial is as good as another *on all items*
stakes on the next round at odds that would be fair if it were not; wealth beyond 1 / error is evidence, whenever one
looks (Ville's inequality), so looking again costs nothing. As items are drawn without replacement, the odds follow what
is left.
Source: Waudby-Smith and Ramdas 2024, J. R. Stat. Soc. B 86 (betting, also without replacement).

Differences within a tolerance don't decide a choice, and waiting for them would cost most of the questions. A trial is

- *left out* where one that is no larger is surely at most the tolerance less accurate;
- *on the front* where it is surely at most the tolerance less accurate than each that is no larger and not left out;
- *open* until then: it goes on, with those it must be held against, to the last item if need be.

With the stated confidence, taken over all pairs of the sweep at once, every one of these statements holds on all items.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
TOLERANCE = 0.02  # of accuracy, in [0, 1]

Floats = NDArray[np.float64]
State = Literal["open", "on the front", "left out"]

_STAKES = np.linspace(0.05, 0.9, 12)[:, None]  # shares of the largest safe stake, all held at once in equal parts
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
        return math.ceil(share * self.rounds)

    @property
    def widest(self) -> float:
        """The most that a round can add to an accuracy, times the rounds; 1 where all tasks have the same size."""
        return sum(self._share(task) * self.rounds / size for task, size in self.items.items()) / len(self.items)

    def places(self, task: str) -> list[list[int]]:
        """The places of the items of a task that each round asks."""
        share, size = self._share(task), self.items[task]
        draw = np.random.default_rng([self.seed, *task.encode()])
        dealt = draw.permutation(self.rounds * share).reshape(self.rounds, share)
        return [[int(place) for place in one if place < size] for one in dealt]

    def scores(self, right: Mapping[str, Mapping[int, bool]]) -> Floats:
        """[answered rounds]: what each adds to the accuracy, times the rounds, so that the mean of all is the accuracy.

        right: task -> (an item's place -> whether it was answered right). Ends before the first round that lacks one.
        """
        places = {task: self.places(task) for task in self.items}
        values: list[float] = []
        for number in range(self.rounds):
            asked = [(task, place) for task in self.items for place in places[task][number]]
            if any(place not in right.get(task, {}) for task, place in asked):
                break
            won = sum(right[task][place] / self.items[task] for task, place in asked)
            values.append(won * self.rounds / len(self.items))
        return np.array(values)

    def _share(self, task: str) -> int:
        return math.ceil(self.items[task] / self.rounds)


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
        """The evidence that the rival, which is no larger, leaves the trial out; equals of one size leave neither."""
        equals = size[rival] == size[trial] and held(trial, rival, 0.0) >= level
        return -math.inf if equals else held(rival, trial, by)

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
    """The most log-wealth reached by a bettor who holds that we are at most the tolerance less accurate than they.

    Reads the rounds that both answered. Infinite once the rounds that are left can't make it untrue.
    """
    both = min(len(ours), len(theirs))
    if not both:
        return 0.0
    wins, widest = ours[:both] - theirs[:both], schedule.widest  # each in [-widest, widest]
    before = np.concatenate([[0.0], np.cumsum(wins)[:-1]])
    fair = (-tolerance * schedule.rounds - before) / (schedule.rounds - np.arange(both))  # the mean of what is left
    certain = fair <= _EDGE - widest
    safe = np.minimum(1.0, 1.0 / np.maximum(widest + fair, _EDGE)) / max(1.0, widest)
    grown = np.where(certain, np.inf, np.log1p(_STAKES * safe * (wins - fair)))  # [stakes, rounds]
    wealth = np.logaddexp.reduce(np.cumsum(grown, axis=1), axis=0) - math.log(len(_STAKES))
    return float(wealth.max(initial=0.0))


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
