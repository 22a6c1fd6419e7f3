"""Next-token log-probabilities of any causal LM, with the head applied at the wanted positions only."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_HEAD_POSITIONS = 256  # positions whose logits are held at once: 50 MB in fp32 for a vocabulary of 49,152
_TOLERANCE = 1e-4  # of the largest logit, between the two ways to the logits


class Logits:
    """A network's log-probabilities at chosen positions.

    The head is applied apart from the rest where the two together give what the whole network gives; that is tried on
    a few tokens. Where they do not (a cap or a scale behind the head, a network with other parts), the whole runs.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = network
        self.device = next(network.parameters()).device
        self.head: nn.Module | None = self._separate_head()

    def at(self, tokens: Tensor, rows: Tensor, positions: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """For pieces of the wanted positions: which of them, and their fp32 log-probabilities [piece, vocabulary].

        tokens: [batch, length], padded on the right, which a causal network never looks at; rows, positions: [wanted].
        """
        tokens = tokens.to(self.device)
        with torch.inference_mode():
            states = self._states(tokens) if self.head else self.network(tokens, use_cache=False).logits
            wanted = states[rows.to(self.device), positions.to(self.device)]  # [wanted, width or vocabulary]
            for start in range(0, len(wanted), _HEAD_POSITIONS):
                piece = slice(start, start + _HEAD_POSITIONS)
                logits = self.head(wanted[piece]) if self.head else wanted[piece]
                yield piece, logits.float().log_softmax(dim=-1)

    def _states(self, tokens: Tensor) -> Tensor:
        """What the head reads, [batch, length, width]."""
        states: Tensor = self.network.base_model(tokens, use_cache=False).last_hidden_state
        return states

    def _separate_head(self) -> nn.Module | None:
        """The head, where applying it to the base model's output equals the whole network on a few tokens."""
        head = self.network.get_output_embeddings()
        if head is None or self.network.base_model is self.network:
            return None
        vocabulary = self.network.config.get_text_config().vocab_size
        tokens = (torch.arange(8, device=self.device) * 7919 % vocabulary)[None]
        with torch.inference_mode():
            whole = self.network(tokens, use_cache=False).logits.float()
            try:
                apart = head(self._states(tokens)).float()
            except (RuntimeError, TypeError, AttributeError):
                return None
        same = apart.shape == whole.shape and bool((apart - whole).abs().max() <= _TOLERANCE * whole.abs().max())
        return head if same else None
