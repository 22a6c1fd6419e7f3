"""What a trial tells the process that started it: one JSON object a line, as soon as it happens.

stage {stage, total?} · progress {done, total} · metrics {metrics, reasons} · items {task, items} · texts {texts}
profile {name, content} · note {text} · notes {measure, texts} · simulated {value} · environment {environment}
failed {reason, traceback} · done {}
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

PROGRESS_SECONDS = 0.1
NOT_FINITE = "the measured value is {}: the compressed model's numbers overflow"


class Events:
    """Writes a trial's events; nothing else may write to the same stream."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._told = -math.inf
        self.current = ""  # the stage in progress, for the sentence about a failure
        self.pause: Callable[[], None] = lambda: None  # called before every staged progress: the place to stand still

    @staticmethod
    def on_stdout() -> "Events":
        """Events on the real standard output; what is printed from here on, by any library, goes to standard error."""
        stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        sys.stdout.flush()
        os.dup2(2, 1)
        return Events(stream)

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins; `total` is its units of work, where they are known."""
        self.current = name
        self._told = -math.inf
        self._emit("stage", stage=name, **({} if total is None else {"total": total}))

    def progress(self, done: int, total: int) -> None:
        """Units done of the stage; dropped when the last report is under PROGRESS_SECONDS old, unless it is the end."""
        now = self._clock()
        if done < total and now - self._told < PROGRESS_SECONDS:
            return
        self._told = now
        self._emit("progress", done=done, total=total)

    def staged_progress(self, stage: str, done: int, total: int) -> None:
        """Progress of a stage that begins with its first report."""
        self.pause()
        if stage != self.current:
            self.stage(stage, total)
        self.progress(done, total)

    def metrics(self, values: Mapping[str, float | None], reasons: Mapping[str, str] | None = None) -> None:
        """Measured values; one that is not finite goes out as null with its reason."""
        odd = {n: NOT_FINITE.format(_word(v)) for n, v in values.items() if v is not None and not math.isfinite(v)}
        sent = {name: None if name in odd else value for name, value in values.items()}
        self._emit("metrics", metrics=sent, reasons={**odd, **(reasons or {})})

    def missing(self, names: Iterable[str], reason: str) -> None:
        """Metrics that can't be had, and why."""
        self.metrics(dict.fromkeys(names), dict.fromkeys(names, reason))

    def items(self, task: str, answers: Iterable[Mapping[str, Any]]) -> None:
        """How the items of one task were answered; log-likelihoods that are not finite go out as null."""
        self._emit("items", task=task, items=[_finite_answer(answer) for answer in answers])

    def texts(self, texts: Iterable[Mapping[str, Any]]) -> None:
        """What the model wrote after the fixed prompts: prompt, text, tokens and ends of each."""
        self._emit("texts", texts=[dict(text) for text in texts])

    def profile(self, name: str, content: Mapping[str, Any]) -> None:
        """A result that is more than a number, under its name; raises ValueError where a number in it is not finite."""
        self._emit("profile", name=name, content=dict(content))

    def note(self, text: str) -> None:
        self._emit("note", text=text)

    def notes(self, measure: str, texts: Iterable[str]) -> None:
        """All that a measure has to say of its results, if only nothing: it replaces what was said before."""
        self._emit("notes", measure=measure, texts=list(texts))

    def simulated(self, value: bool) -> None:
        self._emit("simulated", value=value)

    def environment(self, facts: Mapping[str, Any]) -> None:
        self._emit("environment", environment=dict(facts))

    def failed(self, reason: str, traceback: str) -> None:
        self._emit("failed", reason=reason, traceback=traceback)

    def done(self) -> None:
        self._emit("done")

    def _emit(self, event: str, **content: Any) -> None:
        self._stream.write(json.dumps({"event": event, **content}, allow_nan=False) + "\n")
        self._stream.flush()


def _word(value: float) -> str:
    return "not a number" if math.isnan(value) else "infinite"


def _finite_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    sums = [v if v is not None and math.isfinite(v) else None for v in answer["loglikelihoods"]]
    return {**answer, "loglikelihoods": sums}
