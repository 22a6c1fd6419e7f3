"""Which questions a compressed model answers otherwise than the dense one, by how much, and what was asked.

Flips follow acc. Where a task has no choices, as when a word is to be guessed, being right or not is the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine import tasks
from engine.errors import InputError
from engine.spec import Trial
from engine.tasks import TASKS, Item

if TYPE_CHECKING:
    from engine.store.items import ItemResult

Direction = Literal["to_wrong", "to_right", "other_wrong"]
DIRECTIONS: tuple[Direction, ...] = ("to_wrong", "to_right", "other_wrong")


@dataclass(frozen=True)
class Flip:
    """One question whose answer changed, with both models' answers to it."""

    task: str
    id: int  # the question's place in its file
    direction: Direction
    compressed: "ItemResult"
    dense: "ItemResult"

    @property
    def gold(self) -> int | None:
        """The right choice, known from whichever model is right; None where neither is or there are no choices."""
        return next((a.choice for a in (self.dense, self.compressed) if a.correct), None)

    @property
    def dense_margin(self) -> float | None:
        """By how much the dense model prefers its choice to the compressed one's: log-likelihoods' difference, nats."""
        return _margin(self.dense, self.compressed)

    @property
    def compressed_margin(self) -> float | None:
        """By how much the compressed model prefers its choice to the dense one's."""
        return _margin(self.compressed, self.dense)

    @property
    def swing(self) -> float:
        """How far the answer moved: both margins; where there are no choices, the right word's log-likelihood."""
        ours, theirs = self.compressed_margin, self.dense_margin
        if ours is not None and theirs is not None:
            return ours + theirs
        words = (self.compressed.loglikelihoods[:1], self.dense.loglikelihoods[:1])
        known = [sums[0] for sums in words if sums and sums[0] is not None]
        return abs(known[0] - known[1]) if self.compressed.choice is None and len(known) == 2 else 0.0


def find_flips(
    items: Mapping[str, Sequence["ItemResult"]], dense_items: Mapping[str, Sequence["ItemResult"]]
) -> list[Flip]:
    """The questions of all tasks that both models answered, and otherwise.

    Those that went from right to wrong come first, then from wrong to right, then from one wrong answer to another;
    within each the farthest swing.
    """
    found = [
        Flip(task, ours.id, _direction(ours, theirs), ours, theirs)
        for task, answers in items.items()
        for ours, theirs in zip(*align(answers, dense_items.get(task, ())), strict=True)
        if differs(ours, theirs)
    ]
    return sorted(found, key=lambda flip: (DIRECTIONS.index(flip.direction), -flip.swing, flip.task, flip.id))


def align(
    ours: Sequence["ItemResult"], theirs: Sequence["ItemResult"]
) -> tuple[list["ItemResult"], list["ItemResult"]]:
    """Both models' answers to the items that both answered, in one order."""
    known = {answer.id: answer for answer in theirs}
    common = [answer for answer in ours if answer.id in known]
    return common, [known[answer.id] for answer in common]


def differs(ours: "ItemResult", theirs: "ItemResult") -> bool:
    """Whether the answer changed; where a task has no choices, whether being right did."""
    if ours.choice is None and theirs.choice is None:
        return ours.correct != theirs.correct
    return ours.choice != theirs.choice


def load_questions(trial: Trial, task: str) -> dict[int, Item]:
    """The questions of a trial's task, by id, without asking the network.

    Raises InputError where their file is not there any more, can't be read, or is not the one that was asked.
    """
    if task not in TASKS:
        raise InputError(f"the questions of {task} are not kept by Kneepoint")
    folder = Path(trial.data_dir) if trial.data_dir else None
    if folder is not None and not folder.is_dir():
        raise InputError(f"the folder of the questions, {trial.data_dir}, is not there any more")
    if not tasks.is_here(task, folder):
        raise InputError(f"the file of {TASKS[task].label} is not there any more")
    if tasks.task_sha256(task, folder) != dict(trial.data_sha256).get(task):
        raise InputError(f"the file of {TASKS[task].label} has changed since these questions were asked")
    return {item.id: item for item in tasks.load(task, trial.protocol.limit, folder)}


def question_text(item: Item) -> str:
    """What is asked, as people read it; a blank (___) where the options stand inside a sentence."""
    if len({context for context, _ in item.requests}) == 1:
        return item.context
    stems = {
        context.removesuffix(option) for (context, _), option in zip(item.requests, item.options, strict=True) if option
    }
    return f"{stems.pop()}___{item.choices[0]}" if len(stems) == 1 else ""


def _direction(ours: "ItemResult", theirs: "ItemResult") -> Direction:
    if theirs.correct:
        return "to_wrong"
    return "to_right" if ours.correct else "other_wrong"


def _margin(chooser: "ItemResult", other: "ItemResult") -> float | None:
    if chooser.choice is None or other.choice is None:
        return None
    mine, theirs = chooser.loglikelihoods[chooser.choice], chooser.loglikelihoods[other.choice]
    return None if mine is None or theirs is None else mine - theirs
