"""Answers the prompts of a store, one model after another: compress where needed, load, write token by token.

Models run as they are timed: packed, on their kernels, all else in bf16. What a token adds goes to the store every
WRITE_S. Between steps the writer looks whether to stop and whether a timing has the machine; the time it then stands
still counts in no speed.
"""

import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from engine import models
from engine.checkpoints import checkpoint
from engine.errors import InputError
from engine.measure import environment, timing_lock
from engine.models import LanguageModel
from engine.running import compressed, greedy, trial_model
from engine.spec import Trial
from engine.store import Completion, Generation, Generations, StoreError
from engine.system import entry
from engine.system.child import Event
from engine.system.every import Every

WRITE_S = 0.3
MOST_LOADED = 4  # models in memory, as many as stand side by side
MEMORY_SHARE = 0.25  # of the machine's memory, that they may hold together, the newest one aside
MOST_ATTEMPTS = 2
NO_TEMPLATE = "Its tokenizer has no chat template, so it was given the plain prompt."
LOST = (
    "the process that writes was lost twice at this model, most likely because memory ran out: "
    "close other programs, then generate again"
)


class StoppedError(Exception):
    """The prompt in hand shall be answered no further."""


class Writer:
    """The models in memory, and what it takes to have them answer; `stop` makes it leave off and go on next time."""

    def __init__(self, generations: Generations, stop: threading.Event, say: Callable[[str], None]) -> None:
        self.generations, self.stop, self.say = generations, stop, say
        self.loaded = Loaded()

    def run_next(self) -> bool:
        """Answer the oldest unfinished prompt; False where there is none."""
        generation = self.generations.next()
        if generation is None:
            return False
        try:
            for completion in generation.completions:
                if completion.unfinished:
                    self._complete(generation, completion)
        except StoppedError:
            if self.stop.is_set() and not self.generations.stop_asked(generation.id):
                return True
        self.generations.finish(generation.id)
        return True

    def _complete(self, generation: Generation, completion: Completion) -> None:
        """Have one model answer; whatever goes wrong costs only its text."""
        page = _Page(self, generation, completion.place)
        name = f"{completion.trial.recipe.text}, prompt {generation.id}"
        try:
            page.look()
            if completion.attempts >= MOST_ATTEMPTS:
                raise InputError(LOST)
            page.put(state="loading", attempts=completion.attempts + 1, pieces=(), decode_s=0.0)
            self._answer(completion.trial, page)
        except StoppedError:
            if self.stop.is_set():  # the next lane's to do, and no attempt of ours
                page.put(state="waiting", attempts=completion.attempts, paused=False)
            raise
        except StoreError:
            raise
        except Exception as error:
            page.put(state="failed", paused=False, reason=entry.explain(error, ""))
            self.say(f"{name}: failed\n{traceback.format_exc()}")
        else:
            self.say(f"{name}: written")

    def _answer(self, asked: Trial, page: "_Page") -> None:
        trial_model.refuse_absent_device(asked)
        torch.set_num_threads(environment.cpu_threads(asked.protocol.threads))
        model = self.loaded.find(asked)
        if model is None:
            folder = _compressed(asked, page) if asked.recipe.steps else None
            page.look()
            page.put(state="loading", done=0, total=0)
            model = self.loaded.load(asked, folder)
        page.look()
        _write(model, page)


class Loaded:
    """The models in memory, those used last."""

    def __init__(self) -> None:
        self._models: dict[str, LanguageModel] = {}  # by trial id, the one used last at the end

    def __len__(self) -> int:
        return len(self._models)

    def find(self, asked: Trial) -> LanguageModel | None:
        model = self._models.pop(asked.id, None)
        if model is not None:
            self._models[asked.id] = model
        return model

    def load(self, asked: Trial, folder: Path | None) -> LanguageModel:
        """The model of a packed checkpoint, or the dense one where there is no folder, ready; makes room for it."""
        device = asked.protocol.device
        self._make_room()
        if folder is None:
            model = models.load(trial_model.find_source(asked), torch.bfloat16, device)
        else:
            model = checkpoint.load(folder, torch.bfloat16, device)
        greedy.warm(model)
        self._models[asked.id] = model
        return model

    def _make_room(self) -> None:
        most = MEMORY_SHARE * psutil.virtual_memory().total
        while self._models and (len(self) >= MOST_LOADED or sum(map(_bytes, self._models.values())) > most):
            del self._models[next(iter(self._models))]


