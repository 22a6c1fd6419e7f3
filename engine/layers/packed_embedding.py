"""A token embedding that looks rows up in a packed matrix."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from engine.layers.packed_matrix import PackedMatrix
from engine.layers.scaled_embedding import as_in


class PackedEmbedding(nn.Module):
    """Token ids [...] to rows [..., columns]; only the rows looked up are dequantized, so every width is real.

    Rows are multiplied by `scale`, rounded to the dtype first.
    """

    rounds_inputs: ClassVar[bool] = False

    def __init__(self, matrix: PackedMatrix, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> None:
        super().__init__()
        self.matrix = matrix
        self.dtype = dtype
        self.scale = scale
        self.num_embeddings, self.embedding_dim = matrix.shape

    def forward(self, ids: Tensor) -> Tensor:
        rows = self.matrix.gather(ids).to(self.dtype)
        return rows if self.scale == 1 else rows * as_in(self.scale, self.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PackedEmbedding":
        """Follow a change of the network's dtype, which the packed tensors themselves don't show."""
        self.dtype = fn(torch.empty(0, dtype=self.dtype)).dtype
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
