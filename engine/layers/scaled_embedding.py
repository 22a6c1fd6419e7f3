"""A token embedding whose rows are multiplied by a number, as Gemma's by the root of its width."""

import torch
from torch import Tensor, nn


class ScaledEmbedding(nn.Embedding):
    """Token ids [...] to `scale` times their rows [..., width]; a head tied to it reads the rows themselves.

    The scale is rounded to the weight's dtype first, as transformers rounds it.
    """

    def __init__(self, rows: int, width: int, scale: float, device: torch.device | str | None = None) -> None:
        super().__init__(rows, width, device=device)
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids) * as_in(self.scale, self.weight.dtype)


def as_in(number: float, dtype: torch.dtype) -> float:
    """A number rounded to a dtype."""
    return torch.tensor(number, dtype=dtype).item()
