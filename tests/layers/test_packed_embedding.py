import torch

from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_matrix import PackedMatrix


def test_looks_up_rows_and_follows_the_network_s_dtype() -> None:
    codes = torch.arange(64, dtype=torch.uint8).view(8, 8) % 8
    embedding = PackedEmbedding(PackedMatrix.from_codes(codes, torch.full((8, 1), 0.5).half(), None, 3))
    ids = torch.tensor([[7, 0]])
    assert torch.equal(embedding(ids), embedding.matrix.dequantize()[ids])
    assert embedding.to(torch.bfloat16)(ids).dtype == torch.bfloat16
