"""`generate`: one prompt, answered by up to four models, and where their texts part."""

import argparse
import threading
import time

from engine import paths, quantities
from engine.cli.choosing import find_trial
from engine.cli.progress_line import ProgressLine
from engine.errors import InputError
from engine.outcome.parting import describe, parting
from engine.outcome.row import Progress
from engine.running import lane
from engine.spec import Trial
from engine.store import Completion, Generation, Generations, Store
from engine.store.lock import holder
from engine.system import service
from engine.trials import unmeasured

FOLLOW_S = 0.3
WAKE_S = 10.0  # between tries to start the process that writes
MOST_MODELS = 4
INTERRUPTED = 130


def generate(args: argparse.Namespace) -> int:
    """Have the models answer, one after another, and print each text with where it parts from the first."""
    line, stop = ProgressLine(), threading.Event()
    trials = _trials(args)
    store = Store(paths.store_url() if args.store is None else args.store)
    generations = Generations(store)
    names = [trial.id for trial in trials]
    generation_id = generations.ask(names, trials, args.prompt, not args.plain, args.tokens)
    with service.stopping(stop):
        generation = _follow(generations, generation_id, store.url, line, stop)
    if generation is None:
        line.say("The prompt was dropped from the store; ask again.")
        return 1
    for one in generation.completions:
        print(_text(one, generation.completions[0]))
    if stop.is_set():
        line.say("Interrupted; what was written is above.")
        return INTERRUPTED
    return 0 if all(one.state == "done" for one in generation.completions) else 1


def _trials(args: argparse.Namespace) -> list[Trial]:
    texts = args.trials_or_recipes
    if len(texts) > MOST_MODELS:
        raise InputError(f"generate takes 1 to {MOST_MODELS} trials or recipes, got {len(texts)}")
    return [unmeasured(find_trial(text, args.model, args.store)) for text in texts]


def _follow(
    generations: Generations, generation_id: int, url: str, line: ProgressLine, stop: threading.Event
) -> Generation | None:
    """Show how far the texts have come until the last is written, seeing that a lane runs."""
    woken_at = float("-inf")
    while True:
        generation = generations.read(generation_id)
        if generation is None or not generation.unfinished:
            return generation
        if stop.is_set() and not generation.stop_asked:
            generations.ask_to_stop(generation_id)
        if time.monotonic() - woken_at > WAKE_S and holder(url, "lane") is None:
            lane.ensure_running(url)
            woken_at = time.monotonic()
        one = next((one for one in generation.completions if one.unfinished), generation.completions[-1])
        stage = "waiting for a timing" if one.paused else one.state
        line.show(one.trial.recipe.text, Progress(stage, one.done, one.total))
        time.sleep(FOLLOW_S)


def _text(one: Completion, first: Completion) -> str:
    """One text under its recipe, with its speed, or why there is none."""
    speed = quantities.format_value("decode_tokens_per_s", one.tokens_per_s)
    heading = f"{one.trial.recipe.text}: {len(one.pieces):,} tokens, {speed}"
    found = parting(one.pieces, first.pieces, one.ended, first.ended)
    parted = describe(found, one.pieces, first.pieces, "the first") if found else ""
    said = {"failed": f"Failed: {one.reason}", "stopped": "Stopped."}.get(one.state, "")
    return "\n".join([heading, *filter(None, (parted, said, one.note)), "", "".join(one.pieces), ""])
