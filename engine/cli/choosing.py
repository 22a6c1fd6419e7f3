"""`front` and `export`: read the answer off the results, and take the chosen model along."""

import argparse
import contextlib
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from engine import paths, quantities
from engine.analysis import result_json, results, words
from engine.analysis.front import FLATTERED_NOTE, Front, find_front, flattered
from engine.cli.output_file import writable, write_json
from engine.cli.progress_line import ProgressLine
from engine.cli.terminal import table
from engine.errors import InputError
from engine.network import sources
from engine.outcome.kept import Kept
from engine.outcome.row import Progress, Row
from engine.recorded import entries, pack_answers
from engine.running import exporter
from engine.running.model_card import model_card
from engine.spec import Trial, parse, refuse_plain
from engine.store import Store
from engine.system import service
from engine.system.child import Event
from engine.trials import make_unmeasured


class Results(NamedTuple):
    """Results, and by trial id what is kept beside each and its packed answers."""

    rows: list[Row]
    kept_of: Callable[[str], Kept]
    answers_of: Callable[[str], Mapping[str, str]]


TRIAL_ID = re.compile(r"[0-9a-f]{16}")
_NOTHING_MEASURED = "No finished trials yet; start with `python -m engine run dense`."
_NOTHING_RECORDED = "No results were recorded for this version."


def front(args: argparse.Namespace) -> int:
    """Print the trials with the front of two metrics marked, and write them as JSON."""
    target = writable(args.json)
    rows, kept_of, answers_of = _recorded() if args.recorded else stored(args.store)
    found = find_front(rows, args.x, args.y)
    done = [row for row in rows if row.state == "done"]
    if not done:
        print(_NOTHING_RECORDED if args.recorded else _NOTHING_MEASURED)
    else:
        shown = sorted(found.points, key=lambda row: row.value(args.x) or 0.0)
        header = ["recipe", found.x.label, found.y.label, "simulated", "on the front"]
        print(table(header, [_line(row, found) for row in shown]))
        guessing = words.guessing(found.dense) if args.y == "accuracy" else ""
        grid = FLATTERED_NOTE if any(flattered(row) for row in shown) else ""
        for sentence in filter(None, (words.knee(found), guessing, grid)):
            print(sentence)
        for row in done:
            if reason := found.left_out.get(row.trial_id):
                print(f"left out: {row.recipe}: {reason}")
        if found.others:
            count = sum(group.trials for group in found.others)
            print(f"{count} of another model or protocol not shown; --json has all trials.")
    if target:
        packed_of = answers_of if args.answers else lambda trial_id: {}
        write_json(target, result_json.front_json(rows, args.x, args.y, kept_of=kept_of, answers_of=packed_of))
    return 0


def export(args: argparse.Namespace) -> int:
    """Compress again and write the model to a folder, in bf16 for transformers or packed as ours."""
    line, stop = ProgressLine(), threading.Event()
    trial = find_trial(args.trial_or_recipe, args.model, args.store)
    folder = _empty(args.folder)
    if args.format == "plain":
        refuse_plain(trial.recipe, sources.resolve(trial.model, trial.revision).config)
    card = model_card(trial, args.format, *_results(args, trial))
    progress = Progress()

    def on_event(event: Event) -> None:
        nonlocal progress
        if event["event"] == "stage":
            progress = Progress(event["stage"], 0, event.get("total") or 0)
        elif event["event"] == "progress":
            progress = Progress(progress.stage, event["done"], event["total"])
        elif event["event"] == "note":
            line.say(event["text"])
        line.show(trial.recipe.text, progress)

    with service.stopping(stop):
        outcome = exporter.write(trial, args.format, folder, on_event, stop.is_set, card=card)
    if outcome.state == "cancelled":
        line.say("Interrupted; nothing was written.")
        return 130
    if outcome.state == "failed":
        line.say(f"the export failed: {outcome.reason}")
        return 1
    line.say(f"{trial.recipe.text} of {trial.model} is in {folder} ({args.format})")
    return 0


def find_trial(trial_or_recipe: str, model: str, store: str | None) -> Trial:
    """The trial of an id in the store of that URL, or a new one of a recipe for the model."""
    text = trial_or_recipe.strip()
    if TRIAL_ID.fullmatch(text):
        return opened(store).trial(text)
    return make_unmeasured(model, parse(text))


def stored(url: str | None) -> Results:
    """The results of the store at that URL."""
    store = opened(url)
    rows = results.analyse(store.rows(), store.items)
    return Results(rows, store.kept, lambda trial_id: pack_answers(store.items(trial_id)))


def _recorded() -> Results:
    found = entries()
    rows = [entry.row for entry in found.values()]
    return Results(rows, lambda trial_id: found[trial_id].kept, lambda trial_id: found[trial_id].packed)


def opened(url: str | None) -> Store:
    """The store, to read; raises InputError where a URL is given of a file that is not there, else it would be made."""
    if url is None:
        return Store(paths.store_url(), to_read=True)
    with contextlib.suppress(ArgumentError):  # which the store says better
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database and not os.path.exists(parsed.database):
            raise InputError(f"there is no store {parsed.database!r}")
    return Store(url, to_read=True)


def _line(row: Row, found: Front) -> list[str]:
    """A result in the table: with a dagger where the default model's own grid flatters it."""
    values = [quantities.format_value(axis.name, row.value(axis.name)) for axis in (found.x, found.y)]
    on, simulated = row.trial_id in found.best_ids, row.simulated
    return [row.recipe + words.marks(row), *values, "yes" if simulated else "", "*" if on else ""]


def _results(args: argparse.Namespace, trial: Trial) -> list[Row | None]:
    """A stored trial's result and its original's, for the model card; of a recipe there are none."""
    if not TRIAL_ID.fullmatch(args.trial_or_recipe.strip()):
        return [None, None]
    store, ids = opened(args.store), (trial.id, trial.dense().id)
    found = {row.trial_id: row for row in results.analyse(store.rows(ids), store.items)}
    return [found.get(trial_id) for trial_id in ids]


def _empty(name: str) -> Path:
    """The folder to write, absolute: one that is empty or not there yet; raises InputError for any other."""
    folder = paths.user_path(name, "DIR").resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is there already and not an empty folder; give another")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't make the folder {str(folder.parent)!r}: {error.strerror}") from None
    if not os.access(folder.parent, os.W_OK):
        raise InputError(f"the folder {str(folder.parent)!r} is not writable")
    return folder
