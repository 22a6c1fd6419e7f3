"""The head apart from the rest: where it may be, and that the two together are the network."""

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

from engine.measure.logits import Logits
from engine.models import LanguageModel

TOKENS = torch.randint(0, 40, (2, 12), generator=torch.Generator().manual_seed(3))


@pytest.fixture
def capped() -> Gemma2ForCausalLM:
    """A network whose logits pass through a cap behind the head."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"num_key_value_heads": 1, "head_dim": 8, "final_logit_softcapping": 0.5, "initializer_range": 0.5}
    return Gemma2ForCausalLM(Gemma2Config(vocab_size=40, **sizes, **more)).eval()


def test_states_and_head_together_are_the_network(each_family: LanguageModel) -> None:
    apart = Logits(each_family.network)
    assert apart.head is each_family.network.get_output_embeddings()
    states = apart.states(input_ids=TOKENS, use_cache=False)
    assert states.shape == (2, 12, 64)
    torch.testing.assert_close(apart.of(states[1, 3:5]), each_family.network(TOKENS).logits[1, 3:5])


def test_a_network_with_a_cap_behind_its_head_runs_whole(capped: Gemma2ForCausalLM) -> None:
    apart = Logits(capped)
    assert apart.head is None
    with torch.inference_mode():
        states = apart.states(input_ids=TOKENS, use_cache=False)
        assert torch.equal(apart.of(states[0]), capped(TOKENS).logits[0])
