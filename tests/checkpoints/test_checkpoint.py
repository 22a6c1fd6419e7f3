import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from engine.checkpoints import assembly, checkpoint, fp32
from engine.errors import InputError
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear
from engine.layers.packed_matrix import PackedMatrix
from engine.methods import compress
from engine.models import LanguageModel
from engine.spec import parse


@pytest.fixture
def saved(tiny_llama: LanguageModel, tmp_path: Path) -> Path:
    """A checkpoint of a tiny llama packed to 4 bits."""
    compress(tiny_llama, parse("quantize:rtn,bits=4,group_size=32"), None, lambda *_: None)
    checkpoint.save(tiny_llama, tmp_path)
    return tmp_path


def test_runs_packed_and_agrees_with_the_evaluation(saved: Path, tiny_llama: LanguageModel, windows: Tensor) -> None:
    running = checkpoint.load(saved, torch.float32)
    assert all(isinstance(layer, PackedLinear) for _, layer in running.anatomy.linears())
    expected = fp32.dequantized(tiny_llama)
    torch.testing.assert_close(running.network(windows).logits, expected(windows).logits, rtol=0, atol=1e-3)
    prompt = windows[:1, :8]
    theirs = expected.generate(prompt, max_new_tokens=8, do_sample=False)
    assert torch.equal(running.network.generate(prompt, max_new_tokens=8, do_sample=False), theirs)


def test_bf16_runs_in_bf16(saved: Path, windows: Tensor) -> None:
    assert checkpoint.load(saved, torch.bfloat16).network(windows).logits.dtype == torch.bfloat16


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_widths_without_a_kernel_run_on_a_copy_but_look_up_packed(tiny_model, tmp_path: Path, family: str) -> None:
    model = tiny_model(family)
    compress(model, parse("quantize:rtn,bits=3,targets=linears+embedding"), None, lambda *_: None)
    checkpoint.save(model, tmp_path)
    anatomy = checkpoint.load(tmp_path).anatomy
    assert not any(isinstance(layer, PackedLinear) for _, layer in anatomy.linears())
    assert isinstance(anatomy.embedding, PackedEmbedding) == (family == "qwen3")  # llama's is its head as well
    assert anatomy.tied == (family == "llama")


def test_a_tied_slice_has_no_plain_form(tiny_llama: LanguageModel, windows: Tensor, tmp_path: Path) -> None:
    compress(tiny_llama, parse("slice:slicegpt,fraction=0.25"), windows, lambda *_: None)
    with pytest.raises(InputError, match="head=untied, or export it packed"):
        checkpoint.export_plain(tiny_llama, tmp_path / "plain")
    assert not (tmp_path / "plain").exists()


def test_another_version_is_refused(saved: Path) -> None:
    _edit_layout(saved, format=2)
    with pytest.raises(InputError, match="has format 2; this version reads format 1"):
        checkpoint.load(saved)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}'])
def test_a_damaged_layout_is_refused(saved: Path, text: str) -> None:
    (saved / checkpoint.LAYOUT).write_text(text)
    with pytest.raises(InputError, match=r"kneepoint\.json|has format None"):
        checkpoint.load(saved)


def test_a_folder_without_layout_is_refused(saved: Path) -> None:
    (saved / checkpoint.LAYOUT).unlink()
    with pytest.raises(InputError, match=r"is no packed checkpoint: it has no kneepoint\.json"):
        checkpoint.load(saved)


@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_a_truncated_file_is_refused(saved: Path, keep: float) -> None:
    path = saved / checkpoint.WEIGHTS
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(InputError, match="missing or damaged"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    "name",
    ["model.norm.weight", "model.layers.0.mlp.up_proj.matrix.scales", "model.layers.3.self_attn.q_proj.matrix.codes"],
)
def test_a_missing_tensor_is_refused(saved: Path, name: str) -> None:
    _edit_tensors(saved, **{name: None})
    with pytest.raises(InputError, match=f"lacks the tensor '{name}'"):
        checkpoint.load(saved)


def test_a_left_over_tensor_is_refused(saved: Path) -> None:
    _edit_tensors(saved, extra=torch.zeros(3))
    with pytest.raises(InputError, match="belongs to no layer: 'extra'"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("model.norm.weight", torch.zeros(3)),
        ("model.layers.0.mlp.up_proj.matrix.codes", torch.zeros(192, 8, dtype=torch.uint8)),
        ("model.layers.0.mlp.up_proj.matrix.scales", torch.zeros(192, 2)),
    ],
)
def test_a_tensor_of_another_shape_or_type_is_refused(saved: Path, name: str, tensor: Tensor) -> None:
    _edit_tensors(saved, **{name: tensor})
    with pytest.raises(InputError, match="not of the shape it should be"):
        checkpoint.load(saved)


