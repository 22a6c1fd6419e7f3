from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.checkpoints import checkpoint
from engine.measure import size
from engine.methods import compress
from engine.metrics import METRICS
from engine.models import LanguageModel
from engine.spec import parse

VOCABULARY, WIDTH, LINEAR = 264, 64, 64 * (128 + 32 + 32) + 128 * 64 + 3 * 64 * 192  # weights of one block


def _measured(model: LanguageModel, folder: Path, recipe: str, windows: Tensor | None = None) -> size.Size:
    compress(model, parse(recipe), windows, lambda *_: None)
    checkpoint.save(model, folder)
    return size.measure(model, folder)


def test_dense_by_hand(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    metrics, simulated, *_ = _measured(tiny_llama, tmp_path, "dense")
    assert not simulated
    assert metrics["embedding_bytes"] == VOCABULARY * WIDTH * 2
    assert metrics["head_bytes"] == 0  # tied
    assert metrics["linears_bytes"] == 4 * LINEAR * 2
    assert metrics["norms_bytes"] == 9 * WIDTH * 2
    assert metrics["scales_zeros_bytes"] == metrics["other_bytes"] == 0
    assert metrics["weight_bytes"] == 2 * metrics["parameters"] == 2 * tiny_llama.source.parameters
    assert metrics["compression_ratio"] == 1
    assert metrics["compression_ratio_fp32"] == 2
    assert metrics["bits_per_weight"] == 16
    assert metrics["kv_cache_bytes_per_token"] == 2 * 4 * 4 * 8 * 2


@pytest.mark.parametrize("bits", range(2, 9))
def test_every_width_is_stored_in_its_bits(tiny_llama: LanguageModel, tmp_path: Path, bits: int) -> None:
    metrics, simulated, reason, _ = _measured(tiny_llama, tmp_path, f"quantize:rtn,bits={bits},group_size=32")
    assert metrics["linears_bytes"] == 4 * LINEAR * bits // 8
    assert metrics["scales_zeros_bytes"] == 4 * LINEAR // 32 * 2
    assert metrics["parameters"] == tiny_llama.source.parameters
    assert simulated == (bits not in (4, 8))
    assert (f"({bits} bits)" in reason) == simulated
    dense_linears = 4 * LINEAR * 2
    other = metrics["weight_bytes"] - metrics["linears_bytes"] - metrics["scales_zeros_bytes"]
    resident = metrics["weight_bytes"] if bits in (4, 8) else other + dense_linears
    assert metrics["resident_weight_bytes"] == pytest.approx(resident, abs=64)  # and the rotary table


def test_zero_points_count_at_their_bits(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    metrics = _measured(tiny_llama, tmp_path, "quantize:rtn,bits=4,group_size=32,symmetric=false").metrics
    assert metrics["scales_zeros_bytes"] == 4 * LINEAR // 32 * 2 + 4 * LINEAR // 32 // 2


def test_zero_points_with_a_fraction_count_a_byte(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    metrics = _measured(tiny_llama, tmp_path, "quantize:hqq,bits=4,group_size=32,zero_points=fraction").metrics
    assert metrics["scales_zeros_bytes"] == 4 * LINEAR // 32 * (2 + 1)


@pytest.mark.parametrize(
    ("settings", "bits", "scales"),
    [
        ("format=int8", 8, 4 * 4 * (128 + 32 + 32 + 64 + 192 + 192 + 64)),
        ("format=nf4", 4, 4 * LINEAR // 64 * 4),
        ("format=fp4,block_size=32", 4, 4 * LINEAR // 32 * 4),
        # with it, a matrix has one scale of its scales, and their mean
        ("format=nf4,double_quantization=true", 4, 4 * LINEAR // 64 + 4 * 7 * (4 + 4)),
    ],
)
def test_what_bitsandbytes_packs_is_counted_and_runs_as_it_is(
    tiny_llama: LanguageModel, tmp_path: Path, settings: str, bits: int, scales: int
) -> None:
    metrics, simulated, *_ = _measured(tiny_llama, tmp_path, f"quantize:bnb,{settings}")
    assert metrics["linears_bytes"] == 4 * LINEAR * bits // 8
    assert metrics["scales_zeros_bytes"] == scales
    assert metrics["parameters"] == tiny_llama.source.parameters
    assert not simulated
    assert metrics["resident_weight_bytes"] == pytest.approx(metrics["weight_bytes"], abs=64)  # and the rotary table


def test_a_tied_table_is_counted_once(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    metrics, simulated, *_ = _measured(tiny_llama, tmp_path, "quantize:rtn,bits=8,targets=embedding+head")
    assert metrics["embedding_bytes"] == VOCABULARY * WIDTH
    assert metrics["head_bytes"] == 0
    assert metrics["scales_zeros_bytes"] == VOCABULARY * 2
    assert not simulated


def test_the_small_matrix_of_a_tied_slice_is_counted(
    tiny_llama: LanguageModel, windows: Tensor, tmp_path: Path
) -> None:
    metrics, simulated, *_ = _measured(tiny_llama, tmp_path, "slice:slicegpt,fraction=0.25", windows)
    assert metrics["embedding_bytes"] == VOCABULARY * 48 * 2
    assert metrics["head_bytes"] == 48 * 48 * 2
    assert not simulated


@pytest.mark.parametrize(
    ("recipe", "zeros", "bits"),  # bits: that the linears take, a weight
    [
        ("prune:magnitude,sparsity=0.5", 0.5, 16 / 2 + 1),
        ("prune:magnitude,pattern=2:4", 0.5, 16 / 2 + 1),
        ("prune:magnitude,sparsity=0.05", 0.05, 16),  # a mask would take more than the zeros
        ("prune:magnitude,pattern=2:4 | quantize:rtn,bits=4,group_size=32", 0.5, 4),  # zero is a point of the grid
        ("prune:magnitude,pattern=2:4 | quantize:rtn,bits=3,group_size=32", 0.5, 3),
    ],
)
def test_zeros_are_left_out_of_the_file_and_held_while_it_runs(
    tiny_llama: LanguageModel, tmp_path: Path, recipe: str, zeros: float, bits: float
) -> None:
    metrics, simulated, reason, _ = _measured(tiny_llama, tmp_path, recipe)
    assert metrics["linears_bytes"] == pytest.approx(4 * LINEAR * bits / 8, abs=4 * 7)
    assert (
        1 - metrics["nonzero_parameters"] / metrics["parameters"] >= 0.99 * zeros * 4 * LINEAR / metrics["parameters"]
    )
    resident = metrics["weight_bytes"] if bits in (4, 16) else 2 * metrics["parameters"]
    assert metrics["resident_weight_bytes"] == pytest.approx(resident, abs=64)  # and the rotary table
    assert simulated
    assert "held and multiplied as zeros" in reason
    assert ("MB stored" in reason) == (resident > metrics["weight_bytes"])
    assert ("bits)" in reason) == (bits == 3)


@pytest.mark.parametrize(("settings", "group"), [("bits=8,group_size=8", 8 + 2 + 1), ("bits=4,group_size=-1", 4 + 2.5)])
def test_a_kv_cache_is_counted_packed_and_is_simulated(
    tiny_llama: LanguageModel, tmp_path: Path, settings: str, group: float
) -> None:
    metrics, simulated, reason, _ = _measured(tiny_llama, tmp_path, f"quantize:kv_cache,{settings}")
    assert metrics["kv_cache_bytes_per_token"] == 2 * 4 * 4 * group  # of eight numbers, their scale and zero point
    assert metrics["weight_bytes"] == 2 * metrics["parameters"]
    assert simulated
    assert "held in 16 while the model runs" in reason


def test_zeros_that_no_step_made_are_stored(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    for _, layer in tiny_llama.anatomy.linears():
        layer.weight.data[::2] = 0
    metrics, simulated, *_ = _measured(tiny_llama, tmp_path, "dense")
    assert metrics["weight_bytes"] == 2 * metrics["parameters"]
    assert not simulated


def test_parts_add_up_and_are_all_metrics(each_family: LanguageModel, tmp_path: Path) -> None:
    metrics = _measured(each_family, tmp_path, "quantize:rtn,bits=4,group_size=16,targets=linears+head").metrics
    assert sum(metrics[f"{part}_bytes"] for part in size.PARTS) == metrics["weight_bytes"]
    assert {name for name, metric in METRICS.items() if metric.measure == "size"} == set(metrics)
    assert metrics["checkpoint_bytes"] == (tmp_path / "model.safetensors").stat().st_size
    if each_family.network.config.model_type == "qwen2":
        assert metrics["other_bytes"] == 4 * (128 + 32 + 32) * 2  # biases


def test_resident_bytes_count_each_storage_once() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False))
    module[1].weight = module[0].weight
    assert size.resident_bytes(module) == 64
