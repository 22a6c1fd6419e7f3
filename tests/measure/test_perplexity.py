import math

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from engine.measure.perplexity import perplexity


@pytest.fixture(scope="module")
def network() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, initializer_range=0.5, **sizes)).eval()


@pytest.fixture
def windows() -> torch.Tensor:
    return torch.randint(40, (3, 300), generator=torch.Generator().manual_seed(1))  # longer than one piece of the head


def test_it_equals_the_loss_of_one_plain_forward_pass(network, windows):
    told = []
    found = perplexity(network, windows, lambda done, total: told.append((done, total)))
    with torch.no_grad():
        logits = network(windows).logits[:, :-1]  # [3, 299, 40]
    loss = cross_entropy(logits.reshape(-1, 40), windows[:, 1:].reshape(-1))
    assert found.metrics["perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)
    assert torch.equal(found.argmax, logits.argmax(-1))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_agreement_is_the_share_of_equal_tokens(network, windows):
    metrics, argmax = perplexity(network, windows)
    assert metrics["top1_agreement"] == 1.0
    other = argmax.clone()
    other[0] += 1
    assert perplexity(network, windows, None, other).metrics["top1_agreement"] == pytest.approx(2 / 3)


def test_numbers_that_overflow_are_told_and_not_hidden(network, windows):
    broken = LlamaForCausalLM(network.config).eval()
    with torch.no_grad():
        broken.model.norm.weight.fill_(math.nan)
    assert math.isnan(perplexity(broken, windows).metrics["perplexity"])
    with torch.no_grad():
        broken.model.norm.weight.fill_(1e6)
    assert perplexity(broken, windows).metrics["perplexity"] == math.inf


@pytest.mark.parametrize("shape", [(0, 8), (2, 1)])
def test_windows_without_a_token_to_predict_are_refused(network, shape):
    with pytest.raises(ValueError, match="windows must be"):
        perplexity(network, torch.zeros(shape, dtype=torch.long))