@pytest.fixture
def saved_by_the_library(tiny_llama: LanguageModel, tmp_path: Path) -> Path:
    compress(tiny_llama, parse("quantize:bnb,format=nf4,double_quantization=true"), None, lambda *_: None)
    checkpoint.save(tiny_llama, tmp_path)
    return tmp_path


@pytest.mark.parametrize("part", ["codes", "scales", "nested_scales", "offset"])
def test_a_missing_tensor_of_bitsandbytes_is_refused(saved_by_the_library: Path, part: str) -> None:
    name = f"model.layers.0.mlp.up_proj.matrix.{part}"
    _edit_tensors(saved_by_the_library, **{name: None})
    with pytest.raises(InputError, match=f"lacks the tensor '{name}'"):
        checkpoint.load(saved_by_the_library)


@pytest.mark.parametrize(
    ("part", "tensor"),
    [("codes", torch.zeros(9, dtype=torch.uint8)), ("scales", torch.zeros(192)), ("offset", torch.zeros(1).half())],
)
def test_a_tensor_of_bitsandbytes_that_does_not_fit_is_refused(
    saved_by_the_library: Path, part: str, tensor: Tensor
) -> None:
    _edit_tensors(saved_by_the_library, **{f"model.layers.0.mlp.up_proj.matrix.{part}": tensor})
    with pytest.raises(InputError, match="not of the shape it should be"):
        checkpoint.load(saved_by_the_library)


@pytest.mark.parametrize("changes", [{"format": "int2"}, {"block_size": 0}, {"rows": 96}, {"block_size": None}])
def test_a_layout_of_bitsandbytes_that_does_not_fit_is_refused(saved_by_the_library: Path, changes: dict) -> None:
    path = saved_by_the_library / checkpoint.LAYOUT
    layout = json.loads(path.read_text())
    layout["packed"]["model.layers.0.mlp.up_proj"] |= changes
    path.write_text(json.dumps(layout))
    with pytest.raises(InputError, match="not of the shape it should be"):
        checkpoint.load(saved_by_the_library)


def _edit_layout(folder: Path, **changes: object) -> None:
    path = folder / checkpoint.LAYOUT
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _edit_tensors(folder: Path, **changes: Tensor | None) -> None:
    path = folder / checkpoint.WEIGHTS
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()} | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def test_a_folder_that_can_t_be_made_is_one_sentence(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"can't write the checkpoint .*taken"):
        checkpoint.save(tiny_llama, tmp_path / "taken")


def test_a_full_disk_is_one_sentence(
    tiny_llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object, **__: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", no_space)
    with pytest.raises(InputError, match=r"can't write the checkpoint '[^']*': No space left on device$"):
        checkpoint.save(tiny_llama, tmp_path)
    assert not (tmp_path / checkpoint.LAYOUT).exists()  # so that a half-written folder is never read


@pytest.mark.parametrize(
    ("recipe", "place", "copying"),
    [
        ("prune:magnitude,pattern=2:4", (assembly, "with_zeros"), lambda stored: stored.values),
        ("quantize:rtn,bits=3,group_size=32", (PackedMatrix, "dequantize"), lambda matrix: matrix.codes),
    ],
)
def test_what_a_layer_is_copied_from_leaves_memory_before_the_next_is_copied(
    tiny_llama: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str, place, copying
) -> None:
    """Of all the mappings of a file that layers were copied from, only that of the present one is there."""
    compress(tiny_llama, parse(recipe), None, lambda *_: None)
    checkpoint.save(tiny_llama, tmp_path)
    copy, mapped, there = getattr(*place), [], []

    def counted(source, *given):
        mapped.append(StorageWeakRef(copying(source).untyped_storage()))
        there.append(sum(not mapping.expired() for mapping in mapped))
        return copy(source, *given)

    monkeypatch.setattr(*place, counted)
    model = checkpoint.load(tmp_path)
    assert there == [1] * 28
    assert all(mapping.expired() for mapping in mapped)
    assert not any(isinstance(layer, PackedLinear) for _, layer in model.anatomy.linears())


@pytest.mark.parametrize("count", [3, 64 * 192])
def test_a_mask_that_does_not_fit_its_values_is_refused(tiny_llama: LanguageModel, tmp_path: Path, count: int) -> None:
    compress(tiny_llama, parse("prune:magnitude,pattern=2:4"), None, lambda *_: None)
    checkpoint.save(tiny_llama, tmp_path)
    name = "model.layers.1.mlp.up_proj"
    _edit_tensors(tmp_path, **{f"{name}.values": torch.zeros(count, dtype=torch.bfloat16)})
    with pytest.raises(InputError, match=f"damaged: '{name}' is not of the shape"):
        checkpoint.load(tmp_path)
