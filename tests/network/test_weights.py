import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.network import weights
from engine.network.weights import Tensor


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))


def safetensors(**shapes: tuple[int, ...]) -> bytes:
    """A file of zeros in the format, fp32."""
    entries, end = {}, 0
    for name, shape in shapes.items():
        size = 4
        for n in shape:
            size *= n
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(end)


def test_the_header_tells_names_types_and_shapes(tmp_path):
    (tmp_path / "a").write_bytes(safetensors(w=(3, 2), b=(3,), scalar=()))
    assert weights.header(tmp_path / "a") == {
        "w": Tensor("F32", (3, 2)),
        "b": Tensor("F32", (3,)),
        "scalar": Tensor("F32", ()),
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (safetensors(w=(3, 2))[:-1], "is truncated"),
        (safetensors(w=(3, 2)) + b"x", "longer than"),
        (safetensors(w=(3, 2))[:20], "can't hold its header"),
        (b"", "can't hold its header"),
        (b"\x02" + bytes(7) + b"[]", "header can't be read"),
        (b"\x02" + bytes(7) + b"{{", "header can't be read"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, words):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=words) as raised:
        weights.header(tmp_path / "model.safetensors")
    assert "model.safetensors" in str(raised.value)


def test_files_are_the_single_one_else_the_shards_of_the_index(tmp_path):
    (tmp_path / "consolidated.safetensors").write_bytes(b"")
    index = {"weight_map": {"x": "model-2.safetensors", "y": "model-1.safetensors", "z": "model-1.safetensors"}}
    (tmp_path / weights.INDEX).write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"lacks model-1\.safetensors"):
        weights.files(tmp_path)
    for name in ("model-1.safetensors", "model-2.safetensors"):
        (tmp_path / name).write_bytes(safetensors(x=(1,)))
    assert [p.name for p in weights.files(tmp_path)] == ["model-1.safetensors", "model-2.safetensors"]
    (tmp_path / weights.SINGLE).write_bytes(safetensors(x=(1,)))
    assert [p.name for p in weights.files(tmp_path)] == ["model.safetensors"]


def test_an_index_may_not_point_out_of_its_folder(tmp_path):
    (tmp_path / weights.INDEX).write_text(json.dumps({"weight_map": {"x": "../other.safetensors"}}))
    with pytest.raises(InputError, match="must lie beside it"):
        weights.files(tmp_path)


def test_an_index_of_no_shards_is_refused(tmp_path):
    (tmp_path / weights.INDEX).write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(InputError, match=r"index\.json names no shards"):
        weights.files(tmp_path)


def test_a_tensor_in_two_shards_is_refused_as_either_could_be_meant(tmp_path):
    shards = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    shards[0].write_bytes(safetensors(x=(1,), y=(2,)))
    shards[1].write_bytes(safetensors(z=(1,), y=(2,)))
    with pytest.raises(InputError, match=r"b\.safetensors and a\.safetensors both hold 'y'"):
        weights.tensors(shards)


@pytest.mark.parametrize("dtype", ["I8", "F8_E4M3", "BOOL"])
def test_weights_that_are_codes_are_refused_and_whole_numbers_that_are_none_are_not(dtype):
    found = {"h.0.attn.bias": Tensor("BOOL", (1, 1, 8, 8)), "position_ids": Tensor("I64", (8,))}
    weights.parameters(found, {"model_type": "gpt2"})
    with pytest.raises(InputError, match=f"'up.weight' is stored as {dtype}.*in F64, F32, F16, BF16"):
        weights.parameters({**found, "up.weight": Tensor(dtype, (2, 2))}, {"model_type": "gpt2"})


def test_no_weights_and_pickled_weights_are_told_apart(tmp_path):
    with pytest.raises(InputError, match="holds no weights"):
        weights.files(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"pytorch_model\.bin but no safetensors.*pickles"):
        weights.files(tmp_path)


def test_parameters_count_ties_once_and_no_buffers():
    found = {
        "model.embed_tokens.weight": Tensor("F32", (10, 4)),
        "lm_head.weight": Tensor("F32", (10, 4)),
        "h.0.attn.bias": Tensor("F32", (1, 1, 8, 8)),
        "gpt_neox.layers.0.attention.bias": Tensor("BOOL", (1, 1, 8, 8)),
        "layers.0.rotary_emb.inv_freq": Tensor("F32", (2,)),
        "h.0.attn.c_attn.bias": Tensor("F32", (12,)),
    }
    assert weights.parameters(found, {"model_type": "llama"}) == 92
    assert weights.parameters(found, {"model_type": "llama", "tie_word_embeddings": True}) == 52
    assert weights.parameters(found, {"model_type": "gpt2"}) == 52


def test_the_hash_covers_all_bytes_in_order_and_follows_a_change(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"one")
    b.write_bytes(b"two")
    assert weights.sha256([a, b]) == hashlib.sha256(b"onetwo").hexdigest()
    assert weights.sha256([a, b]) == hashlib.sha256(b"onetwo").hexdigest()
    b.write_bytes(b"six")
    os.utime(b, ns=(1, 1))
    assert weights.sha256([a, b]) == hashlib.sha256(b"onesix").hexdigest()


def test_on_a_full_disk_the_hash_is_not_remembered_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"one")
    full_disk(monkeypatch)
    assert weights.sha256([tmp_path / "a"]) == hashlib.sha256(b"one").hexdigest()
    assert not list((tmp_path / "cache" / "hashes").iterdir())


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files can still be made, and hold nothing."""

    def refuse(path: Path, *_: object, **__: object) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
