"""Runs the trials that wait in a store, one child process each, until it is told to stop.

One worker serves a store: it holds the store's lock for life, so it is enough to start one and let it find out. It
claims a trial, passes what the child reports on to the store, honours requests to cancel, and says every few seconds
that it is alive. What kills it costs the trial in hand, whose files the next one deletes and which it runs again. It
never imports torch.

    python -m engine worker
"""

import contextlib
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from engine.analysis import results
from engine.outcome.row import Progress
from engine.outcome.texts import Text
from engine.paths import cache_dir
from engine.running import stages
from engine.running.halfway import Halfway
from engine.running.nursery import Nursery
from engine.spec import Trial
from engine.store import ItemResult, Job, Queue, StateError, Store, StoreError, StoreFullError
from engine.store.lock import hold, holder
from engine.system.child import Event, Outcome, Start, run_in_child, start_detached
from engine.system.work_folder import work_folder

IDLE_S = 0.5  # between looks at an empty queue
PROGRESS_S = 0.5  # between writes of the progress
CANCEL_S = 0.5  # between looks for requests to cancel
BEAT_S = 10.0
FULL_S = 5.0  # between tries to write to a full disk

T = TypeVar("T")


def work(url: str, say: Callable[[str], None], stop: threading.Event, nursery: Nursery) -> None:
    """Serve the store at `url` until `stop` is set; `say` gets a line for every trial, and `nursery` starts its child.

    Raises InputError where another worker serves the store, and StoreError where it can't be opened.
    """
    store = Store(url)
    with hold(url), Queue(store) as queue, nursery, Halfway() as halfway:
        runner = Runner(store, queue, stop, say, nursery.start, halfway)
        while not stop.is_set():
            if not runner.run_next():
                nursery.rest()
                stop.wait(IDLE_S)
    store.close()


def ensure_running(url: str) -> bool:
    """Start a worker for the store, detached from this process, unless one serves it; True where one was started.

    Its output goes to worker.log in the cache folder; its environment is this process's.
    """
    if holder(url) is not None:
        return False
    start_detached([sys.executable, "-m", "engine", "worker", "--store", url], cache_dir() / "worker.log")
    return True


@dataclass
class Runner:
    """Runs one trial after another for a queue: the worker's, or a foreground command's."""

    store: Store
    queue: Queue
    stop: threading.Event
    say: Callable[[str], None]
    start: Start
    halfway: Halfway = field(default_factory=Halfway)  # keeps nothing unless it is open
    show: Callable[[Trial, Progress], None] = lambda trial, progress: None  # every progress, for a terminal
    cancel_on_stop: Collection[str] = ()  # the trials that are cancelled when told to stop; others are given back
    seen_at: float = field(default_factory=time.monotonic)

    def run_next(self, trial_ids: Collection[str] | None = None) -> bool:
        """Run the next queued trial, of `trial_ids` where given; False where none waits.

        What goes wrong with the store is said and leaves the trial for later: nothing here raises but what a second
        start would meet too.
        """
        try:
            self.beat()
            for trial_id in self.queue.requeue_lost():
                self.say(f"{trial_id} waits again: the worker that ran it is gone")
            for trial_id in self.queue.honour_cancels():
                self.say(f"{trial_id} cancelled before it began")
            for line in stages.decide(self.store, self.queue):
                self.say(line)
            job = self.queue.claim(trial_ids)
            if job is None or job.share is None:
                self.halfway.keep_only(self.queue.unsettled())
        except StoreFullError as error:
            self.say(str(error))
            self.stop.wait(FULL_S)
            return True
        if job is None:
            return False
        self._run(job)
        return True

    def beat(self) -> None:
        """Say that this runner is alive, if it has not lately."""
        if (now := time.monotonic()) - self.seen_at > BEAT_S:
            self.queue.beat()
            self.seen_at = now

    def _run(self, job: Job) -> None:
        name = f"{job.trial.recipe.text} ({job.trial.id})"
        self.say(f"{name}: measuring {', '.join(job.measures)}")
        began = time.monotonic()
        try:
            outcome, state = self._measure(job)
        except StateError as error:
            self.say(f"{name}: dropped, {error}")
            return
        self.say(f"{name}: {state} after {time.monotonic() - began:.0f} s" + (outcome.reason and f": {outcome.reason}"))

    def _measure(self, job: Job) -> tuple[Outcome, str]:
        """How the trial ended, and its state in a word; raises StateError where another runner has taken it over."""
        try:
            outcome = self._in_child(job, _Report(self, job))
            return outcome, self._close(job, outcome)
        except (StateError, StoreError):
            raise
        except Exception as error:  # a mistake of ours must cost this trial and not the sweep
            outcome = Outcome("failed", f"{type(error).__name__} in the worker: {error}", traceback.format_exc())
            return outcome, self._close(job, outcome)

    def _in_child(self, job: Job, report: "_Report") -> Outcome:
        with work_folder(Path(tempfile.gettempdir()), "trial") as folder:
            content = {**job.to_dict(), "work_dir": str(folder), "answered": self._answered(job)}
            if job.share is not None and "accuracy" in job.measures and (kept := self.halfway.place(job.trial.id)):
                content["halfway"] = str(kept)
            return run_in_child(content, report.on_event, report.must_stop, self.start)

    def _answered(self, job: Job) -> dict[str, list[dict[str, Any]]]:
        """What an earlier run of the trial answered and need not be answered again, by task."""
        if "accuracy" not in job.measures:
            return {}
        kept = self.store.items(job.trial.id)
        return {task: [answer.to_dict() for answer in answers] for task, answers in kept.items()}

    def _close(self, job: Job, outcome: Outcome) -> str:
        """Write how the trial ended; its state, in a word."""
        if outcome.state == "done":
            self.patiently(lambda: self._compare(job.trial))
            self.patiently(lambda: self.queue.finish(job))
        elif outcome.state == "failed":
            self.patiently(lambda: self.queue.fail(job, outcome.reason, outcome.traceback, outcome.log))
        elif self.stop.is_set() and job.trial.id not in self.cancel_on_stop:
            self.queue.give_back(job)
            return "given back"
        else:
            self.patiently(lambda: self.queue.cancel(job))
        return outcome.state

    def _compare(self, trial: Trial) -> None:
        """Store what follows from the trial's answers and the dense trial's, so that pages need not read items."""
        items = self.store.items(trial.id)
        if not items:
            return
        own = self.store.row(trial.id)
        dense_id = trial.dense().id
        if dense_id == trial.id:
            derived = results.derive(own.metrics, items, own.metrics, items)
        elif dense := self.store.rows([dense_id], states=["done"]):
            derived = results.derive(own.metrics, items, dense[0].metrics, self.store.items(dense_id))
        else:
            derived = results.derive(own.metrics, items, None, None)
        self.queue.keep_metrics(trial.id, derived.metrics, derived.reasons)

    def patiently(self, write: Callable[[], T]) -> T:
        """Do a write that must not be lost: on a full disk, try again until there is space or the runner must stop."""
        while True:
            try:
                return write()
            except StoreFullError as error:
                if self.stop.is_set():
                    raise
                self.say(str(error))
                self.stop.wait(FULL_S)


