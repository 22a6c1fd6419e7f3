"""The log-likelihood of every choice of a batch of token trees, from what the head reads at their nodes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.measure.logits import HEAD_POSITIONS, Logits
from engine.measure.token_tree import Scored, TokenTree


class Score(NamedTuple):
    """Of one choice: its log-likelihood in nats, and whether every token is the model's most likely one."""

    loglikelihood: float
    greedy: bool


def scored_places(trees: Sequence[TokenTree]) -> list[tuple[int, int]]:
    """The (tree, node) pairs that predict something, each once; the head runs there and nowhere else."""
    return [(row, node) for row, tree in enumerate(trees) for node in sorted({n for s in tree.scored for n in s.nodes})]


def tree_scores(logits: Logits, states: Tensor, trees: Sequence[TokenTree]) -> Iterator[tuple[Scored, Score]]:
    """Each choice with its score; states: [trees, nodes, width or vocabulary] as `Logits.states` gives them.

    A place that predicts the first token of several choices is read once.
    """
    places = scored_places(trees)
    at = {place: n for n, place in enumerate(places)}
    choices = [(row, one) for row, tree in enumerate(trees) for one in tree.scored]
    wanted = [
        (at[row, node], target) for row, one in choices for node, target in zip(one.nodes, one.targets, strict=True)
    ]
    rows, nodes = torch.tensor(places, device=states.device).unbind(1)
    likelihoods, best = _read(logits, states[rows, nodes], *torch.tensor(wanted, device=states.device).unbind(1))
    start = 0
    for _, one in choices:
        end = start + len(one.targets)
        yield one, Score(likelihoods[start:end].sum().item(), bool(best[start:end].all()))
        start = end


def _read(logits: Logits, states: Tensor, places: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Of each target its log-probability at its place among `states`, and whether it is the likeliest; [targets]."""
    likelihoods = torch.empty(len(targets), device=states.device)
    best = torch.empty(len(targets), dtype=torch.bool, device=states.device)
    for start in range(0, len(states), HEAD_POSITIONS):
        piece = logits.of(states[start : start + HEAD_POSITIONS]).float()  # [piece, vocabulary]
        here = (places >= start) & (places < start + len(piece))
        rows, columns = places[here] - start, targets[here]
        likelihoods[here] = piece[rows, columns] - piece.logsumexp(dim=-1)[rows]
        best[here] = piece.argmax(dim=-1)[rows] == columns
    return likelihoods.cpu(), best.cpu()
