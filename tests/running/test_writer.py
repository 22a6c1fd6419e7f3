"""The writer in this process: each model's own greedy text, and what goes wrong costs that text only."""

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine import models
from engine.checkpoints import checkpoint
from engine.errors import InputError
from engine.measure.timing_lock import timing_lock
from engine.running import compressed, exporter, greedy, writer
from engine.running.export import export
from engine.running.writer import LOST, NO_TEMPLATE, Loaded, Writer
from engine.spec import Trial, parse
from engine.store import Completion, Generation, Generations, Store
from engine.system.child import Outcome
from engine.system.events import Events
from engine.trials import make_unmeasured
from tests.conftest import source_of
from tests.processes import wait_until

RECIPES = ("dense", "quantize:rtn,bits=8,group_size=32", "quantize:rtn,bits=4,group_size=32")
NAMES = ("a", "b", "c")
PROMPT, TOKENS = "Why is the sky blue?", 12


@pytest.fixture
def trials(tiny_folder: Callable[[str], Path]) -> list[Trial]:
    return [make_unmeasured(str(tiny_folder("llama")), parse(recipe)) for recipe in RECIPES]


@pytest.fixture
def generations(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generations:
    """An empty store, with compressed models of its own that are made in this process."""
    monkeypatch.setattr(compressed, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(exporter, "run_in_child", compress_here)
    return Generations(Store(url))


def compress_here(job, on_event, cancelled, command) -> Outcome:
    export({**job, "yields": False}, quiet())
    return Outcome("done")


def run(generations: Generations, stop: threading.Event | None = None) -> list[str]:
    said: list[str] = []
    made = Writer(generations, stop or threading.Event(), said.append)
    while made.run_next() and not made.stop.is_set():
        pass
    return said


def read(generations: Generations, names: tuple[str, ...] = NAMES) -> Generation:
    found = generations.newest(names)
    assert found is not None
    return found


def expected(trial: Trial, tmp_path: Path) -> str:
    """The greedy text of the trial's own compressed model, up to an end-of-text token."""
    if trial.recipe.steps:
        exporter.write(trial, "packed", tmp_path / trial.id, print, lambda: False)
        model = checkpoint.load(tmp_path / trial.id, torch.bfloat16)
    else:
        model = models.load(source_of(Path(trial.model), "llama"), torch.bfloat16)
    spelling, text = greedy.Spelling(model.tokenizer), ""
    for token in greedy.write(model.network, greedy.prompt_tokens(model, PROMPT, False, TOKENS), TOKENS):
        if token.id in greedy.end_tokens(model):
            break
        text += spelling.add(token.id)
    return text


def quiet() -> Events:
    return Events(io.StringIO())


def joined(one: Completion) -> str:
    return "".join(one.pieces)


def test_every_model_writes_its_own_greedy_text(generations: Generations, trials: list[Trial], tmp_path: Path) -> None:
    generations.ask(NAMES, trials, PROMPT, False, TOKENS)
    run(generations)
    found = read(generations)
    assert not found.unfinished
    assert [one.state for one in found.completions] == ["done"] * 3
    assert [joined(one) for one in found.completions] == [expected(trial, tmp_path) for trial in trials]
    assert all(one.ended or len(one.pieces) == TOKENS for one in found.completions)
    assert all(one.tokens_per_s for one in found.completions if len(one.pieces) > 1)
    assert all(one.note == "" for one in found.completions)


def test_a_model_without_a_template_gets_the_plain_prompt_and_it_is_said(
    generations: Generations, trials: list[Trial], tmp_path: Path
) -> None:
    generations.ask(NAMES[:1], trials[:1], PROMPT, True, TOKENS)
    run(generations)
    (one,) = read(generations, NAMES[:1]).completions
    assert (one.note, joined(one)) == (NO_TEMPLATE, expected(trials[0], tmp_path))


def test_a_compressed_model_is_kept_on_disk_and_in_memory(
    generations: Generations, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    generations.ask(NAMES[1:2], trials[1:2], PROMPT, False, TOKENS)
    run(generations)
    monkeypatch.setattr(exporter, "run_in_child", lambda *_: pytest.fail("compressed again"))
    generations.ask(NAMES[1:2], trials[1:2], PROMPT, False, TOKENS)
    made = Writer(generations, threading.Event(), print)
    made.run_next()
    monkeypatch.setattr(checkpoint, "load", lambda *_: pytest.fail("loaded again"))
    generations.ask(NAMES[1:2], trials[1:2], PROMPT, False, TOKENS)
    made.run_next()
    assert read(generations, NAMES[1:2]).completions[0].state == "done"


@pytest.mark.parametrize("error", [InputError("the model has gone"), MemoryError(), ZeroDivisionError("a mistake")])
def test_what_goes_wrong_costs_one_text_and_is_said_in_a_sentence(
    generations: Generations, trials: list[Trial], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    load = checkpoint.load

    def refuse(folder: Path, *more) -> models.LanguageModel:
        if folder.name == trials[1].id:
            raise error
        return load(folder, *more)

    monkeypatch.setattr(checkpoint, "load", refuse)
    generations.ask(NAMES, trials, PROMPT, False, TOKENS)
    said = run(generations)
    found = read(generations)
    assert [one.state for one in found.completions] == ["done", "failed", "done"]
    reason = found.completions[1].reason
    assert reason
    assert "\n" not in reason
    assert any("Traceback" in text for text in said)


def test_what_is_compiled_at_the_first_token_counts_in_no_speed(
    generations: Generations, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_on, compiled = greedy.read_on, []

    def compiling(network, read, past):
        if read.shape[1] == 1 and network not in compiled:
            compiled.append(network)
            time.sleep(1)
        return read_on(network, read, past)

    monkeypatch.setattr(greedy, "read_on", compiling)
    generations.ask(NAMES, trials, PROMPT, False, TOKENS)
    run(generations)
    written = read(generations).completions
    assert [len(one.pieces) for one in written] == [TOKENS] * 3
    assert all((one.tokens_per_s or 0) > TOKENS for one in written)


def test_a_failed_compression_is_said_with_its_reason(
    generations: Generations, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "run_in_child", lambda *_: Outcome("failed", "the disk is full"))
    generations.ask(NAMES[1:2], trials[1:2], PROMPT, False, TOKENS)
    run(generations)
    assert read(generations, NAMES[1:2]).completions[0].reason == "compressing it again failed: the disk is full"


def test_a_model_that_took_the_process_down_twice_fails(generations: Generations, trials: list[Trial]) -> None:
    generation_id = generations.ask(NAMES, trials, PROMPT, False, TOKENS)
    generations.write(generation_id, 1, attempts=2, state="loading")
    run(generations)
    found = read(generations)
    assert [one.state for one in found.completions] == ["done", "failed", "done"]
    assert found.completions[1].reason == LOST


def test_a_lane_told_to_stop_leaves_the_text_to_the_next_one(
    generations: Generations, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, write = threading.Event(), greedy.write

    def interrupted(*args):
        for token in write(*args):
            yield token
            stop.set()

    generations.ask(NAMES, trials, PROMPT, False, TOKENS)
    with monkeypatch.context() as first:
        first.setattr(greedy, "write", interrupted)
        run(generations, stop)
    found = read(generations)
    assert found.unfinished
    assert [(one.state, one.attempts) for one in found.completions] == [("waiting", 0)] * 3
    run(generations)
    assert [one.state for one in read(generations).completions] == ["done"] * 3


def test_a_stop_that_was_asked_keeps_what_is_written(
    generations: Generations, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = greedy.write
    monkeypatch.setattr(writer, "WRITE_S", 0.0)

    def stopped(*args):
        for count, token in enumerate(write(*args)):
            if count == 3:
                generations.ask_to_stop(generation_id)
            yield token

    monkeypatch.setattr(greedy, "write", stopped)
    generation_id = generations.ask(NAMES, trials, PROMPT, False, TOKENS)
    run(generations)
    found = read(generations)
    assert not found.unfinished
    assert [one.state for one in found.completions] == ["stopped"] * 3
    assert [len(one.pieces) for one in found.completions] == [4, 0, 0]


def test_it_waits_while_a_timing_has_the_machine(generations: Generations, trials: list[Trial]) -> None:
    generations.ask(NAMES[:1], trials[:1], PROMPT, False, TOKENS)
    thread = threading.Thread(target=run, args=(generations,))
    with timing_lock(lambda: None):
        thread.start()
        wait_until(lambda: read(generations, NAMES[:1]).completions[0].paused)
        assert read(generations, NAMES[:1]).completions[0].pieces == ()
    thread.join(60)
    (one,) = read(generations, NAMES[:1]).completions
    assert (one.state, one.paused) == ("done", False)


def test_models_in_memory_are_bounded_in_number_and_bytes(
    generations: Generations, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for trial in trials[1:]:
        compressed.make(trial, print, lambda: False)
        folders.append(compressed.find(trial))
    monkeypatch.setattr(writer, "MOST_LOADED", 2)
    loaded = Loaded()
    dense = loaded.load(trials[0], None)
    eight = loaded.load(trials[1], folders[0])
    assert loaded.find(trials[0]) is dense  # and counts as used last
    loaded.load(trials[2], folders[1])
    assert len(loaded) == 2
    assert loaded.find(trials[1]) is None
    monkeypatch.setattr(writer, "MEMORY_SHARE", 0.0)
    assert loaded.load(trials[1], folders[0]) is not eight
    assert len(loaded) == 1
