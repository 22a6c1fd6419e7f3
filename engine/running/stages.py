"""Who goes on in an anytime sweep: whenever its trials have answered what was asked of them, it is decided anew.

Reads the stored answers, asks `engine.analysis.anytime` where each trial stands, and queues those that can still change
the front for more of their questions. The others stay as they are: done, with what they answered and, where that is
why, the trial that leaves them out. Nothing that decides is kept besides the store, so a killed worker's successor
decides the same.
"""

from collections.abc import Iterator, Mapping, Sequence

from engine.analysis.anytime import CONFIDENCE, Floats, Schedule, Standing, standings
from engine.analysis.front import is_dense, telling_score
from engine.analysis.results import right
from engine.outcome.row import Row
from engine.spec import Protocol
from engine.store import ItemResult, Queue, Store, Undecided

# Of the questions, after which it is decided anew: looking more often saves questions, but going on takes seconds.
STEP_SHARE, STEP_QUESTIONS = 0.05, 100

Answers = Mapping[str, Mapping[str, Sequence[ItemResult]]]  # trial id -> task -> its answers


def decide(store: Store, queue: Queue) -> Iterator[str]:
    """Settle every anytime sweep that waits for it, or send it on; a line for each."""
    for sweep in queue.undecided():
        rows = [row for row in store.rows(sweep_id=sweep.id) if row.has_result and row.value("accuracy") is not None]
        dense = next((row for row in rows if is_dense(row) and row.stopped_at is None), None)
        yield _send_on(sweep, rows, dense, store, queue) if dense else _ask_all(sweep, rows, queue)


def _ask_all(sweep: Undecided, rows: Sequence[Row], queue: Queue) -> str:
    """Without the original nothing is known of what is still to be asked, so nothing is left out."""
    for row in rows:
        if row.stopped_at is not None and "accuracy" in row.measures:
            queue.go_on(row.trial_id, 1.0)
    queue.settle(sweep.id)
    return f"sweep {sweep.id}: the original has no answers, so every trial answers all questions"


def _send_on(sweep: Undecided, rows: Sequence[Row], dense: Row, store: Store, queue: Queue) -> str:
    answers = {row.trial_id: store.items(row.trial_id) for row in rows}
    schedule = Schedule(
        {task: len(asked) for task, asked in answers[dense.trial_id].items()}, Protocol.from_dict(dense.protocol).seed
    )
    scores = read_scores(answers, dense.trial_id, schedule, telling_score(dense))
    size = {row.trial_id: row.value("weight_bytes") or 0.0 for row in rows}
    before = {row.trial_id: row.left_out_by for row in rows if row.left_out_by in size}
    found = standings(scores, size, schedule, before, tolerance=sweep.tolerance)
    early = {i: standing.by for i, standing in found.items() if standing.by and len(scores[i]) < schedule.rounds}
    labels = {row.trial_id: row.label for row in rows}
    for trial_id in early.keys() - before.keys():
        queue.leave_out(trial_id, early[trial_id], explain(labels[early[trial_id]], sweep.tolerance))
    asked = {row.trial_id for row in rows if "accuracy" in row.measures}  # not those that somebody stopped halfway
    going = next_share({i: standing for i, standing in found.items() if i in asked}, scores, schedule)
    for trial_id, share in going.items():
        queue.go_on(trial_id, share)
    if not going:
        queue.settle(sweep.id)
        return f"sweep {sweep.id} is settled: {len(early)} of {len(found)} trials were left out early"
    return f"sweep {sweep.id}: {len(going)} of {len(found)} trials can still change the front and go on"


def read_scores(answers: Answers, dense: str, schedule: Schedule, score: str) -> dict[str, Floats]:
    """By trial, what each item that it answered adds to its score, by rounds; the dense trial says which there are."""
    places = {task: {item.id: place for place, item in enumerate(items)} for task, items in answers[dense].items()}
    return {
        trial_id: schedule.scores(
            {
                task: {
                    places[task][item.id]: bool(said)
                    for item, said in zip(items, right(score, task, items), strict=True)
                }
                for task, items in tasks.items()
            }
        )
        for trial_id, tasks in answers.items()
    }


def next_share(found: Mapping[str, Standing], scores: Mapping[str, Floats], schedule: Schedule) -> dict[str, float]:
    """By trial that goes on, the share of its questions up to which: those behind catch up first."""
    needed = [trial_id for trial_id, standing in found.items() if standing.needed]
    if not needed:
        return {}
    behind = min(len(scores[trial_id]) for trial_id in needed)
    step = schedule.first(min(1.0, max(STEP_SHARE, STEP_QUESTIONS / sum(schedule.items.values()))))
    upto = min(behind + step, schedule.rounds)
    return {trial_id: upto / schedule.rounds for trial_id in needed if len(scores[trial_id]) < upto}


def explain(label: str, tolerance: float) -> str:
    """Why a trial that is left out was stopped, as its note says it."""
    return (
        f"Stopped early: at {CONFIDENCE:.0%} confidence, {label} is no larger and at most "
        f"{100 * tolerance:g} points less accurate on all questions."
    )
