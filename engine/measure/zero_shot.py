"""Zero-shot accuracy by log-likelihood, with the numbers of lm-evaluation-harness 0.4.13 (`hf`, fp32).

The rules that make them equal: see `encoder` for the tokens; sequences are cut from the left to the model's length; a
choice's score is the sum of its tokens' log-probabilities; ties go to the first choice. What differs is the work:
choices share their context, and whatever else they begin with, in one token tree; trees are packed into batches of a
token budget; and the head runs at scored positions only.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from engine import stats
from engine.errors import InputError
from engine.measure.encoder import Encoder, max_length
from engine.measure.logits import Logits
from engine.measure.packing import apart, batches, packed, parted
from engine.measure.shared_context import TreePass, is_exact, turning_length
from engine.measure.token_budget import token_budget
from engine.measure.token_tree import Request, Scored, TokenTree
from engine.measure.tree_scores import Score, scored_places, tree_scores
from engine.system.heap import keep_freed_memory
from engine.tasks import Item, chance, get

Report = Callable[[int, int], None]  # (items answered, items in all)


class Answer(TypedDict):
    """How a model answered an item, as `--json` writes it; `choice` and `correct` follow acc.

    choice is None where a log-likelihood is not a number, and for an item without choices, which is right where every
    token is the model's own; choice_norm divides by the characters of the choices.
    """

    id: int
    loglikelihoods: list[float]
    choice: int | None
    choice_norm: int | None
    correct: bool
    correct_norm: bool


@dataclass
class Work:
    """What an evaluation ran, for `tests.benchmarks.zero_shot` to hold against the machine's arithmetic.

    nodes: tokens of all trees; padded: tokens that ran, padding included; scored: positions the head ran at;
    separate: tokens had every choice been a sequence of its own; attended: pairs of a token and one it attends to.
    """

    nodes: int = 0
    padded: int = 0
    scored: int = 0
    separate: int = 0
    attended: int = 0

    def add(self, batch: Sequence[TokenTree], ran: Sequence[int]) -> None:
        """Count a batch that ran as [rows, tokens, …]."""
        self.nodes += sum(len(tree) for tree in batch)
        self.padded += ran[0] * ran[1]
        self.scored += len(scored_places(batch))
        self.attended += sum(depth + 1 for tree in batch for depth in tree.depths)


class Evaluator:
    """Answers items with one network; `note` says, where it is so, why its choices can't share their context."""

    def __init__(self, network: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
        self.logits = Logits(network)
        self.body = TreePass(network)
        self.encoder = Encoder(tokenizer)
        self.longest = max_length(network, tokenizer)
        self.budget = token_budget(network)
        self.shares = is_exact(network, self.logits)
        self.turning_length = turning_length(network)
        self.work = Work()

    @property
    def note(self) -> str | None:
        if self.shares:
            return None
        family = self.logits.network.config.model_type
        return f"Choices were answered one by one: this model (family {family!r}) can't share their context exactly."

    def answer(self, items: Sequence[Item], report: Report | None = None) -> list[Answer]:
        """Every item's answer, in the order given.

        report: called after each batch with the items answered and their number. Raises InputError for an item without
        a token to score, or with more than the model's length of them.
        """
        requests = [self._requests(place, item) for place, item in enumerate(items)]
        scores: list[list[Score | None]] = [[None] * len(item.requests) for item in items]
        answered = 0
        with keep_freed_memory():
            for batch in self._batches(requests):
                for scored, score in self._scores(batch):
                    scores[scored.item][scored.choice] = score
                    answered += None not in scores[scored.item]
                if report:
                    report(answered, len(items))
        return [_answer(item, [one for one in of if one]) for item, of in zip(items, scores, strict=True)]

    def _requests(self, place: int, item: Item) -> list[Request]:
        """An item's choices in tokens, cut from the left to the model's length."""
        requests = []
        for choice, (before, targets) in enumerate(_encoded(item, self.encoder, self.longest)):
            sequence = tuple((before + targets)[-(self.longest + 1) : -1])
            requests.append(Request(place, choice, sequence, tuple(targets)))
            self.work.separate += len(sequence)
        return requests

    def _batches(self, requests: Sequence[Sequence[Request]]) -> Iterator[list[TokenTree]]:
        """What runs together, shorter sequences before those that turn the positions of all beside them."""
        for part in parted(requests, self.turning_length):
            yield from batches(packed(part) if self.shares else apart(part), self.budget)

    def _scores(self, batch: Sequence[TokenTree]) -> list[tuple[Scored, Score]]:
        with torch.inference_mode():
            states = self.logits.states(**self.body.inputs(batch))
            scores = list(tree_scores(self.logits, states, batch))
        self.work.add(batch, states.shape)
        return scores


def refuse_unscorable(network: nn.Module, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item]) -> None:
    """Raise InputError for an item with a blank or too long answer, before a network is worth answering with.

    `Evaluator.answer` refuses what few others there may be. An answer hardly ever has more tokens than bytes, so only
    those that could be too long are split into tokens.
    """
    encoder, longest = Encoder(tokenizer), max_length(network, tokenizer)
    for item in items:
        if any(not choice.strip() or len(choice.encode()) > longest for choice in item.choices):
            _encoded(item, encoder, longest)


