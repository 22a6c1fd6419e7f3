import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.checkpoints import fp32
from engine.errors import InputError
from engine.layers import bnb_matrix
from engine.layers.bnb_linear import BnbLinear
from engine.layers.weight import weight_of
from engine.methods import bnb, compress
from engine.models import LanguageModel
from engine.spec import parse
from engine.spec.quantize import Bnb

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("format=int8,double_quantization=true", "double_quantization=true contradicts format=int8"),
        ("format=int8,block_size=128", "block_size=128 contradicts format=int8"),
        ("format=nf4,block_size=48", "block_size must be one of 32, 64"),
        ("format=int4", "format 'int4'"),
    ],
)
def test_settings_that_are_none_are_refused(settings: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(f"quantize:bnb,{settings}")


def test_the_linears_alone_are_packed(tiny_llama: LanguageModel) -> None:
    before = {name: weight_of(layer).clone() for name, layer in tiny_llama.anatomy.linears()}
    bnb.compress(tiny_llama, Bnb(format="nf4"), None, _silent)
    for name, layer in tiny_llama.anatomy.linears():
        assert isinstance(layer, BnbLinear)
        assert (weight_of(layer) - before[name]).abs().max() < 0.2 * before[name].abs().max()
    assert tiny_llama.anatomy.tied
    assert isinstance(tiny_llama.anatomy.embedding, torch.nn.Embedding)


def test_int8_is_evaluated_by_its_own_kernels_and_four_bits_dequantized(tiny_model, windows) -> None:
    for format, kept in (("int8", True), ("nf4", False)):
        model = tiny_model("llama")
        compress(model, parse(f"quantize:bnb,format={format}"), None, _silent)
        network = fp32.evaluated(model)
        assert any(isinstance(layer, BnbLinear) for layer in network.modules()) is kept
        same = torch.equal(network(windows).logits, fp32.dequantized(model)(windows).logits)
        assert same is not kept
        if kept:
            torch.testing.assert_close(network(windows).logits, model.network(windows).logits, rtol=0, atol=0)


def test_a_device_without_kernels_and_a_missing_library_are_named(monkeypatch) -> None:
    monkeypatch.setattr(bnb_matrix.library().cextension, "lib", object())
    with pytest.raises(InputError, match="no kernels here for device=cuda"):
        bnb.refuse_absent("cuda")

    def missing() -> None:
        raise ImportError("no module named bitsandbytes")

    monkeypatch.setattr(bnb, "library", missing)
    with pytest.raises(InputError, match="quantize:bnb needs the package bitsandbytes"):
        bnb.refuse_absent("cpu")


def test_nothing_else_imports_the_library() -> None:
    code = "import sys, engine.trial, engine.methods.bnb; print('bitsandbytes' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
