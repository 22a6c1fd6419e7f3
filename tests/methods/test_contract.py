"""What every method promises, on every family: deterministic, in the stated bytes, the same after a reload."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from engine.checkpoints import checkpoint, fp32
from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import PackedLayer, weight_of
from engine.measure import size
from engine.methods import compress
from engine.models import LanguageModel
from engine.spec import METHODS, parse

RECIPES = {
    "prune:neurons": (
        "fraction=0.2",
        "fraction=0.3,importance=magnitude,multiple=8",
        "fraction=0.5,importance=taylor,rounds=2",
    ),
    "prune:heads": (
        "fraction=0.25",
        "fraction=0.5,unit=queries,importance=activation,rounds=2",
        "fraction=0.5,importance=taylor",
    ),
    "quantize:rtn": ("bits=4,group_size=32", "bits=3,symmetric=false,targets=linears+embedding+head"),
    "quantize:gptq": (
        "bits=4,group_size=32",
        "bits=3,group_size=16,symmetric=false,act_order=false",
        "bits=8,group_size=-1,targets=linears+embedding+head",
    ),
    "quantize:awq": (
        "bits=4,group_size=32",
        "bits=3,group_size=16,symmetric=false,clip=false",
        "bits=8,group_size=-1,targets=linears+embedding+head",
    ),
    "quantize:smoothquant": ("alpha=0.5", "alpha=0.8"),
    "quantize:hqq": (
        "bits=4,group_size=32",
        "bits=3,group_size=-1,zero_points=fraction,targets=linears+embedding+head",
    ),
    "quantize:ternary": ("group_size=32", "group_size=-1,targets=linears+embedding+head"),
    "quantize:bnb": ("format=int8", "format=nf4", "format=fp4,block_size=32,double_quantization=true"),
    "quantize:kv_cache": ("bits=8,group_size=8", "bits=4,group_size=-1"),
    "prune:magnitude": ("sparsity=0.5", "pattern=2:4", "sparsity=0.3,scope=global"),
    "prune:wanda": ("sparsity=0.5", "pattern=2:4"),
    "prune:sparsegpt": ("sparsity=0.5", "pattern=2:4"),
    "prune:layers": ("count=1", "count=1,importance=magnitude", "count=2,importance=taylor,rounds=2"),
    "slice:slicegpt": ("fraction=0.1", "fraction=0.25,head=untied"),
}
COMBINED = (
    "quantize:hqq,bits=4,group_size=16 | prune:neurons,fraction=0.3,importance=magnitude,multiple=8",
    "quantize:bnb,format=nf4 | prune:heads,fraction=0.5",
    "prune:sparsegpt,sparsity=0.5 | prune:neurons,fraction=0.2,multiple=8 | quantize:gptq,bits=4,group_size=8",
    "quantize:hqq,bits=4,group_size=16 | prune:sparsegpt,sparsity=0.5",
    "quantize:hqq,bits=3,group_size=16 | prune:wanda,pattern=2:4 | prune:magnitude,sparsity=0.6",
    "dense",
    "slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4,group_size=8",
    "quantize:rtn,bits=8,targets=linears+embedding | slice:slicegpt,fraction=0.25",
    "quantize:rtn,bits=4,group_size=16 | prune:magnitude,sparsity=0.5 | prune:layers,count=2",
    "slice:slicegpt,fraction=0.25 | quantize:rtn,bits=4,group_size=16,targets=linears+embedding",
    "quantize:rtn,bits=4,group_size=64 | quantize:rtn,bits=8,group_size=-1,targets=head",
    "slice:slicegpt,fraction=0.1 | slice:slicegpt,fraction=0.1",
    "slice:slicegpt,fraction=0.1,head=untied | slice:slicegpt,fraction=0.1",
    "quantize:rtn,bits=8,group_size=32 | quantize:rtn,bits=6,group_size=-1",
    "prune:wanda,pattern=2:4 | quantize:gptq,bits=4,group_size=16",
    "prune:heads,fraction=0.5,unit=queries | quantize:awq,bits=4,group_size=8",
    "quantize:hqq,bits=4,group_size=16 | quantize:awq,bits=3,group_size=16",
    "slice:slicegpt,fraction=0.25,head=untied | quantize:awq,bits=4,group_size=16 | prune:magnitude,sparsity=0.5",
    "quantize:rtn,bits=4,group_size=16,targets=linears+embedding | prune:sparsegpt,sparsity=0.3",
    "quantize:rtn,bits=4,group_size=16 | prune:wanda,sparsity=0.5 | slice:slicegpt,fraction=0.25,head=untied",
    "quantize:bnb,format=nf4 | prune:sparsegpt,sparsity=0.5 | quantize:gptq,bits=3,group_size=16",
    "quantize:bnb,format=nf4 | quantize:hqq,bits=3,group_size=16",
    "slice:slicegpt,fraction=0.1 | quantize:bnb,format=nf4,double_quantization=true",
    "quantize:bnb,format=int8 | slice:slicegpt,fraction=0.25",
    "quantize:kv_cache,bits=4,group_size=8 | prune:heads,fraction=0.5 | quantize:rtn,bits=4,group_size=16",
    "quantize:smoothquant | prune:neurons,fraction=0.2,multiple=8 | prune:heads,fraction=0.5",
    "quantize:smoothquant,alpha=0.7 | prune:wanda,sparsity=0.5 | quantize:gptq,bits=4,group_size=16",
    "quantize:hqq,bits=4,group_size=32 | prune:layers,count=1 | quantize:bnb,format=int8",
    "quantize:awq,bits=8,group_size=32,blocks=0+3 | prune:wanda,blocks=1 | quantize:gptq,bits=3,group_size=16",
)
EVERY = [f"{method},{settings}" for method, group in RECIPES.items() for settings in group] + list(COMBINED)


def test_every_method_has_a_recipe_here() -> None:
    assert set(RECIPES) == set(METHODS)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if hasattr(method, "blocks")])
def test_a_method_that_is_kept_to_some_blocks_changes_no_other(tiny_model, windows: Tensor, name: str) -> None:
    model = tiny_model("llama")
    dense = {key: tensor.clone() for key, tensor in model.network.state_dict().items()}
    group = ",group_size=32" if "group_size" in {field.name for field in fields(METHODS[name])} else ""
    compress(model, parse(f"{name},blocks=1+2{group}"), windows, _silent)
    now = fp32.dequantized(model).state_dict()
    changed = {key for key in dense if not torch.equal(now[key], dense[key])}
    linears = {f"{key}.weight" for key, _ in model.anatomy.linears([1, 2])}
    assert linears <= changed
    assert all(key.startswith(("model.layers.1.", "model.layers.2.")) for key in changed)


@pytest.mark.parametrize("step", ["quantize:gptq,group_size=16", "quantize:awq,group_size=16", "quantize:smoothquant"])
def test_what_was_pruned_stays_zero_where_calibrated_rounding_follows(
    each_family: LanguageModel, windows: Tensor, step: str
) -> None:
    compress(each_family, parse(f"prune:wanda,pattern=2:4 | {step}"), windows, _silent)
    for _, layer in each_family.anatomy.linears():
        assert isinstance(layer, PackedLinear)
        assert ((weight_of(layer) == 0).view(-1, 4).sum(-1) >= 2).all()
    assert each_family.masked_zeros


@pytest.mark.parametrize("recipe", EVERY)
def test_reloads_equal_in_the_stated_bytes(
    each_family: LanguageModel, windows: Tensor, tmp_path: Path, recipe: str
) -> None:
    compress(each_family, parse(recipe), windows, _silent)
    checkpoint.save(each_family, tmp_path)
    reloaded = fp32.dequantized(checkpoint.load(tmp_path, torch.float32))

    expected = _as_stored(each_family)(windows).logits
    torch.testing.assert_close(reloaded(windows).logits, expected, rtol=0, atol=0)

    parts = size.component_bytes(each_family)
    header = int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")
    assert sum(parts.values()) == (tmp_path / "model.safetensors").stat().st_size - header - 8


@pytest.mark.parametrize("recipe", EVERY)
def test_an_exact_checkpoint_goes_on_where_the_measured_model_left_off(
    tiny_model, windows: Tensor, tmp_path: Path, recipe: str
) -> None:
    model = tiny_model("llama")
    compress(model, parse(recipe), windows, _silent)
    expected = fp32.evaluated(model)(windows).logits
    checkpoint.save(model, tmp_path, exact=True)
    reloaded = fp32.evaluated(checkpoint.load(tmp_path, torch.float32))
    assert torch.equal(reloaded(windows).logits, expected)


@pytest.mark.parametrize("recipe", EVERY)
def test_is_deterministic_to_the_byte(tiny_model, windows: Tensor, tmp_path: Path, recipe: str) -> None:
    for name in ("once", "again"):
        model = tiny_model("llama")
        compress(model, parse(recipe), windows, _silent)
        checkpoint.save(model, tmp_path / name)
    for file in sorted((tmp_path / "once").iterdir()):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


@pytest.mark.parametrize("recipe", EVERY)
def test_exports_plain_where_a_standard_configuration_can(
    each_family: LanguageModel, windows: Tensor, tmp_path: Path, recipe: str
) -> None:
    compress(each_family, parse(recipe), windows, _silent)
    if "slice" in recipe and "untied" not in recipe and each_family.network.config.tie_word_embeddings:
        with pytest.raises(ValueError, match="head=untied"):
            checkpoint.export_plain(each_family, tmp_path)
        return
    checkpoint.export_plain(each_family, tmp_path)
    network = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    rounded = fp32.dequantized(each_family)
    rounded.set_attn_implementation("sdpa")  # a plain folder holds weights, and says nothing of a cache
    for parameter in rounded.parameters():
        parameter.data = parameter.data.bfloat16().float()
    torch.testing.assert_close(network(windows).logits, rounded(windows).logits, rtol=0, atol=0)


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def _as_stored(model: LanguageModel) -> PreTrainedModel:
    """The evaluation network with every tensor that is not packed rounded to bf16, as checkpoints hold it."""
    packed = [name for name, module in model.network.named_modules() if isinstance(module, PackedLayer)]
    network = fp32.dequantized(model)
    exact = {f"{name}.weight" for name in packed}
    for name, parameter in network.named_parameters():
        if name not in exact:
            parameter.data = parameter.data.bfloat16().float()
    return network
