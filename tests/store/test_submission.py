"""Submitting trials: what is queued, what is reused, and in which order."""

from engine.store import Queue, Store
from tests.store.filled import DENSE, EIGHT, FOUR, claimed, done


def test_a_submitted_trial_is_queued_with_all_that_was_asked(store: Store) -> None:
    submitted = store.submit([EIGHT], ["size"], "first")
    row = store.row(EIGHT.id)
    assert submitted.queued == (EIGHT.id,)
    assert (row.state, row.recipe, row.model, row.measures) == ("queued", EIGHT.recipe.text, "tiny", ("size",))
    assert row.protocol["tasks"] == ["piqa"]
    assert row.sweep_ids == (submitted.sweep_id,)
    assert store.trial(EIGHT.id) == EIGHT


def test_measures_that_are_paired_put_the_dense_trial_first(store: Store, queue: Queue) -> None:
    store.submit([EIGHT, FOUR], ["size", "latency", "accuracy"])
    jobs = [claimed(queue) for _ in range(3)]
    assert [job.trial.id for job in jobs] == [DENSE.id, EIGHT.id, FOUR.id]
    assert jobs[0].measures == ("size", "accuracy")  # dense is timed beside each compressed model anyway
    assert queue.claim() is None


def test_measures_that_are_not_paired_need_no_dense_trial(store: Store) -> None:
    store.submit([EIGHT], ["size", "latency"])
    assert [row.trial_id for row in store.rows()] == [EIGHT.id]


def test_an_answered_question_is_reused(store: Store, queue: Queue) -> None:
    done(store, queue, EIGHT)
    revision = store.row(EIGHT.id).finished_at
    submitted = store.submit([EIGHT, FOUR], ["size"])
    assert (submitted.queued, submitted.reused) == ((FOUR.id,), (EIGHT.id,))
    assert store.row(EIGHT.id).state == "done"
    assert store.row(EIGHT.id).finished_at == revision


def test_missing_says_beforehand_what_submit_would_run(store: Store, queue: Queue) -> None:
    done(store, queue, EIGHT)
    assert store.missing([EIGHT, FOUR], ["size", "memory"]) == {EIGHT.id: ("memory",), FOUR.id: ("size", "memory")}


def test_asking_for_more_measures_runs_only_those_and_keeps_the_results(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    queue.keep_metrics(EIGHT.id, {"weight_bytes": 8.0}, {})
    queue.finish(job)
    store.submit([EIGHT], ["size", "memory"])
    assert store.row(EIGHT.id).state == "queued"
    assert store.row(EIGHT.id).metrics == {"weight_bytes": 8.0}
    assert claimed(queue).measures == ("memory",)


def test_measures_asked_while_a_trial_runs_are_run_after_it(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    store.submit([EIGHT], ["memory"])
    queue.finish(job)
    assert claimed(queue).measures == ("memory",)


def test_sweeps_run_in_the_order_they_came_and_each_in_its_own(store: Store, queue: Queue) -> None:
    store.submit([FOUR, EIGHT], ["size"])
    store.submit([DENSE, FOUR], ["size"])
    assert [claimed(queue).trial.id for _ in range(3)] == [FOUR.id, EIGHT.id, DENSE.id]


def test_the_same_sweep_submitted_again_is_the_same_sweep(store: Store) -> None:
    first, again, other = (store.submit(t, ["size"], "mine") for t in ([DENSE, EIGHT], [DENSE, EIGHT], [DENSE]))
    assert first.sweep_id == again.sweep_id != other.sweep_id
    assert [(s.id, s.name, s.total) for s in store.sweeps()] == [
        (other.sweep_id, "mine", 1),
        (first.sweep_id, "mine", 2),
    ]
