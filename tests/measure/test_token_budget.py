"""How many tokens run at once, by the network's widths and the memory that is free."""

import pytest
import torch
from torch import nn
from transformers import PretrainedConfig

from engine.measure import token_budget as budgets
from engine.measure.token_budget import LEAST, MOST, token_budget

FREE = 4 * 500 * 4 * (12 * 64 + 4 * 256)  # bytes of which a quarter holds 500 tokens in fp32, 64 and 256 wide


class Network(nn.Module):
    def __init__(self, **sizes: object) -> None:
        super().__init__()
        self.config = PretrainedConfig(**sizes)
        self.weight = nn.Parameter(torch.zeros(1))


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "free_bytes", lambda device: FREE)


@pytest.mark.parametrize("inner", [256, [64, 256, 128], None])
def test_the_widest_layer_of_a_network_says_how_many_tokens_fit(inner: object) -> None:
    assert token_budget(Network(hidden_size=64, intermediate_size=inner)) == 500


def test_it_is_neither_too_small_to_fill_products_nor_larger_than_helps() -> None:
    assert token_budget(Network(hidden_size=4096, intermediate_size=16384)) == LEAST
    assert token_budget(Network(hidden_size=8, intermediate_size=8)) == MOST["cpu"]
