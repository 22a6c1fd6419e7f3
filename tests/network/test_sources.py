import hashlib
import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import errors

from engine import assets
from engine.errors import InputError
from engine.network import sources

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def make(folder: Path, config: dict | None = None) -> Path:
    """A model folder whose weights are 6 fp32 zeros."""
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
    (folder / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_a_local_folder(tmp_path):
    folder = make(tmp_path / "mine")
    source = sources.resolve(str(folder))
    assert (source.name, source.folder, source.revision) == (str(folder), folder, None)
    assert (source.model_type, source.parameters, source.config) == ("llama", 6, CONFIG)
    meaning = b"".join((folder / name).read_bytes() for name in ("model.safetensors", "config.json", "tokenizer.json"))
    assert source.weights_sha256 == hashlib.sha256(meaning).hexdigest()


def test_a_relative_folder_gets_the_name_that_any_process_resolves(tmp_path, monkeypatch):
    folder = make(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert sources.resolve("mine").name == str(folder)
    assert sources.resolve("./mine/").name == str(folder)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "can't be read as JSON"),
        (lambda f: (f / "config.json").write_text("[" * 100_000), "can't be read as JSON"),
        (lambda f: (f / "config.json").write_text("{}"), "names no model_type"),
        (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "but no safetensors"),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-3]), "is truncated"),
        (lambda f: (f / "tokenizer.json").unlink(), "holds no tokenizer"),
        (lambda f: (f / "kneepoint.json").write_text("{}"), "packed checkpoint"),
    ],
)
def test_what_a_folder_lacks_is_one_sentence(tmp_path, harm, words):
    folder = make(tmp_path / "mine")
    harm(folder)
    with pytest.raises(InputError, match=words) as raised:
        sources.resolve(str(folder))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, "quantized already"),
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM, which is no causal language model"),
        ({"architectures": "LlamaForCausalLM"}, "must list its architectures, got 'LlamaForCausalLM'"),
        ({"architectures": 5}, "must list its architectures, got 5"),
    ],
)
def test_a_model_of_another_kind_is_refused(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        sources.resolve(str(make(tmp_path / "mine", {**CONFIG, **change})))


def test_names_that_are_nothing_suggest_something(tmp_path):
    with pytest.raises(InputError, match=f"did you mean '{assets.MODEL_NAME}'"):
        sources.resolve("smollm2-135m-instuct")
    for name in ("./nowhere", "/nowhere/at/all", "a b", ""):
        with pytest.raises(InputError, match="there is no model folder"):
            sources.resolve(name)
    with pytest.raises(InputError, match="engine fetch"):
        sources.resolve(assets.MODEL_NAME)


def test_a_revision_is_for_the_hub_only(tmp_path):
    with pytest.raises(InputError, match="revision is for hub models"):
        sources.resolve(str(make(tmp_path / "mine")), revision="main")


def test_a_hub_model_takes_safetensors_and_never_pickles(tmp_path, monkeypatch):
    folder, asked = make(tmp_path / "snapshots" / COMMIT), {}

    def snapshot_download(name, **options):
        asked.update(options, name=name)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    source = sources.resolve("owner/model", revision="main")
    assert (source.name, source.revision, source.folder) == ("owner/model", COMMIT, folder)
    assert (asked["name"], asked["revision"]) == ("owner/model", "main")
    right = ["model-1.safetensors", "config.json", "tokenizer.model", "merges.txt"]
    wrong = ["pytorch_model.bin", "consolidated.safetensors", "modeling.py", "onnx/config.json", "a/model.safetensors"]
    patterns = {key: asked[key] for key in ("allow_patterns", "ignore_patterns")}
    assert list(huggingface_hub.utils.filter_repo_objects([*wrong, *right], **patterns)) == right


def test_a_commit_that_is_in_the_cache_needs_no_network(tmp_path, monkeypatch):
    folder, calls = make(tmp_path / "snapshots" / COMMIT), []

    def snapshot_download(name, local_files_only=False, **options):
        calls.append(local_files_only)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert sources.resolve("owner/model", COMMIT).revision == COMMIT
    assert calls == [True]
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="holds no weights"):
        sources.resolve("owner/model", COMMIT)
    assert calls == [True, True, False]
    with pytest.raises(InputError, match="is not on this machine"):
        sources.resolve("owner/model", COMMIT, fetch=False)
    assert calls == [True, True, False, True]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.LocalEntryNotFoundError("x"), "can't be reached"),
        (errors.OfflineModeIsEnabled("x"), "can't be reached"),
        (ConnectionError("x"), "can't be reached"),
        (errors.HFValidationError("x"), "there is no model 'owner/model'"),
        (OSError(28, "No space left on device"), "could not be downloaded: No space left on device"),
    ],
)
def test_what_goes_wrong_with_the_hub_is_one_sentence(monkeypatch, error, words):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(InputError, match=words):
        sources.resolve("owner/model")


def test_known_lists_the_default_and_the_folders_used_before(tmp_path):
    assert [(row.name, row.ready) for row in sources.known()] == [(assets.MODEL_NAME, False)]
    folder = make(tmp_path / "mine")
    sources.resolve(str(folder))
    sources.resolve(str(folder))
    row = sources.known()[1]
    assert (row.name, row.origin, row.model_type, row.parameters) == (str(folder), "folder", "llama", 6)
    (folder / "model.safetensors").unlink()
    assert len(sources.known()) == 1


def test_it_imports_without_torch():
    code = "import sys, engine.network.sources, engine.tasks, engine.assets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_the_same_weights_under_another_configuration_are_another_model(tmp_path):
    folder = make(tmp_path / "model")
    before = sources.resolve(str(folder)).weights_sha256
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    assert sources.resolve(str(folder)).weights_sha256 != before
