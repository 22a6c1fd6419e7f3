"""Next-token logits of any causal LM, with the head applied at the wanted positions only."""

from typing import Any

import torch
from torch import Tensor, nn

HEAD_POSITIONS = 128  # whose logits are best held at once: 25 MB in fp32 for a vocabulary of 49,152
_TOLERANCE = 1e-4  # of the largest logit, between the two ways to the logits


class Logits:
    """A network in two parts: what its head reads, and the logits that the head makes of that.

    The head is applied apart from the rest where the two together give what the whole network gives; that is tried on
    a few tokens. Where they do not (a cap or a scale behind the head, a network with other parts), `head` is None and
    the whole runs: `states` are then the logits already, and `of` leaves them as they are.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = network
        self.device = next(network.parameters()).device
        self.head: nn.Module | None = self._separate_head()

    def states(self, **inputs: Any) -> Tensor:
        """What `of` makes logits of, [batch, length, width or vocabulary]; inputs: what the network is called with.

        With the tokens alone, padding on the right changes nothing: a causal network never looks at it.
        """
        if self.head is None:
            logits: Tensor = self.network(**inputs).logits
            return logits
        return self._before_head(**inputs)

    def of(self, states: Tensor) -> Tensor:
        """The logits [..., vocabulary] at states [..., width or vocabulary]."""
        if self.head is None:
            return states
        logits: Tensor = self.head(states)
        return logits

    def _before_head(self, **inputs: Any) -> Tensor:
        states: Tensor = self.network.base_model(**inputs).last_hidden_state
        return states

    def _separate_head(self) -> nn.Module | None:
        """The head, where applying it to the base model's output equals the whole network on a few tokens."""
        head = self.network.get_output_embeddings()
        if head is None or self.network.base_model is self.network:
            return None
        vocabulary = self.network.config.get_text_config().vocab_size
        tokens = (torch.arange(8, device=self.device) * 7919 % vocabulary)[None]
        with torch.inference_mode():
            whole = self.network(input_ids=tokens, use_cache=False).logits.float()
            try:
                apart = head(self._before_head(input_ids=tokens, use_cache=False)).float()
            except (RuntimeError, TypeError, AttributeError):
                return None
        same = apart.shape == whole.shape and bool((apart - whole).abs().max() <= _TOLERANCE * whole.abs().max())
        return head if same else None
