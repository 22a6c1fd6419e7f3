"""The head of a sliced model that still shares its embedding."""

from torch import Tensor, nn
from torch.nn import functional


class SlicedHead(nn.Module):
    """logits = E (M h): the shared embedding E [vocabulary, k] after one small matrix M [k, k].

    Untied, the head of a rotated model is E diag(gain) Q: the final norm's gain stands between embedding and rotation,
    so that it is no longer the sliced embedding. Going through M = Q^T diag(gain) Q keeps the two tied, for k x k
    numbers instead of vocabulary x k.
    """

    def __init__(self, mixing: Tensor, projection: nn.Module) -> None:
        """projection: the linear layer, plain or packed, whose matrix is the embedding's."""
        super().__init__()
        self.mixing = nn.Parameter(mixing, requires_grad=False)
        self.projection = projection

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.projection(functional.linear(hidden, self.mixing))
        return logits
