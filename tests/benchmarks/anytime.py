"""Replay finished sweeps as anytime sweeps: what share of the questions the same front costs.

    python -m tests.benchmarks.anytime [--tolerance 0.02]             the recorded sweeps in the folder beside this file
    python -m tests.benchmarks.anytime --store URL [--sweep N] [--save FILE]       one of yours, all of it answered

The replay lets every trial answer as it did, in the order of an anytime sweep, and asks `engine.analysis.anytime` and
`engine.running.stages` after each share who goes on. Then it is held against the front of all answers: what is lost
is how much less accurate than a trial of that front the best kept one is that is no larger, at worst; it must stay
within the tolerance.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import pareto
from engine.analysis.anytime import TOLERANCE, Floats, Schedule, Standing, standings
from engine.analysis.front import is_dense, telling_score
from engine.analysis.results import right
from engine.errors import InputError
from engine.running.stages import next_share
from engine.spec import Protocol
from engine.store import FIRST_SHARE, Store

RECORDED = Path(__file__).parent / "anytime"


@dataclass(frozen=True)
class Answered:
    """A sweep whose trials answered every question: scores [rounds, items] and bytes by recipe."""

    name: str
    schedule: Schedule
    scores: Mapping[str, Floats]
    size: Mapping[str, float]


@dataclass(frozen=True)
class Replayed:
    """asked: rounds answered by recipe; found: where each stood in the end."""

    asked: Mapping[str, int]
    found: Mapping[str, Standing]


def replay(sweep: Answered, tolerance: float) -> Replayed:
    rounds = sweep.schedule.rounds
    asked = {recipe: rounds if recipe == "dense" else sweep.schedule.first(FIRST_SHARE) for recipe in sweep.scores}
    left_out: dict[str, str] = {}
    while True:
        seen = {recipe: scores[: asked[recipe]] for recipe, scores in sweep.scores.items()}
        found = standings(seen, sweep.size, sweep.schedule, left_out, tolerance=tolerance)
        left_out = {recipe: standing.by for recipe, standing in found.items() if standing.by}
        going = next_share(found, seen, sweep.schedule)
        if not going:
            return Replayed(asked, found)
        asked |= {recipe: sweep.schedule.first(share) for recipe, share in going.items()}


def report(sweep: Answered, tolerance: float) -> str:
    done = replay(sweep, tolerance)
    recipes = sorted(sweep.scores, key=lambda recipe: sweep.size[recipe])
    accuracy = {recipe: float(sweep.scores[recipe].sum(axis=1).mean()) for recipe in recipes}
    mask = pareto.on_front([sweep.size[r] for r in recipes], [accuracy[r] for r in recipes])
    front = [recipe for recipe, on in zip(recipes, mask, strict=True) if on]
    kept = [recipe for recipe in recipes if done.found[recipe].state != "left out"]
    lost = {
        recipe: accuracy[recipe] - max((accuracy[k] for k in kept if sweep.size[k] <= sweep.size[recipe]), default=0.0)
        for recipe in front
    }
    share = sum(done.asked.values()) / (len(recipes) * sweep.schedule.rounds)
    lines = [f"{sweep.name}: {len(recipes)} trials of {sum(sweep.schedule.items.values()):,} questions"]
    for recipe in recipes:
        state = done.found[recipe].state + (f" by {done.found[recipe].by}" if done.found[recipe].by else "")
        mark = "*" if recipe in front else " "
        part = done.asked[recipe] / sweep.schedule.rounds
        lines.append(
            f"  {mark} {sweep.size[recipe] / 1e6:6.1f} MB {accuracy[recipe]:6.1%} {part:5.0%}  {recipe}: {state}"
        )
    lines.append(
        f"  asked {share:.1%} of the questions; front of all answers {len(front)} trials (*), kept {len(kept)}, "
        f"{len(set(front) & set(kept))} in both; lost at most {100 * max(lost.values()):.2f} points of "
        f"{100 * tolerance:g} allowed"
    )
    return "\n".join(lines)


def from_store(store: Store, sweep_id: int) -> dict[str, Any]:
    """A sweep of the store as the recorded files hold it: which answers were right, a bit each."""
    rows = [row for row in store.rows(sweep_id=sweep_id) if row.state == "done" and row.stopped_at is None]
    dense = next((row for row in rows if is_dense(row)), None)
    if dense is None:
        raise InputError(f"sweep {sweep_id} has no finished original to hold the others against")
    items = {row.trial_id: store.items(row.trial_id) for row in rows}
    order = {task: [item.id for item in answers] for task, answers in items[dense.trial_id].items()}
    score, trials = telling_score(dense), []
    for row in rows:
        answered = items[row.trial_id]
        said = {
            task: dict(zip((item.id for item in answers), right(score, task, answers), strict=True))
            for task, answers in answered.items()
        }
        bits = {task: np.packbits([bool(said[task][id]) for id in ids]).tobytes().hex() for task, ids in order.items()}
        trials.append({"recipe": row.recipe, "weight_bytes": row.value("weight_bytes"), "right": bits})
    return {
        "model": dense.model,
        "score": score,
        "seed": Protocol.from_dict(dense.protocol).seed,
        "items": {task: len(ids) for task, ids in order.items()},
        "trials": trials,
    }


def read(name: str, content: Mapping[str, Any]) -> Answered:
    schedule = Schedule(content["items"], content["seed"])
    scores, size = {}, {}
    for trial in content["trials"]:
        right = {
            task: dict(enumerate(np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8)).astype(bool).tolist()))
            for task, bits in trial["right"].items()
        }
        scores[trial["recipe"]] = schedule.scores(right)
        size[trial["recipe"]] = float(trial["weight_bytes"])
    return Answered(name, schedule, scores, size)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", help="database URL of a store with a finished sweep")
    parser.add_argument("--sweep", type=int, default=1, help="its number")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="accuracy that decides nothing, in [0, 1)")
    parser.add_argument("--save", type=Path, help="keep the sweep's answers as a file")
    given = parser.parse_args()
    if given.store:
        contents = {f"sweep {given.sweep}": from_store(Store(given.store), given.sweep)}
    else:
        contents = {file.stem: json.loads(file.read_text()) for file in sorted(RECORDED.glob("*.json"))}
    if given.save:
        given.save.write_text(json.dumps(next(iter(contents.values())), indent=1) + "\n")
    for name, content in contents.items():
        print(report(read(name, content), given.tolerance))
    return 0


if __name__ == "__main__":
    sys.exit(main())
