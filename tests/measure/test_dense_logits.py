"""The dense model's logits after its network was changed: from its kept head and states, or from another copy."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Qwen2ForCausalLM

from engine.measure import dense_logits, perplexity
from engine.measure.logits import HEAD_POSITIONS
from engine.models import LanguageModel


def test_kept_head_and_states_give_the_networks_logits(
    each_family: LanguageModel, windows: Tensor, tmp_path: Path
) -> None:
    network = each_family.network
    with torch.no_grad():
        expected = network(windows).logits[:, :-1].clone()
    states = perplexity.read(network, windows, keep_states=True).states
    assert states is not None
    dense_logits.keep_head(network, tmp_path / "new" / "head.safetensors")
    network.get_output_embeddings().weight.data.zero_()  # as a method may, in place
    kept = dense_logits.from_head(tmp_path / "new" / "head.safetensors", states, "cpu")
    again = torch.stack([torch.cat(list(kept(i))) for i in range(len(windows))])
    torch.testing.assert_close(again, expected)


def test_a_heads_bias_is_kept(tiny_model: Callable[[str], LanguageModel], windows: Tensor, tmp_path: Path) -> None:
    network = tiny_model("qwen2").network
    assert isinstance(network, Qwen2ForCausalLM)
    network.lm_head.bias = nn.Parameter(torch.arange(264.0), requires_grad=False)
    dense_logits.keep_head(network, tmp_path / "head.safetensors")
    (piece,) = dense_logits.from_head(tmp_path / "head.safetensors", torch.zeros(1, 5, 64), "cpu")(0)
    assert torch.equal(piece, torch.arange(264.0).expand(5, 264))


def test_a_network_run_again_gives_its_logits_in_pieces(tiny_llama: LanguageModel) -> None:
    windows = torch.randint(0, 256, (2, 150), generator=torch.Generator().manual_seed(2))
    pieces = list(dense_logits.from_network(tiny_llama.network, windows, tiny_llama.device)(1))
    assert [len(piece) for piece in pieces] == [HEAD_POSITIONS, 21]
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(pieces), tiny_llama.network(windows).logits[1, :-1])
    assert not torch.is_inference_mode_enabled()
