"""`run`, `sweep`, `worker`: measure now, measure many, and serve what pages submit."""

import argparse
import contextlib
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from engine import paths, tasks, worker
from engine.analysis import result_json, results
from engine.cli.catalog import data_folder
from engine.cli.output_file import writable, write_json
from engine.cli.progress_line import ProgressLine
from engine.cli.terminal import profile_lines, result, table
from engine.errors import InputError
from engine.outcome.row import Row
from engine.outcome.sensitivity import ALONE, NAME, refuse_beside
from engine.quantities import format_value
from engine.running.halfway import Halfway
from engine.running.nursery import Nursery
from engine.spec import MEASURES, Protocol, Trial, load_sweep, parse, parse_measures, parse_tasks
from engine.store import Queue, Store
from engine.store.lock import LockHeldError, hold, holder
from engine.system import service
from engine.trials import make_sensitivity, make_trial, make_trials

FOLLOW_S = 0.5
INTERRUPTED = 130
COLUMNS = ("weight_bytes", "accuracy", "perplexity", "decode_speedup")


def run(args: argparse.Namespace, nursery: Nursery) -> int:
    """Measure one recipe here and now, print what came out, and keep it in the store; `nursery` starts its child."""
    measures, target = _measures(args.only), writable(args.json)
    trial = _trial(args, measures)
    store, line, stop = Store(_url(args.store)), ProgressLine(), threading.Event()
    others = {row.trial_id for row in store.rows([trial.id, trial.dense().id], states=["queued", "running"])}
    submitted = store.submit([trial], measures, kept=False)
    own = [trial_id for trial_id in submitted.queued if trial_id not in others]
    if "accuracy" in measures:
        _say_elsewhere(trial.protocol.tasks, args.data, line)
    if trial.id not in submitted.queued:
        line.say("Already measured: the results come from the store.")
    with service.stopping(stop), Queue(store) as queue:
        runner = _runner(store, queue, stop, line, nursery, cancel_on_stop=own)
        _finish(runner, submitted.queued, line)
        if stop.is_set():
            store.request_cancel(own)
            queue.honour_cancels()
            line.say("Interrupted; what was measured before is kept.")
            return INTERRUPTED
    return _print_result(store, trial, measures, target, line)


def _trial(args: argparse.Namespace, measures: Collection[str]) -> Trial:
    """The trial that `run` is asked for; raises InputError where it can't be measured so."""
    recipe = parse(args.recipe)
    refuse_beside(measures, recipe)
    given = {"tasks": None if args.tasks is None else parse_tasks(args.tasks), "limit": args.limit}
    protocol = Protocol(**{name: value for name, value in given.items() if value is not None})
    if NAME in measures:
        return make_sensitivity(args.model)
    return make_trial(args.model, recipe, protocol, data_folder(args.data))


def _print_result(store: Store, trial: Trial, measures: Sequence[str], target: Path | None, line: ProgressLine) -> int:
    """Print what came out of a trial, and write it to `target` if it is done; the exit status."""
    row = _analysed(store, trial.id, trial.dense().id)
    if row.state in ("failed", "cancelled"):
        line.say(f"{row.recipe} {row.state}" + (f": {row.reason}" if row.reason else ""))
    lines = [result(row, measures)] if row.metrics else []
    lines += profile_lines(store.profiles(row.trial_id), measures)
    if lines:
        print("\n".join(lines))
    if row.state != "done":
        return 1
    if target:
        write_json(target, result_json.to_json(row, store.items(row.trial_id), store.kept(row.trial_id)))
        line.say(f"written to {target}")
    return 0


def sweep(args: argparse.Namespace) -> int:
    """Measure every trial of a sweep file that has no result yet: here, or by the worker if one runs."""
    asked = load_sweep(Path(args.file))
    made = make_trials(asked, data_folder(args.data))
    measures, url = _measures(args.only), _url(args.store)
    if NAME in measures:
        raise InputError(ALONE)
    store, line, stop = Store(url), ProgressLine(), threading.Event()
    submitted = store.submit(made, measures, asked.name, tolerance=asked.tolerance)
    ids = [trial.id for trial in made]
    if "accuracy" in measures:
        _say_elsewhere(asked.protocol.tasks, args.data, line)
    line.say(f"{len(ids)} trials, {len(submitted.reused)} of them already measured.")
    with service.stopping(stop):
        _sweep_through(url, store, submitted.sweep_id, ids, line, stop)
    rows = results.analyse(store.rows(ids), store.items)
    print(overview(rows))
    for row in rows:
        if row.state == "failed":
            line.say(f"failed: {row.recipe}: {row.reason}")
    if stop.is_set():
        done = sum(row.state == "done" for row in rows)
        line.say(f"Interrupted with {done} of {len(rows)} trials done; the same command goes on from here.")
        return INTERRUPTED
    return 0 if all(row.state == "done" for row in rows) else 1