class _Report:
    """Passes a child's events on to the store, progress at most every PROGRESS_S, and learns when it must stop."""

    def __init__(self, runner: Runner, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self.runner, self.trial, self.clock = runner, job.trial, clock
        self.progress, self.written = Progress(), Progress()
        self.stage_began = clock()
        self.due = dict.fromkeys(("progress", "cancel"), 0.0)
        self.cancel_asked = False

    def on_event(self, event: Event) -> None:
        queue, trial_id = self.runner.queue, self.trial.id
        match event["event"]:
            case "stage":
                self.stage_began = self.clock()
                self._advance(Progress(str(event["stage"]), 0, int(event.get("total") or 0)))
            case "progress":
                self._advance(self._estimate(int(event["done"]), int(event["total"])))
            case "metrics":
                self._keep(lambda: queue.keep_metrics(trial_id, event["metrics"], event.get("reasons") or {}))
            case "items":
                answers = [ItemResult.from_dict(values) for values in event["items"]]
                self._keep(lambda: queue.keep_items(trial_id, str(event["task"]), answers))
            case "texts":
                written = [Text.from_dict(values) for values in event["texts"]]
                self._keep(lambda: queue.keep_texts(trial_id, written))
            case "profile":
                self._keep(lambda: queue.keep_profile(trial_id, str(event["name"]), event["content"]))
            case "note":
                self._keep(lambda: queue.keep_facts(trial_id, note=str(event["text"])))
            case "notes":
                self._keep(lambda: queue.keep_notes(trial_id, str(event["measure"]), event["texts"]))
            case "simulated":
                self._keep(lambda: queue.keep_facts(trial_id, simulated=bool(event["value"])))
            case "environment":
                self._keep(lambda: queue.keep_facts(trial_id, environment=_facts(event)))

    def must_stop(self) -> bool:
        """Whether the child must stop now; in passing, writes what is due."""
        with contextlib.suppress(StoreFullError):  # progress, heartbeat: lost without harm
            if self.progress != self.written and self._is_due("progress", PROGRESS_S):
                self.runner.queue.progress(self.trial.id, self.progress)
                self.written = self.progress
            self.runner.beat()
            if self._is_due("cancel", CANCEL_S):
                self.runner.queue.honour_cancels()
                self.cancel_asked = self.runner.queue.cancel_asked(self.trial.id)
        return self.cancel_asked or self.runner.stop.is_set()

    def _advance(self, progress: Progress) -> None:
        self.progress = progress
        self.runner.show(self.trial, progress)

    def _estimate(self, done: int, total: int) -> Progress:
        """The stage's progress with the time it still takes, if the rest is like what was done."""
        elapsed = self.clock() - self.stage_began
        left = elapsed / done * (total - done) if 0 < done <= total else None
        return replace(self.progress, done=done, total=total, seconds_left=left)

    def _keep(self, write: Callable[[], None]) -> None:
        self.runner.patiently(write)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self.clock()
        if now < self.due[what]:
            return False
        self.due[what] = now + every_s
        return True


def _facts(event: Event) -> dict[str, Any]:
    nested = event.get("environment")
    return dict(nested) if isinstance(nested, dict) else {k: v for k, v in event.items() if k != "event"}
