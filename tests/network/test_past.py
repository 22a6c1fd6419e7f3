"""Reading on from what a network keeps gives what reading the whole text gives, however a family keeps it."""

from itertools import islice

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    FalconMambaConfig,
    GPT2Config,
    Mamba2Config,
    MambaConfig,
    OpenAIGPTConfig,
    PreTrainedConfig,
    RwkvConfig,
)

from engine.network.past import likeliest, read_on

SMALL = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "bos_token_id": 0, "eos_token_id": 0}
KEPT = {
    "past_key_values": [GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)],
    "cache_params": [
        MambaConfig(**SMALL, state_size=4),
        FalconMambaConfig(**SMALL, state_size=4),
        Mamba2Config(**SMALL, state_size=4, num_heads=4, head_dim=8, expand=2, n_groups=1, chunk_size=8),
    ],
    "state": [RwkvConfig(**SMALL, context_length=64)],
    None: [OpenAIGPTConfig(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=64)],
}
CASES = [pytest.param(name, config, id=config.model_type) for name, configs in KEPT.items() for config in configs]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("name", "config"), CASES)
@torch.inference_mode()
def test_reading_on_is_reading_the_whole_text(name: str | None, config: PreTrainedConfig, batch: int) -> None:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    text = torch.randint(1, 64, (batch, 12))
    logits, past = read_on(network, text[:, :7])
    for end in range(7, 12):
        whole = network(input_ids=text[:, :end], use_cache=False).logits[:, -1:]
        torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-5)
        assert past.name == (None if name == "state" and batch > 1 else name)
        logits, past = read_on(network, text[:, end : end + 1], past)


@torch.inference_mode()
def test_the_likeliest_tokens_are_those_of_reading_the_whole_text_for_each() -> None:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(KEPT["past_key_values"][0]).eval()
    text = torch.randint(1, 64, (2, 5))
    for token in islice(likeliest(network, text), 4):
        assert torch.equal(token[:, 0], network(text).logits[:, -1].argmax(-1))
        text = torch.cat([text, token], dim=1)
