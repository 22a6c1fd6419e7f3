"""From a user's words to trials: what makes two the same, and what is refused before any work."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import assets, tasks
from engine.errors import InputError
from engine.network import sources
from engine.network.sources import Source
from engine.spec import Protocol, make_sweep, parse
from engine.trials import find_model, make_trial, make_trials

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
PIQA = Protocol(tasks=("piqa",), limit=2)


def write_piqa(folder: Path, goals: int = 3, label: int = 0) -> None:
    record = {"goal": "Open a jar", "sol1": "Turn the lid.", "sol2": "Turn the jar into a lid.", "label": label}
    (folder / "piqa.jsonl").write_text("\n".join([json.dumps(record)] * goals))


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Makes every model name mean a tiny llama of the given configuration; the text is that of no data."""
    monkeypatch.setattr(assets, "text_sha256", lambda: "2" * 64)
    asked: list[tuple[str, str | None]] = []

    def set_config(**more: object) -> list[tuple[str, str | None]]:
        def resolve(name: str, revision: str | None = None) -> Source:
            asked.append((name, revision))
            config = {**CONFIG, **more}
            return Source(name, tmp_path, revision, "0" * 64, str(config["model_type"]), 1000, config)

        monkeypatch.setattr(sources, "resolve", resolve)
        return asked

    set_config()
    return set_config


def test_trials_come_in_the_sweeps_order_and_know_model_and_data(resolve_to, tmp_path: Path) -> None:
    write_piqa(tmp_path)
    sweep = make_sweep({"model": "m", "protocol": {"tasks": ["piqa"]}, "recipes": ["quantize:rtn,group_size=32"]})
    dense, compressed = make_trials(sweep, tmp_path)
    assert [t.recipe.text for t in (dense, compressed)] == [r.text for r in sweep.recipes]
    assert dict(dense.data_sha256) == {"piqa": tasks.task_sha256("piqa", tmp_path), "text": "2" * 64}
    assert (dense.weights_sha256, dense.data_dir) == ("0" * 64, str(tmp_path))
    assert compressed.dense() == dense


