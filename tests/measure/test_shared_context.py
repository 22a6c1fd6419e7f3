"""Every family's trees against its plain sequences, and the networks that no tree is exact for."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from engine.measure.logits import Logits
from engine.measure.shared_context import TreePass, is_exact, turning_length
from engine.measure.token_tree import TokenTree

WIDTHS = {"vocab_size": 97, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3}
PAIRS = {"num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64}
EXACT = {
    "llama": PAIRS,
    "mistral": {**PAIRS, "sliding_window": 4},
    "qwen2": {**PAIRS, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": PAIRS | {"head_dim": 8},
    "gemma": PAIRS | {"head_dim": 8},
    "gemma2": PAIRS | {"head_dim": 8, "sliding_window": 4},
    "gemma3_text": PAIRS | {"head_dim": 8, "sliding_window": 4},
    "phi": PAIRS,
    "phi3": PAIRS | {"pad_token_id": 0},
    "opt": {"ffn_dim": 48, "max_position_embeddings": 64, "word_embed_proj_dim": 32},
    "gpt2": {"n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 64},
    "gpt_neox": {"intermediate_size": 48, "max_position_embeddings": 64},
}
INEXACT = {
    "bloom": {"n_head": 4, "n_layer": 3},
    "mamba": {"state_size": 8, "num_hidden_layers": 2},
    # a window in memory and chunks, both wider than the tree that is tried
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]], "window_size": 32, "num_layers": 3},
    "llama4_text": PAIRS | {"head_dim": 8, "attention_chunk_size": 32, "intermediate_size_mlp": 48, "pad_token_id": 0},
}


def network(family: str, settings: dict):
    torch.manual_seed(3)
    config = AutoConfig.for_model(family, **(WIDTHS | settings))
    config.initializer_range = 0.4
    made = AutoModelForCausalLM.from_config(config).eval()
    for parameter in made.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


@pytest.mark.parametrize("family", EXACT)
def test_a_tree_is_exact(family):
    made = network(family, EXACT[family])
    assert is_exact(made, Logits(made))


@pytest.mark.parametrize("family", INEXACT)
def test_a_network_that_no_tree_fits_is_found_out(family):
    made = network(family, INEXACT[family])
    assert not is_exact(made, Logits(made))


@pytest.mark.parametrize("family", EXACT)
def test_a_batch_of_trees_beyond_the_window_gives_what_the_sequences_give(family):
    made = network(family, EXACT[family])
    logits = Logits(made)
    sequences = [[[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [1, 2, 3, 4, 5, 6, 7, 20, 21]], [[5, 6, 7], [5, 8]]]
    trees = [TokenTree(), TokenTree()]
    paths = [[tree.add(sequence) for sequence in of] for tree, of in zip(trees, sequences, strict=True)]
    with torch.inference_mode():
        together = logits.of(logits.states(**TreePass(made).inputs(trees)))
        for row, of in enumerate(sequences):
            for sequence, path in zip(of, paths[row], strict=True):
                alone = made(torch.tensor([sequence]), use_cache=False).logits[0]
                assert together[row, path] == pytest.approx(alone, abs=2e-4)


def test_chains_need_no_mask():
    made = network("llama", EXACT["llama"])
    tree = TokenTree()
    tree.add([1, 2, 3])
    assert "attention_mask" not in TreePass(made).inputs([tree])


def test_the_length_beyond_which_positions_turn_otherwise():
    scaled = {"original_max_position_embeddings": 32, "factor": 2.0}
    factors = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [3.0] * 4}
    phi3 = EXACT["phi3"] | {"original_max_position_embeddings": 32}
    assert turning_length(network("phi3", phi3 | {"rope_parameters": scaled | factors})) == 32
    assert turning_length(network("llama", PAIRS | {"rope_parameters": scaled | {"rope_type": "yarn"}})) is None
    assert turning_length(network("gemma3_text", EXACT["gemma3_text"])) is None  # rotates by the type of layer
    assert turning_length(network("gpt2", EXACT["gpt2"])) is None
