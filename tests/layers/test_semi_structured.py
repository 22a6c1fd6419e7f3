"""2:4 zeros left out as a model runs: the decision, and the way to the kernel, on a library that stands in for a GPU's.

It packs as CUTLASS's does, which torch can on a CPU, and its product unpacks; all between is torch's own dispatch.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.sparse import SparseSemiStructuredTensorCUTLASS
from torch.testing import assert_close

from engine.checkpoints import checkpoint
from engine.layers import semi_structured
from engine.layers.semi_structured import CUSPARSELT, CUTLASS, Choice, Library, SemiStructuredLinear, choose, why_not
from engine.measure import size
from engine.methods import compress
from engine.models import LanguageModel
from engine.spec import parse

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Unpacking(SparseSemiStructuredTensorCUTLASS):
    """A matrix whose product is made on the CPU."""

    @classmethod
    def _validate_device_dim_dtype_shape(cls, original_tensor: Tensor) -> None:
        assert original_tensor.is_contiguous()

    def _mm(self, B: Tensor, *, bias: Tensor | None = None, should_transpose_dense: bool = False, **_: Any) -> Tensor:
        assert should_transpose_dense  # B is [tokens, inputs], and the matrix [outputs, inputs]
        return torch.nn.functional.linear(B, self.to_dense(), bias)


class Wrong(Unpacking):
    def _mm(self, B: Tensor, **how: Any) -> Tensor:
        return 2 * super()._mm(B, **how)


STAND_IN = Library("stand-in", Unpacking, CUTLASS.rows, CUTLASS.columns)


def pruned(rows: int, columns: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)).to(dtype)
    weight.view(rows, -1, 4)[..., [0, 2]] = 0
    return weight


@pytest.fixture
def has_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that offers the stand-in."""
    monkeypatch.setattr(semi_structured, "choose", lambda device: Choice(STAND_IN))


@pytest.mark.parametrize(
    ("capability", "built_with_cusparselt", "library", "said"),
    [
        ((7, 5), True, None, "this GPU has 7.5"),
        ((8, 6), True, CUSPARSELT, ""),
        ((8, 6), False, CUTLASS, ""),
        ((9, 0), True, CUSPARSELT, ""),
        ((9, 0), False, None, "not for compute capability 9.0"),
    ],
)
def test_the_gpu_and_the_build_of_torch_decide_which_library(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    built_with_cusparselt: bool,
    library: Library | None,
    said: str,
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.backends.cusparselt, "is_available", lambda: built_with_cusparselt)
    monkeypatch.setattr(semi_structured, "_tried", lambda library, device: Choice(library))
    chosen = choose(GPU)
    assert chosen.library == library
    assert said in chosen.why_not


def test_without_an_nvidia_gpu_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "NVIDIA GPUs only" in choose(CPU).why_not
    monkeypatch.setattr(torch.version, "cuda", None)  # as in AMD's build, whose GPUs go by the same name
    assert "NVIDIA GPUs only" in choose(GPU).why_not


def test_a_library_that_fails_or_errs_on_a_small_product_is_not_used() -> None:
    assert semi_structured._tried(STAND_IN, CPU) == Choice(STAND_IN)
    assert "CUTLASS fails on this GPU: " in semi_structured._tried(CUTLASS, CPU).why_not
    assert "another product" in semi_structured._tried(STAND_IN._replace(tensor=Wrong), CPU).why_not


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (pruned(32, 128), ""),
        (pruned(32, 128, torch.float32), "these are float32"),
        (pruned(48, 128), "multiples of 32 x 64, and this one is 48 x 128"),
        (pruned(32, 96), "this one is 32 x 96"),
        (pruned(128, 64).T, "more than two numbers in some four neighbours"),  # 2:4 down the columns
        (pruned(32, 128).index_fill(1, torch.tensor([4]), 1.0), "more than two numbers in some four neighbours"),
    ],
)
def test_a_weight_that_no_kernel_takes_is_refused_in_words(weight: Tensor, said: str) -> None:
    found = why_not(weight, STAND_IN)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize("library", [CUSPARSELT, CUTLASS])
def test_the_sides_are_those_that_torch_asks_for(library: Library) -> None:
    for dtype in semi_structured.DTYPES:
        asked = library.tensor._DTYPE_SHAPE_CONSTRAINTS[dtype]
        assert (asked.sparse_min_rows, asked.sparse_min_cols) == (library.rows, library.columns)


@pytest.mark.parametrize("bias", [None, torch.arange(32).bfloat16()])
def test_a_linear_gives_the_product_in_nine_sixteenths_of_the_bytes(bias: Tensor | None) -> None:
    weight, x = pruned(32, 128), torch.arange(-384.0, 384).bfloat16().div(100).view(2, 3, 128).transpose(0, 1)
    layer = SemiStructuredLinear(weight, bias, STAND_IN)
    assert_close(layer(x), torch.nn.functional.linear(x, weight, bias), rtol=0.02, atol=0.3)
    assert size.resident_bytes(layer) == weight.nbytes * 9 / 16 + (0 if bias is None else bias.nbytes)


def saved(model: LanguageModel, recipe: str, folder: Path) -> Path:
    compress(model, parse(recipe), None, lambda *_: None)
    checkpoint.save(model, folder)
    return folder


def test_a_2_4_model_runs_without_its_zeros_and_is_not_simulated(
    tiny_llama: LanguageModel, windows: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tiny_llama, "prune:magnitude,pattern=2:4", tmp_path)
    plain = checkpoint.load(folder)
    monkeypatch.setattr(semi_structured, "choose", lambda device: Choice(STAND_IN))
    running = checkpoint.load(folder)
    assert running.skipped_zeros == ("stand-in", "")
    assert all(isinstance(layer, SemiStructuredLinear) for _, layer in running.anatomy.linears())
    with torch.inference_mode():
        assert_close(running.network(windows).logits, plain.network(windows).logits, rtol=0.05, atol=0.05)
    measured = size.measure(tiny_llama, folder)
    assert (measured.simulated, measured.reason, measured.zeros_kernel) == (False, "", "stand-in")
    stored = measured.metrics["weight_bytes"]
    assert measured.metrics["resident_weight_bytes"] == pytest.approx(stored, abs=64)  # and the rotary table


@pytest.mark.parametrize(
    ("recipe", "dtype", "said"),
    [
        ("prune:magnitude,sparsity=0.5", torch.bfloat16, "more than two numbers in some four neighbours"),
        ("prune:magnitude,pattern=4:8", torch.bfloat16, "more than two numbers in some four neighbours"),
        ("prune:magnitude,pattern=2:4", torch.float32, "these are float32"),
        ("quantize:rtn,bits=4,group_size=32,blocks=0 | prune:magnitude,pattern=2:4", torch.bfloat16, "are packed"),
        ("quantize:rtn,bits=4,group_size=32", torch.bfloat16, ""),
    ],
)
@pytest.mark.usefixtures("has_library")
def test_a_model_of_which_a_part_can_t_runs_with_all_its_zeros(
    tiny_llama: LanguageModel, tmp_path: Path, recipe: str, dtype: torch.dtype, said: str
) -> None:
    running = checkpoint.load(saved(tiny_llama, recipe, tmp_path), dtype)
    assert not running.skipped_zeros.kernel
    assert said in running.skipped_zeros.why_not
    assert not any(isinstance(layer, SemiStructuredLinear) for _, layer in running.anatomy.linears())