def _encoded(item: Item, encoder: Encoder, longest: int) -> list[tuple[list[int], list[int]]]:
    """The tokens of each choice's context, and those to score; InputError where there are none, or too many."""
    encoded = []
    for choice, (context, continuation) in enumerate(item.requests):
        before, targets = encoder.pair(context, continuation)
        if not before or not targets:
            raise InputError(
                f"item {item.id}, choice {choice}: {len(before)} tokens of context and {len(targets)} to score; "
                "each needs one at least"
            )
        if len(targets) > longest:
            raise InputError(
                f"item {item.id}, choice {choice}: {len(targets)} tokens to score, and the model reads at most "
                f"{longest} at once; measure it on tasks with shorter answers"
            )
        encoded.append((before, targets))
    return encoded


def metrics(answered: Mapping[str, tuple[Sequence[Item], Sequence[Answer]]]) -> dict[str, float]:
    """accuracy, accuracy_norm and accuracy_chance, macro means over the tasks, and the first two of every task.

    answered: task name -> its items and their answers, paired and not empty. A task for which acc_norm is not defined
    counts with its acc. A task whose items are grouped also has an accuracy for each group, with its interval, and one
    without choices the perplexity of what should have come next.
    """
    values: dict[str, float] = {}
    for task, (items, answers) in answered.items():
        values[f"accuracy_{task}"] = _mean(answer["correct"] for answer in answers)
        norm = "correct_norm" if get(task).normalised else "correct"
        values[f"accuracy_norm_{task}"] = _mean(answer[norm] for answer in answers)  # type: ignore[literal-required]
        values[f"accuracy_chance_{task}"] = chance(items)
        values |= _by_group(task, items, answers)
        if all(item.gold is None for item in items):
            values[f"perplexity_{task}"] = math.exp(-_mean(answer["loglikelihoods"][0] for answer in answers))
    for name in ("accuracy", "accuracy_norm"):
        values[name] = _mean(values[f"{name}_{task}"] for task in answered)
    return {**values, "accuracy_chance": _mean(chance(items) for items, _ in answered.values())}


def _by_group(task: str, items: Sequence[Item], answers: Sequence[Answer]) -> dict[str, float]:
    groups: dict[str, list[bool]] = {}
    for item, answer in zip(items, answers, strict=True):
        if item.group:
            groups.setdefault(item.group, []).append(answer["correct"])
    values: dict[str, float] = {}
    for group, right in groups.items():
        name = f"accuracy_{task}_{group}"
        ends = stats.wilson(sum(right), len(right))
        values |= {name: _mean(right), f"{name}_low": ends.low, f"{name}_high": ends.high}
    return values


def _answer(item: Item, scores: Sequence[Score]) -> Answer:
    sums = [score.loglikelihood for score in scores]
    if item.gold is None:
        right = all(score.greedy for score in scores)
        return Answer(id=item.id, loglikelihoods=sums, choice=None, choice_norm=None, correct=right, correct_norm=right)
    normed = [s / n if n else -math.inf for s, n in zip(sums, item.lengths, strict=True)]
    choice, choice_norm = _argmax(sums), _argmax(normed)
    return Answer(
        id=item.id,
        loglikelihoods=sums,
        choice=choice,
        choice_norm=choice_norm,
        correct=choice == item.gold,
        correct_norm=choice_norm == item.gold,
    )


def _argmax(values: list[float]) -> int | None:
    """The first of the largest; None where one is not a number."""
    return None if any(map(math.isnan, values)) else values.index(max(values))


def _mean(values: Any) -> float:
    listed = [float(value) for value in values]
    return sum(listed) / len(listed)
