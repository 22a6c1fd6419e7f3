"""Next tokens of a network beside those of the dense one, against plain computations in fp64."""

import copy
import math

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from engine.measure import dense_logits
from engine.measure.logits import Logits
from engine.measure.perplexity import ONE_WINDOW, Reading, agreement, compare, metrics, read


def make(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, initializer_range=0.5, **sizes)).eval()


@pytest.fixture(scope="module")
def network() -> LlamaForCausalLM:
    return make(0)


@pytest.fixture(scope="module")
def compressed() -> LlamaForCausalLM:
    return make(1)


@pytest.fixture
def windows() -> Tensor:
    return torch.randint(40, (3, 150), generator=torch.Generator().manual_seed(1))  # longer than two pieces of the head


def plain(network: LlamaForCausalLM, windows: Tensor) -> Tensor:
    """Log-probabilities [windows, T - 1, vocabulary] in fp64, of one forward pass."""
    with torch.no_grad():
        return copy.deepcopy(network).double()(windows).logits[:, :-1].log_softmax(dim=-1)


def test_it_equals_the_loss_of_one_plain_forward_pass(network, windows):
    told = []
    found = read(network, windows, lambda done, total: told.append((done, total)))
    with torch.no_grad():
        logits = network(windows).logits[:, :-1]  # [3, 149, 40]
    loss = cross_entropy(logits.reshape(-1, 40), windows[:, 1:].reshape(-1), reduction="none")
    torch.testing.assert_close(found.loss, loss.view(3, 149))
    assert metrics(found)["perplexity"] == pytest.approx(math.exp(loss.mean()), rel=1e-5)
    assert torch.equal(found.argmax, logits.argmax(-1))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_divergence_is_that_of_the_plain_distributions(network, compressed, windows):
    dense, ours = plain(network, windows), plain(compressed, windows)
    expected = (dense.exp() * (dense - ours)).sum(dim=-1)
    found = read(compressed, windows, dense=dense_logits.from_network(network, windows, network.device))
    torch.testing.assert_close(found.kl.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.loss, read(compressed, windows).loss)
    assert expected.mean() > 0.1


def test_a_network_does_not_diverge_from_itself(network, windows):
    dense = read(network, windows)
    found = read(network, windows, dense=dense_logits.from_network(network, windows, network.device))
    compared = compare(found, dense.loss, dense.argmax).metrics
    assert 0 <= compared["kl_to_dense"] < 1e-6
    assert compared["loss_change"] == compared["loss_change_low"] == compared["loss_change_high"] == 0
    assert compared["top1_agreement"] == 1


def test_states_are_what_the_head_reads(network, windows):
    found = read(network, windows, keep_states=True)
    with torch.no_grad():
        expected = network.model(windows).last_hidden_state[:, :-1]
    torch.testing.assert_close(found.states, expected)
    assert read(network, windows).states is None


def test_states_are_not_kept_where_the_head_needs_the_rest(network, windows, monkeypatch):
    monkeypatch.setattr(Logits, "_separate_head", lambda self: None)
    assert read(network, windows, keep_states=True).states is None


def test_a_higher_loss_than_dense_is_a_positive_change_with_the_paired_t_interval():
    dense = torch.tensor([[1.0, 2.0], [3.0, 5.0], [2.0, 2.0]])
    ours = torch.tensor([[1.5, 2.5], [3.5, 5.0], [2.0, 4.0]])
    same = torch.zeros(3, 2, dtype=torch.long)
    found = compare(Reading(ours, same, kl=torch.full((3, 2), 0.25)), dense, same).metrics
    reference = stats.ttest_rel(ours.mean(1), dense.mean(1)).confidence_interval(0.95)
    assert found["loss_change"] == pytest.approx((0.5 + 0.25 + 1.0) / 3)
    assert found["loss_change_low"] == pytest.approx(reference.low)
    assert found["loss_change_high"] == pytest.approx(reference.high)
    assert found["kl_to_dense"] == 0.25
    assert compare(Reading(dense, same, kl=same.float()), ours, same).metrics["loss_change"] < 0


def test_one_window_has_no_interval_and_says_why():
    one = Reading(torch.ones(1, 4), torch.zeros(1, 4, dtype=torch.long), kl=torch.zeros(1, 4))
    found = compare(one, torch.zeros(1, 4), one.argmax)
    assert found.metrics["loss_change"] == 1
    ends = [f"{name}{end}" for name in ("kl_to_dense", "loss_change", "top1_agreement") for end in ("_low", "_high")]
    assert {found.metrics[end] for end in ends} == {None}
    assert found.reasons == dict.fromkeys(ends, ONE_WINDOW)


def test_divergence_and_agreement_vary_over_windows_and_stay_what_they_can_be():
    same = torch.zeros(3, 4, dtype=torch.long)
    argmax = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]])
    kl = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5], [0.1, 0.1, 0.1, 0.1]])
    found = compare(Reading(torch.ones(3, 4), argmax, kl=kl), torch.ones(3, 4), same).metrics
    half = stats.t.ppf(0.975, 2) * 0.25 / math.sqrt(3)  # of the windows' 1, 0.75 and 0.5
    assert found["top1_agreement"] == pytest.approx(0.75)
    assert found["top1_agreement_low"] == pytest.approx(0.75 - half)
    assert found["top1_agreement_high"] == 1
    assert found["kl_to_dense"] == pytest.approx(0.2)
    assert found["kl_to_dense_low"] == 0
    assert found["kl_to_dense_high"] > 0.5


def test_agreement_is_the_share_of_equal_tokens(network, windows):
    argmax = read(network, windows).argmax
    other = argmax.clone()
    other[0] += 1
    assert agreement(argmax, other) == pytest.approx(2 / 3)


def test_numbers_that_overflow_are_told_and_not_hidden(network, windows):
    broken = make(0)
    with torch.no_grad():
        broken.model.norm.weight.fill_(math.nan)
    dense = read(network, windows)
    found = read(broken, windows, dense=dense_logits.from_network(network, windows, network.device))
    assert math.isnan(metrics(found)["perplexity"])
    compared = compare(found, dense.loss, dense.argmax).metrics
    assert math.isnan(compared["kl_to_dense"])
    assert math.isnan(compared["loss_change_low"])
    with torch.no_grad():
        broken.model.norm.weight.fill_(1e6)
    assert metrics(read(broken, windows))["perplexity"] == math.inf


@pytest.mark.parametrize("shape", [(0, 8), (2, 1)])
def test_windows_without_a_token_to_predict_are_refused(network, shape):
    with pytest.raises(ValueError, match="windows must be"):
        read(network, torch.zeros(shape, dtype=torch.long))
