"""Running token trees: one forward pass over many trees, each token attending to its ancestors.

A tree is exact where a network takes the mask and the positions given to it: rotary and learned positions do, whole or
within a sliding window; attention biased by the distance in memory (ALiBi) and recurrent networks do not. That is not
believed but tried, on a small tree against its sequences one by one. What such a tree is too small to show, attention
cut into chunks (Llama 4) or to a window in memory (GPT-Neo), is known by its name in the configuration.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.measure.logits import Logits
from engine.measure.token_tree import TokenTree

Masks = Tensor | Mapping[str, Tensor]

_TOLERANCE = 1e-3  # nats, between a token's log-probability in a tree and in its own sequence
_STEM, _BRANCHES, _BRANCH = 6, 3, 3  # tokens and number, of the tree that is tried
_PRIME = 7919  # spreads the tried tokens over the vocabulary
_KNOWN_LAYERS = {"full_attention", "sliding_attention", "global"}  # whose tokens see what a mask here can say


class TreePass:
    """Runs batches of token trees through a network's body."""

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = network
        self.device = next(network.parameters()).device
        self.dtype = next(network.parameters()).dtype

    def inputs(self, trees: Sequence[TokenTree]) -> dict[str, Any]:
        """What the body is called with: padded tokens [trees, nodes] and, unless all are chains, positions and masks.

        Chains need neither: attention is causal and the padding comes last.
        """
        longest = max(len(tree) for tree in trees)
        tokens = torch.zeros(len(trees), longest, dtype=torch.long)
        for row, tree in enumerate(trees):
            tokens[row, : len(tree)] = torch.tensor(tree.tokens)
        given: dict[str, Any] = {"input_ids": tokens.to(self.device), "use_cache": False}
        if all(tree.is_chain for tree in trees):
            return given
        positions = torch.zeros_like(tokens)
        for row, tree in enumerate(trees):
            positions[row, : len(tree)] = torch.tensor(tree.depths)
        return given | {"position_ids": positions.to(self.device), "attention_mask": self._masks(trees, longest)}

    def _masks(self, trees: Sequence[TokenTree], longest: int) -> Masks:
        """The additive mask [trees, 1, nodes, nodes], or one for each type of layer.

        Raises ValueError for a type of layer that no mask here is made for.
        """
        window = getattr(self.network.config, "sliding_window", None)
        types = set(getattr(self.network.config, "layer_types", None) or ())
        if unknown := types.union(getattr(self.network.config, "attention_layers", ())) - _KNOWN_LAYERS:
            raise ValueError(f"layers of the types {', '.join(sorted(unknown))} can't be given a tree's mask")
        if "sliding_attention" not in types:
            return self._mask(trees, longest, None if types else window)
        windows = {"full_attention": None, "sliding_attention": window}
        return {name: self._mask(trees, longest, windows[name]) for name in types}

    def _mask(self, trees: Sequence[TokenTree], longest: int, window: int | None) -> Tensor:
        seen = torch.eye(longest, dtype=torch.bool).repeat(len(trees), 1, 1)  # padding sees itself, or nothing would
        for row, tree in enumerate(trees):
            seen[row, : len(tree), : len(tree)] = torch.from_numpy(tree.ancestors(window))
        mask = torch.zeros(seen.shape, dtype=self.dtype).masked_fill_(~seen, -torch.inf)
        return mask[:, None].to(self.device)


def is_exact(network: nn.Module, logits: Logits) -> bool:
    """Whether a tree gives each of its sequences what the sequence gives alone."""
    vocabulary = int(logits.network.config.get_text_config().vocab_size)
    stem = [(7 + _PRIME * i) % vocabulary for i in range(_STEM)]
    branches = [[(11 + _PRIME * (31 * b + i)) % vocabulary for i in range(_BRANCH)] for b in range(_BRANCHES)]
    tree = TokenTree()
    paths = [tree.add(stem + branch) for branch in branches]
    runner = TreePass(network)
    with torch.inference_mode():
        try:
            together = _log_probabilities(logits, runner.inputs([tree]))
        except (RuntimeError, TypeError, ValueError, KeyError, AttributeError, IndexError):
            return False  # a network that does not take a mask or positions, or not of this form
        alone = _log_probabilities(logits, runner.inputs([_chain(stem + branch) for branch in branches]))
        return bool((together[0, torch.tensor(paths)] - alone).abs().max() <= _TOLERANCE)


def turning_length(network: Any) -> int | None:
    """The tokens beyond which rotary positions turn at another speed (longrope, of Phi-3); None where they never do.

    The longest sequence of a batch decides it for all, so sequences on both sides of it must not run together.
    """
    given = getattr(network.config.get_text_config(), "rope_parameters", None) or {}
    each = [given, *(one for one in given.values() if isinstance(one, Mapping))]  # some have one for each type of layer
    lengths = [one["original_max_position_embeddings"] for one in each if one.get("rope_type") == "longrope"]
    return min(lengths, default=None)


def _log_probabilities(logits: Logits, inputs: dict[str, Any]) -> Tensor:
    """[trees, nodes, vocabulary] of a batch."""
    return logits.of(logits.states(**inputs)).float().log_softmax(dim=-1)


def _chain(sequence: Sequence[int]) -> TokenTree:
    tree = TokenTree()
    tree.add(sequence)
    return tree