class _Page:
    """One completion in the store, and the look up from it: whether to stop, and whether a timing has the machine."""

    def __init__(self, writer: Writer, generation: Generation, place: int) -> None:
        self.writer, self.generation, self.place = writer, generation, place
        self.write_due, self.look_due = Every(WRITE_S), Every(WRITE_S)

    def put(self, **values: Any) -> None:
        self.writer.generations.write(self.generation.id, self.place, **values)

    def must_stop(self) -> bool:
        """Whether to stop; the store is asked every WRITE_S."""
        if self.writer.stop.is_set():
            return True
        return self.look_due() and self.writer.generations.stop_asked(self.generation.id)

    def look(self) -> None:
        """Return once no timing has the machine; raises StoppedError where someone wants no more."""
        if self.must_stop():
            raise StoppedError
        if not timing_lock.is_timing():
            return
        self.put(paused=True)
        while timing_lock.is_timing():
            if self.must_stop():
                raise StoppedError
            self.writer.stop.wait(timing_lock.LOOK_S)
        self.put(paused=False)


def _compressed(asked: Trial, page: _Page) -> Path:
    """The folder of the compressed model, made now where it is not kept; raises InputError where that fails."""
    if folder := compressed.find(asked):
        return folder
    page.put(state="compressing")

    def on_event(event: Event) -> None:
        if event["event"] == "stage":
            page.put(paused=event["stage"] == timing_lock.WAITING, done=0, total=0)
        elif event["event"] == "progress" and page.write_due():
            page.put(done=event["done"], total=event["total"])

    outcome = compressed.make(asked, on_event, page.must_stop)
    if outcome.state == "cancelled":
        raise StoppedError
    folder = compressed.find(asked)
    if folder is None:
        raise InputError(f"compressing it again failed: {outcome.reason}")
    return folder


def _write(model: LanguageModel, page: _Page) -> None:
    """Write the text into the store as it comes."""
    asked, ends = page.generation, greedy.end_tokens(model)
    prompt = greedy.prompt_tokens(model, asked.prompt, asked.chat, asked.most_tokens)
    note = NO_TEMPLATE if asked.chat and not greedy.has_template(model.tokenizer) else ""
    page.put(state="writing", done=0, total=asked.most_tokens, note=note)
    text, ended = _Text(greedy.Spelling(model.tokenizer)), False
    for token in greedy.write(model.network, prompt, asked.most_tokens):
        if token.id in ends:
            ended = True
            break
        text.add(token)
        if page.write_due():
            page.put(**text.columns)
        page.look()
    page.put(state="done", ended=ended, **text.columns)


class _Text:
    """The pieces written, and the seconds they took after the first, which reading the prompt is in."""

    def __init__(self, spelling: greedy.Spelling) -> None:
        self._spelling = spelling
        self.pieces: list[str] = []
        self.decode_s = 0.0

    def add(self, token: greedy.Token) -> None:
        if self.pieces:
            self.decode_s += token.seconds
        self.pieces.append(self._spelling.add(token.id))

    @property
    def columns(self) -> dict[str, Any]:
        """As the store keeps them."""
        return {"pieces": self.pieces, "decode_s": self.decode_s, "done": len(self.pieces)}


def _bytes(model: LanguageModel) -> int:
    """What the model's tensors take in memory, each once."""
    tensors = {t.data_ptr(): t.nbytes for t in (*model.network.parameters(), *model.network.buffers())}
    return sum(tensors.values())
