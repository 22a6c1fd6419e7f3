import torch

from engine.layers.sliced_head import SlicedHead
from engine.layers.weight import plain_linear


def test_is_the_embedding_after_the_small_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    embedding, mixing = torch.randn(10, 4, generator=generator), torch.randn(4, 4, generator=generator)
    hidden = torch.randn(3, 4, generator=generator)
    head = SlicedHead(mixing, plain_linear(embedding))
    torch.testing.assert_close(head(hidden), hidden @ mixing.T @ embedding.T)
