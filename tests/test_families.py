"""What holds on every family of models: methods work there for real, or say by name that they can't.

A covering set of methods on each family beside the four that every other test of methods runs on; the reference is
transformers' own network of the same weights.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from engine import layouts
from engine.blocks.walk import compress_blocks
from engine.checkpoints import checkpoint, fp32
from engine.errors import InputError
from engine.layers.scaled import DividedInputs
from engine.layers.weight import bias_of, inputs_of, plain_linear, weight_of
from engine.layouts import LAYOUTS
from engine.measure import size
from engine.measure.zero_shot import Evaluator
from engine.methods import compress
from engine.methods.awq import alike_in_groups, fold
from engine.models import LanguageModel
from engine.network import weights
from engine.network.anatomy import Block
from engine.spec import METHODS, parse, refuse_misfits, refuse_unknown
from engine.tasks import Item
from tests.conftest import FAMILIES, OTHERS
from tests.methods.test_contract import _as_stored as as_stored

NO_SLICING = tuple(family for family, layout in LAYOUTS.items() if layout.no_rotation)
OWN_HEADS = tuple(family for family, layout in LAYOUTS.items() if not layout.free_heads)
NOTHING_CHANGES = ("dense", "prune:sparsegpt,sparsity=0", "prune:heads,fraction=0 | prune:neurons,fraction=0")
RECIPES = {  # every method on several families, every family with what its layout makes different
    "gemma": "quantize:awq,bits=4,group_size=16,targets=linears+embedding | prune:layers,count=1",
    "gemma2": "quantize:hqq,bits=4,group_size=16 | prune:layers,count=1 | prune:neurons,fraction=0.5,importance=taylor",
    "gemma3_text": "prune:wanda,pattern=2:4 | quantize:gptq,bits=4,group_size=16,targets=linears+embedding+head",
    "phi": "prune:heads,fraction=0.5,unit=queries | prune:sparsegpt,sparsity=0.5 | quantize:awq,bits=3,group_size=8",
    "phi3": "quantize:ternary,group_size=16 | prune:heads,fraction=0.25 | prune:neurons,fraction=0.3,multiple=8",
    "opt": "prune:magnitude | quantize:awq,bits=8,group_size=16,targets=linears+head | prune:layers,count=1",
    "gpt2": "prune:neurons,fraction=0.3,multiple=8 | prune:wanda | quantize:gptq,bits=8,group_size=8",
    "gpt_neox": "prune:layers,count=1 | quantize:bnb,format=nf4 | prune:sparsegpt,pattern=2:4",
}
RESHAPED = {  # what a family's configuration can't express, or slices
    "gemma": "slice:slicegpt,fraction=0.25",
    "phi3": "slice:slicegpt,fraction=0.25 | quantize:rtn,bits=4,group_size=8",
    "opt": "prune:heads,fraction=0.25,importance=taylor | prune:heads,fraction=0.5 | quantize:bnb,format=fp4",
    "gpt2": "quantize:rtn,bits=4,group_size=16 | prune:heads,fraction=0.5,importance=taylor",
    "gpt_neox": "prune:heads,fraction=0.5 | quantize:awq,bits=4,group_size=8,targets=linears+embedding",
}


@pytest.fixture(params=OTHERS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(family: str, tiny_model: Callable[[str], LanguageModel]) -> LanguageModel:
    return tiny_model(family)


@pytest.fixture
def dense(family: str, tiny_folder: Callable[[str], Path]) -> PreTrainedModel:
    """The same weights as transformers runs them."""
    return AutoModelForCausalLM.from_pretrained(tiny_folder(family), dtype=torch.float32)


def quiet(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def test_every_family_has_a_tiny_model_and_a_recipe() -> None:
    assert set(LAYOUTS) == {*FAMILIES, *OTHERS}
    assert set(RECIPES) == set(OTHERS)


def test_settings_that_change_nothing_leave_the_logits(
    family: str, dense: PreTrainedModel, tiny_model: Callable[[str], LanguageModel], windows: Tensor
) -> None:
    expected = dense(windows).logits.detach()
    recipes = [*NOTHING_CHANGES, *(["slice:slicegpt,fraction=0"] if family not in NO_SLICING else [])]
    for recipe in recipes:
        model = tiny_model(family)
        compress(model, parse(recipe), windows, quiet)
        torch.testing.assert_close(model.network(windows).logits, expected, rtol=1e-4, atol=1e-3)
    model = tiny_model(family)
    compress(model, parse("quantize:gptq,bits=8,group_size=16,targets=linears+embedding+head"), windows, quiet)
    divergence = expected.softmax(-1) * (expected.log_softmax(-1) - model.network(windows).logits.log_softmax(-1))
    assert float(divergence.sum(-1).mean()) < 0.02  # nats, where half the weights zeroed cost 0.1 to 4


def test_what_was_compressed_is_stored_loaded_and_exported(
    family: str, model: LanguageModel, windows: Tensor, tmp_path: Path
) -> None:
    stored_names = weights.tensors([model.source.folder / "model.safetensors"])
    compress(model, parse(RECIPES[family]), windows, quiet)
    holds_in_a_checkpoint(model, windows, tmp_path / "packed")
    checkpoint.export_plain(model, tmp_path / "plain")
    written = weights.tensors([tmp_path / "plain" / "model.safetensors"])
    assert set(written) <= set(stored_names)  # as transformers itself names them
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", dtype=torch.float32)
    rounded = fp32.dequantized(model)
    for parameter in rounded.parameters():
        parameter.data = parameter.data.bfloat16().float()
    torch.testing.assert_close(network(windows).logits, rounded(windows).logits, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("reshaped", RESHAPED)
def test_what_only_a_packed_checkpoint_can_say(
    reshaped: str, tiny_model: Callable[[str], LanguageModel], windows: Tensor, tmp_path: Path
) -> None:
    model = tiny_model(reshaped)
    compress(model, parse(RESHAPED[reshaped]), windows, quiet)
    holds_in_a_checkpoint(model, windows, tmp_path)
    if reshaped in OWN_HEADS:
        assert json.loads((tmp_path / "kneepoint.json").read_text())["heads"] == model.anatomy.blocks[0].heads
        with pytest.raises(InputError, match=f"no standard configuration of the model family '{reshaped}' has fewer"):
            checkpoint.export_plain(model, tmp_path / "plain")


@pytest.mark.parametrize("rounding", ["gemma", "gemma3_text", "phi3", "opt", "gpt2", "gpt_neox"])
def test_activations_and_the_cache_are_rounded_before_and_after_storing(
    rounding: str, tiny_model: Callable[[str], LanguageModel], windows: Tensor, tmp_path: Path
) -> None:
    model = tiny_model(rounding)
    expected = model.network(windows).logits.detach()
    compress(model, parse("quantize:smoothquant | quantize:kv_cache,bits=8,group_size=8"), windows, quiet)
    checkpoint.save(model, tmp_path)
    for network in fp32.evaluated(model), fp32.evaluated(checkpoint.load(tmp_path, torch.float32)):
        got = network(windows).logits
        divergence = (expected.softmax(-1) * (expected.log_softmax(-1) - got.log_softmax(-1))).sum(-1)
        assert 0 < float(divergence.mean()) < 0.02  # nats


def holds_in_a_checkpoint(model: LanguageModel, windows: Tensor, folder: Path) -> None:
    """A packed checkpoint gives the same logits again, to the bit, decodes with a cache, and its parts add up."""
    checkpoint.save(model, folder)
    running = checkpoint.load(folder, torch.float32)
    expected = as_stored(model)(windows).logits
    torch.testing.assert_close(fp32.dequantized(running)(windows).logits, expected, rtol=0, atol=0)
    prompt = windows[:1, :12]  # beyond the sliding windows
    for step in running.network(prompt, use_cache=True), running.network(prompt, use_cache=False):
        torch.testing.assert_close(step.logits, expected[:1, :12], rtol=1e-3, atol=1e-2)
    cache = running.network(prompt, use_cache=True).past_key_values
    decoded = running.network(windows[:1, 12:13], past_key_values=cache).logits[:, 0]
    torch.testing.assert_close(decoded, expected[:1, 12], rtol=1e-3, atol=1e-2)
    measured = size.measure(model, folder).metrics
    assert sum(measured[f"{part}_bytes"] for part in size.PARTS) == measured["weight_bytes"]
    first = cache.layers[0].keys
    per_token = 2 * 2 * len(cache.layers) * first.shape[1] * first.shape[3]
    assert measured["kv_cache_bytes_per_token"] == per_token


def test_heads_and_neurons_that_nothing_reads_go_and_change_no_logits(
    family: str, model: LanguageModel, windows: Tensor
) -> None:
    layout, size = model.anatomy.layout, model.anatomy.blocks[0].head_dim
    shared = model.anatomy.blocks[0].queries_per_key
    for block in model.anatomy.blocks:
        for head in (1, 4) if shared == 1 else (2, 3):
            block.linears[layout.attention_out].weight.data[:, head * size : (head + 1) * size] = 0
        block.linears[layout.mlp_out].weight.data[:, 5:69] = 0
    expected = model.network(windows).logits
    recipe = "prune:heads,fraction=0.25,importance=magnitude | prune:neurons,fraction=0.3333,importance=magnitude"
    if family in ("gemma2", "gemma3_text"):  # 6 heads of a width of 64 are no configuration
        recipe = recipe.partition(" | ")[2]
    compress(model, parse(recipe), windows, quiet)
    torch.testing.assert_close(model.network(windows).logits, expected, rtol=1e-4, atol=1e-3)
    assert model.anatomy.blocks[0].neurons == 128


def test_the_walk_shows_each_linear_what_it_reads_and_the_anatomy_ends_in_the_logits(
    model: LanguageModel, windows: Tensor
) -> None:
    shown: list[Tensor] = []

    def show(before: int | None, x: Tensor) -> int:
        shown.append(x.clone())
        return len(shown)

    compress_blocks(model.anatomy, windows, show, lambda layers, _: layers, lambda done, total: None)
    read: list[Tensor] = []
    for block in model.anatomy.blocks:
        for layers in block.groups:
            first = next(iter(layers.values()))
            first.register_forward_pre_hook(lambda module, args: read.append(args[0].flatten(0, -2)))
    last: list[Tensor] = []
    model.anatomy.final_norm.register_forward_pre_hook(lambda module, args: last.append(args[0]))
    logits = model.network(windows).logits
    assert len(shown) == len(read) == sum(len(block.groups) for block in model.anatomy.blocks)
    for one, other in zip(shown, read, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.anatomy.logits(last[0]), logits)


def test_factors_of_a_tensor_s_channels_fold_into_what_gives_it(
    family: str, model: LanguageModel, windows: Tensor
) -> None:
    expected = model.network(windows).logits
    generator = torch.Generator().manual_seed(0)
    for block in model.anatomy.blocks:
        divide_inputs(block, generator)
        fold(block)
    changed = model.network(windows).logits
    if model.anatomy.layout.gain_offset:  # less 1, a gain is rounded again
        torch.testing.assert_close(changed, expected, rtol=1e-4, atol=1e-3)
    else:
        assert torch.equal(changed, expected)


def divide_inputs(block: Block, generator: torch.Generator) -> None:
    """Scale the linears that something gives their inputs by powers of two, and let them divide their inputs."""
    for giver, readers in block.layout.givers:
        count = inputs_of(block.linears[readers[0]])
        factors = torch.randint(-3, 4, (count,), generator=generator).float().exp2()
        if giver is None:
            factors = torch.ones(count)
        elif giver == block.layout.value and block.layout.attention_out in readers:
            factors = alike_in_groups(factors, block.queries_per_key, block.head_dim).log2().round().exp2()
        for name in readers:
            layer = block.linears[name]
            block.replace(name, DividedInputs(plain_linear(weight_of(layer) * factors, bias_of(layer)), factors))


def test_choices_are_scored_as_transformers_scores_them(
    family: str, model: LanguageModel, dense: PreTrainedModel
) -> None:
    requests = (("Water is", " wet"), ("Water is", " dry and cold"))
    [answer] = Evaluator(model.network, model.tokenizer).answer([Item(0, requests, ("wet", "dry and cold"), 0)])
    for (context, continuation), found in zip(requests, answer["loglikelihoods"], strict=True):
        before = model.tokenizer(context)["input_ids"]
        tokens = torch.tensor([model.tokenizer(context + continuation)["input_ids"]])
        said = dense(tokens).logits[0].detach().log_softmax(-1)[len(before) - 1 : -1]
        wanted = said.gather(-1, tokens[0, len(before) :, None]).sum()
        assert found == pytest.approx(float(wanted), abs=2e-3)


def test_slicing_alone_is_refused_by_name_on_families_that_it_does_not_suit() -> None:
    assert NO_SLICING == ("gemma2", "gemma3_text", "phi", "opt", "gpt2", "gpt_neox")
    for name, method in METHODS.items():
        assert method.families() == tuple(f for f in LAYOUTS if name != "slice:slicegpt" or f not in NO_SLICING)
    for family in NO_SLICING:
        with pytest.raises(InputError, match=f"slice:slicegpt can't work on the model family '{family}', because"):
            refuse_unknown(parse("quantize:rtn | slice:slicegpt"), {"model_type": family})


def test_a_kind_of_a_family_that_is_built_otherwise_is_refused_by_name_and_measured_as_it_is(
    tiny_model: Callable[[str], LanguageModel], windows: Tensor, tmp_path: Path
) -> None:
    model = tiny_model("opt")
    model.network.config.do_layer_norm_before = False  # as in the one of 350 M parameters
    with pytest.raises(InputError, match="'opt' with do_layer_norm_before=True only"):
        compress(model, parse("quantize:rtn"), windows, quiet)
    compress(model, parse("dense"), windows, quiet)
    checkpoint.save(model, tmp_path)
    assert checkpoint.load(tmp_path).network.config.do_layer_norm_before is False
    assert not layouts.known({"model_type": "opt", "hidden_size": 1024, "word_embed_proj_dim": 512})
    assert not layouts.known({"model_type": "phi", "qk_layernorm": True})  # whose norms are of width / heads


def test_a_configuration_for_long_texts_keeps_heads_that_fill_the_width() -> None:
    sizes = {"hidden_size": 96, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 6}
    refuse_misfits(parse("prune:heads,fraction=0.5"), {"model_type": "phi3", **sizes})
    long = {"model_type": "phi3", **sizes, "rope_scaling": {"type": "longrope"}}
    with pytest.raises(InputError, match="a width of 96 and 3 heads of 16; a phi3 for long texts needs heads that"):
        refuse_misfits(parse("prune:heads,fraction=0.5"), long)


@pytest.mark.parametrize(("activation", "giver"), [("relu", "fc1"), ("gelu", None)])
def test_factors_pass_through_an_activation_only_where_they_can(activation: str, giver: str | None) -> None:
    layout = layouts.find({"model_type": "opt", "activation_function": activation})
    assert layout.givers[-1] == (giver, ("fc2",))
