"""The perplexity measure of a trial whose network changes in place, as compression does."""

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine import assets
from engine.errors import InputError
from engine.measure import greedy_match, references
from engine.measure.logits import Logits
from engine.measure.next_words import RAN_AGAIN, NextWords
from engine.models import LanguageModel
from engine.outcome.parting import agreement
from engine.outcome.texts import Text
from engine.spec import Protocol, Trial, parse
from engine.system.events import Events

PROTOCOL = Protocol(sequence_length=40, perplexity_windows=3)
PASSAGES = [f"Passage {n} tells at some length of the {noun}." for n in range(30) for noun in ("mill", "river")]
Make = Callable[..., tuple[NextWords, LanguageModel, Callable[[], list[dict[str, Any]]]]]


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "text", lambda split: PASSAGES)


@pytest.fixture
def make(tiny_model: Callable[[str], LanguageModel], tmp_path: Path) -> Make:
    """A fresh tiny model, what its trial reads, and the trial's events so far."""

    def words(recipe: str = "quantize:rtn", protocol: Protocol = PROTOCOL) -> Any:
        model, stream = tiny_model("llama"), io.StringIO()
        trial = Trial("m", None, "0" * 64, parse(recipe), protocol, (), str(tmp_path))
        found = NextWords(trial, model.source, model.tokenizer, tmp_path / "head.safetensors", Events(stream))
        return found, model, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    return words


def damage(model: LanguageModel) -> None:
    """Change every weight in place, the head's among them."""
    generator = torch.Generator().manual_seed(5)
    for parameter in model.network.parameters():
        parameter += 0.02 * torch.randn(parameter.shape, generator=generator)


def metrics(events: list[dict[str, Any]]) -> dict[str, float]:
    return {name: value for event in events if event["event"] == "metrics" for name, value in event["metrics"].items()}


def stages(events: list[dict[str, Any]]) -> list[str]:
    return [event["stage"] for event in events if event["event"] == "stage"]


def log_probabilities(model: LanguageModel, windows: Tensor) -> Tensor:
    found: Tensor = copy.deepcopy(model.network).double()(windows).logits[:, :-1].log_softmax(dim=-1)
    return found


def test_it_compares_with_the_network_that_was_changed_in_place(make: Make) -> None:
    words, model, events = make()
    before = log_probabilities(model, words.windows)
    written = greedy_match.continuations(model.network, words.prompts)
    words.read_dense(model.network)
    damage(model)
    words.measure(model.network)
    after, targets = log_probabilities(model, words.windows), words.windows[:, 1:, None]
    change = (before.gather(2, targets) - after.gather(2, targets)).mean().item()
    divergence = (before.exp() * (before - after)).sum(-1).mean().item()
    found = metrics(events())
    assert found["kl_to_dense"] == pytest.approx(divergence, abs=1e-4)
    assert found["kl_to_dense"] > 0.01
    assert found["loss_change"] == pytest.approx(change, abs=1e-5)
    assert found["loss_change_low"] < found["loss_change"] < found["loss_change_high"]
    assert found["top1_agreement"] == (before.argmax(-1) == after.argmax(-1)).double().mean()
    again = greedy_match.continuations(model.network, words.prompts)
    assert found["greedy_match_tokens"] == greedy_match.common_prefix(again, written).double().mean()
    assert 0 < found["greedy_match_tokens"] < 32


def test_both_sides_tell_what_they_wrote(make: Make) -> None:
    dense, model, events = make("dense")
    dense.measure(model.network)
    theirs = [Text.from_dict(text) for event in events() if event["event"] == "texts" for text in event["texts"]]
    words, model, events = make()
    words.read_dense(model.network)
    damage(model)
    words.measure(model.network)
    ours = [Text.from_dict(text) for event in events() if event["event"] == "texts" for text in event["texts"]]
    assert len(ours) == len(theirs) == 50
    assert [text.prompt for text in ours] == [model.tokenizer.decode(prompt) for prompt in words.prompts.tolist()]
    found = agreement(ours, theirs)
    assert found is not None
    # token by token they agree no further than letter by letter; a random model's tokens are often no letter at all
    assert metrics(events())["greedy_match_tokens"] <= found.tokens < 32


def test_a_kept_reference_gives_the_same_numbers_as_a_fresh_one(make: Make) -> None:
    told = []
    for _ in range(2):
        words, model, events = make()
        words.read_dense(model.network)
        damage(model)
        words.measure(model.network)
        told.append(events())
    assert stages(told[0]) == ["dense reference", "dense continuations", "perplexity", "greedy continuations"]
    assert stages(told[1]) == ["perplexity", "greedy continuations"]
    assert metrics(told[0]) == metrics(told[1])


def test_dense_is_itself_by_definition_and_leaves_what_others_compute(make: Make) -> None:
    dense, model, events = make("dense")
    dense.read_dense(model.network)
    dense.measure(model.network)
    found = metrics(events())
    assert (found["kl_to_dense"], found["loss_change"], found["top1_agreement"]) == (0, 0, 1)
    assert found["greedy_match_tokens"] == found["greedy_match_tokens_low"] == 32
    kept = references.load(dense.trial.comparison_id, (3, 39), (50, 32))
    references._path(dense.trial.comparison_id).unlink()
    words, model, _ = make()
    words.read_dense(model.network)
    assert kept is not None
    assert words.reference is not None
    for ours, theirs in zip(words.reference, kept, strict=True):
        assert torch.equal(ours, theirs)


def test_where_the_head_needs_the_rest_the_dense_model_runs_again_and_a_note_says_so(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for apart in (True, False):
        if not apart:
            monkeypatch.setattr(Logits, "_separate_head", lambda self: None)
        words, model, events = make()
        words.read_dense(model.network)
        damage(model)
        words.measure(model.network)
        told.append(events())
        assert words.head.exists() == apart
        words.head.unlink(missing_ok=True)
        references._path(words.trial.comparison_id).unlink()
    assert metrics(told[0]) == pytest.approx(metrics(told[1]), rel=1e-3, abs=1e-4)
    notes = [[event["text"] for event in events if event["event"] == "note"] for events in told]
    assert notes == [[], [RAN_AGAIN]]


def test_another_text_is_read_from_its_beginning(make: Make, tmp_path: Path) -> None:
    (tmp_path / "wikitext2.txt").write_text(" \n = Robert Boulter = \n" * 10)
    words, model, _ = make(protocol=Protocol(sequence_length=40, perplexity_windows=3, perplexity_text="wikitext2"))
    read = model.tokenizer.decode(words.windows.flatten().tolist())
    assert read == (" \n = Robert Boulter = \n" * 10)[:120]
    assert model.tokenizer.decode(words.prompts[0].tolist()).startswith("Passage ")


def test_a_text_under_one_window_says_how_long_it_is(make: Make, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("only a few")
    with pytest.raises(InputError, match="the perplexity text has 10 tokens, and one window needs 40"):
        make(protocol=Protocol(sequence_length=40, perplexity_text=str(tmp_path / "short.txt")))