def serve(args: argparse.Namespace, nursery: Nursery) -> int:
    """Run the trials that wait in the store, and those that will, until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    url = _url(args.store)
    with service.stopping(stop):
        worker.work(url, service.print_with_time, stop, nursery)
    return 0


def _say_elsewhere(asked: Collection[str], given: str | None, line: ProgressLine) -> None:
    """Say which tasks have no file in the folder that --data gives, as one of another name is easily overlooked."""
    if given is None or (folder := data_folder(given)) is None:
        return
    own = [task for task in asked if task in tasks.TASKS]
    absent = [task for task in own if all(path.parent != folder for path in tasks.task_files(task, folder))]
    if absent:
        line.say(f"{folder} has no {', '.join(f'{t}.jsonl' for t in absent)}: the default data's or the hub's is read.")


def overview(rows: Collection[Row]) -> str:
    """A table of trials: what was asked, its state, and the four figures that are asked first."""
    cells = [[row.recipe, row.state, *(format_value(name, row.value(name)) for name in COLUMNS)] for row in rows]
    return table(["recipe", "state", "weights", "accuracy", "perplexity", "decoding speed-up"], cells)


def _measures(only: str | None) -> tuple[str, ...]:
    return MEASURES if only is None else parse_measures(only)


def _url(store: str | None) -> str:
    return paths.store_url() if store is None else store


def _runner(
    store: Store,
    queue: Queue,
    stop: threading.Event,
    line: ProgressLine,
    nursery: Nursery,
    *,
    halfway: Halfway | None = None,
    cancel_on_stop: Collection[str] = (),
) -> worker.Runner:
    return worker.Runner(
        store,
        queue,
        stop,
        say=line.say,
        start=nursery.start,
        halfway=halfway or Halfway(),
        show=lambda trial, progress: line.show(trial.recipe.text, progress),
        cancel_on_stop=cancel_on_stop,
    )


def _finish(runner: worker.Runner, ids: Collection[str], line: ProgressLine) -> None:
    """Run the trials here, and wait for those that another process is running, until none of them is unfinished."""
    waiting: set[str] = set()
    while not runner.stop.is_set():
        if runner.run_next(ids):
            continue
        running = runner.store.rows(ids, states=["running", "queued"])
        if not running:
            return
        for row in running:
            if row.trial_id not in waiting:
                line.say(f"{row.recipe} is being measured by another process; waiting for it.")
                waiting.add(row.trial_id)
            line.show(row.recipe, row.progress)
        runner.stop.wait(FOLLOW_S)


def _sweep_through(
    url: str, store: Store, sweep_id: int, ids: Collection[str], line: ProgressLine, stop: threading.Event
) -> None:
    """Bring the sweep to an end: as the store's worker where there is none, else by watching the one there is."""
    watching = 0
    while not stop.is_set() and any(sweep.going for sweep in store.sweeps() if sweep.id == sweep_id):
        with (
            contextlib.suppress(LockHeldError),
            hold(url),
            Queue(store) as queue,
            Nursery() as nursery,
            Halfway() as kept,
        ):
            _finish(_runner(store, queue, stop, line, nursery, halfway=kept), ids, line)
            continue
        serving = holder(url)
        if serving and serving != watching:
            line.say(f"The worker (process {serving}) runs these trials; it goes on if you stop watching.")
            watching = serving
        for row in store.rows(ids, states=["running"]):
            line.show(row.recipe, row.progress)
        stop.wait(FOLLOW_S)
    if not watching and not stop.is_set() and store.rows(states=["queued"]):
        worker.ensure_running(url)
        line.say("Other trials were submitted meanwhile; a worker was started for them.")


def _analysed(store: Store, trial_id: str, dense_id: str) -> Row:
    """The trial's row, compared with the dense trial's."""
    rows = results.analyse(store.rows({trial_id, dense_id}), store.items)
    return next(row for row in rows if row.trial_id == trial_id)
