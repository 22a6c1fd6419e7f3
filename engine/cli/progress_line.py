"""How far a command has come, on one line of stderr."""

import sys
import time
from contextlib import suppress
from typing import TextIO

from engine.outcome.row import Progress

EVERY_S = 5.0  # between lines where the output is no terminal


class ProgressLine:
    """One line that is rewritten on a terminal; elsewhere a line for every stage, and one every few seconds.

    Where nobody listens any more, as when the terminal was closed, the work goes on without it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.shown, self.stage, self.at = "", "", 0.0

    def show(self, what: str, progress: Progress) -> None:
        """Say how far `what` has come; repeats are dropped."""
        text = f"{what}: {describe(progress)}"
        if text == self.shown:
            return
        if self.live:
            self._print(f"\r{text:<{len(self.shown)}}", end="")
        elif progress.stage != self.stage or time.monotonic() - self.at > EVERY_S:
            self._print(text)
            self.at = time.monotonic()
        else:
            return
        self.shown, self.stage = text, progress.stage

    def say(self, text: str) -> None:
        """A line of its own, after which the progress goes on."""
        if self.live and self.shown:
            self._print()
        self._print(text)
        self.shown = self.stage = ""

    def _print(self, text: str = "", end: str = "\n") -> None:
        with suppress(OSError):
            print(text, end=end, file=self.stream, flush=True)


def describe(progress: Progress) -> str:
    """Progress in words: "perplexity 12 of 32, about 2 min left"."""
    words = progress.stage or "starting"
    if progress.total:
        words += f" {progress.done} of {progress.total}"
    if progress.seconds_left is not None and progress.done < progress.total:
        words += f", about {duration(progress.seconds_left)} left"
    return words


def duration(seconds: float) -> str:
    """8 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