def test_other_data_is_another_trial_and_another_folder_with_the_same_is_not(resolve_to, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_piqa(tmp_path / name)
    first, same = (make_trial("m", parse("dense"), PIQA, tmp_path / name) for name in ("a", "b"))
    write_piqa(tmp_path / "a", goals=4)
    other = make_trial("m", parse("dense"), PIQA, tmp_path / "a")
    assert first.id == same.id != other.id


def test_the_id_covers_what_the_perplexity_text_holds_and_not_where_it_lies(
    resolve_to, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_piqa(tmp_path)
    for name in ("wikitext2.txt", "same.txt"):
        (tmp_path / name).write_text("once upon a time " * 40)
    (tmp_path / "other.txt").write_text("twice upon a time " * 40)
    monkeypatch.chdir(tmp_path)
    heldout, wikitext, same, other = (
        make_trial("m", parse("dense"), Protocol(tasks=("piqa",), limit=2, perplexity_text=name), tmp_path)
        for name in ("heldout", "wikitext2", "same.txt", "other.txt")
    )
    assert len({heldout.id, wikitext.id, other.id}) == 3
    assert wikitext.id == same.id
    assert same.protocol.perplexity_text == str(tmp_path / "same.txt")
    assert set(dict(heldout.data_sha256)) == {"piqa", "text"}
    assert dict(other.data_sha256)["perplexity_text"] == hashlib.sha256(b"twice upon a time " * 40).hexdigest()


def test_a_perplexity_text_that_is_not_there_is_refused_before_any_work(resolve_to, tmp_path: Path) -> None:
    write_piqa(tmp_path)
    with pytest.raises(InputError, match="perplexity_text must be heldout, wikitext2 or a text file"):
        make_trial("m", parse("dense"), Protocol(tasks=("piqa",), perplexity_text="no_such.txt"), tmp_path)


@pytest.mark.parametrize("size", [0, 14])
def test_a_perplexity_text_of_fewer_bytes_than_a_window_has_tokens_is_refused_before_any_work(
    resolve_to, tmp_path: Path, size: int
) -> None:
    write_piqa(tmp_path)
    text = tmp_path / "short.txt"
    text.write_text("x" * size)
    protocol = replace(PIQA, perplexity_text=str(text), sequence_length=16)
    with pytest.raises(InputError, match=f"short.txt' has {size} bytes, and one window needs 16 tokens; give a longer"):
        make_trial("m", parse("dense"), protocol, tmp_path)
    text.write_text("x" * 15)
    make_trial("m", parse("dense"), protocol, tmp_path)  # whether it has a window is for the tokenizer to say


def test_the_folder_given_goes_before_that_of_the_environment(resolve_to, tmp_path: Path, monkeypatch) -> None:
    write_piqa(tmp_path)
    monkeypatch.setenv("KNEEPOINT_DATA", "/no/such/folder")
    assert make_trial("m", parse("dense"), PIQA, tmp_path).data_dir == str(tmp_path)
    with pytest.raises(InputError, match="'/no/such/folder' does not exist"):
        make_trial("m", parse("dense"), PIQA)


def test_a_hub_model_may_name_its_revision(resolve_to, tmp_path: Path) -> None:
    asked = resolve_to()
    find_model("owner/name@v1.0")
    find_model("owner/name")
    assert asked == [("owner/name", "v1.0"), ("owner/name", None)]
    with pytest.raises(InputError, match="names no revision after its '@'"):
        find_model("owner/name@")


def test_a_folder_with_an_at_sign_is_a_folder(resolve_to, tmp_path: Path) -> None:
    asked = resolve_to()
    (tmp_path / "a@b").mkdir()
    find_model(str(tmp_path / "a@b"))
    assert asked == [(str(tmp_path / "a@b"), None)]


def test_a_family_that_a_method_does_not_know_is_refused(resolve_to, tmp_path: Path) -> None:
    write_piqa(tmp_path)
    for family, message in (("bloom", "does not know the model family 'bloom'"), ("phi", "can't work on the model")):
        resolve_to(model_type=family)
        assert make_trial("m", parse("dense"), PIQA, tmp_path)
        with pytest.raises(InputError, match=f"slice:slicegpt {message}"):
            make_trial("m", parse("slice:slicegpt"), PIQA, tmp_path)


@pytest.mark.parametrize(("family", "key"), [("gpt2", "n_positions"), ("opt", "max_position_embeddings")])
def test_more_tokens_than_learned_positions_are_refused(resolve_to, tmp_path: Path, family: str, key: str) -> None:
    write_piqa(tmp_path)
    resolve_to(model_type=family, **{key: 128})
    with pytest.raises(InputError, match="sequence_length must be at most the 128 positions that the model learned"):
        make_trial("m", parse("dense"), PIQA, tmp_path)
    with pytest.raises(InputError, match=r"prompt_tokens \+ decode_tokens must be at most the 128 .*, got 192"):
        make_trial("m", parse("dense"), replace(PIQA, sequence_length=128), tmp_path)
    resolve_to(model_type="llama", max_position_embeddings=128)
    assert make_trial("m", parse("dense"), PIQA, tmp_path)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [("quantize:rtn,group_size=48", "does not divide"), ("prune:layers,count=2", "less than the model's 2 blocks")],
)
def test_settings_that_do_not_fit_the_models_shape_are_refused(
    resolve_to, tmp_path: Path, recipe: str, says: str
) -> None:
    write_piqa(tmp_path)
    with pytest.raises(InputError, match=says):
        make_trial("m", parse(recipe), PIQA, tmp_path)


def test_a_task_file_that_can_not_be_read_is_refused_with_its_line(resolve_to, tmp_path: Path) -> None:
    write_piqa(tmp_path, label=7)
    with pytest.raises(InputError, match=r"piqa.jsonl, line 1: column 'label' must be 0 or 1, got 7"):
        make_trial("m", parse("dense"), PIQA, tmp_path)
    (tmp_path / "piqa.jsonl").write_text('{"goal": "x", "sol1": "y", "label": 0}')
    with pytest.raises(InputError, match=r"column 'sol2' is missing"):
        make_trial("m", parse("dense"), PIQA, tmp_path)


def test_an_unknown_task_is_refused_with_the_near_one(resolve_to, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'piqa'"):
        make_trial("m", parse("dense"), Protocol(tasks=("pica",)), tmp_path)


def test_a_file_is_read_once_until_it_changes(resolve_to, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_piqa(tmp_path)
    hashed: list[str] = []
    real = tasks.task_sha256
    monkeypatch.setattr(tasks, "task_sha256", lambda name, folder: hashed.append(name) or real(name, folder))
    for _ in range(3):
        make_trial("m", parse("dense"), PIQA, tmp_path)
    write_piqa(tmp_path, goals=5)
    make_trial("m", parse("dense"), PIQA, tmp_path)
    assert hashed == ["piqa", "piqa"]
