"""What is read back: metrics, items, notes, progress, rows."""

import json
import math

import pytest

from engine.errors import InputError
from engine.outcome.row import Progress
from engine.store import ItemResult, Queue, Store
from engine.store.items import pack, unpack
from tests.fake_trial import made
from tests.store.filled import DENSE, EIGHT, FOUR, claimed


def test_a_value_that_is_not_finite_is_none_with_its_reason(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    queue.keep_metrics(EIGHT.id, {"perplexity": math.inf, "flips": math.nan, "accuracy": 0.5}, {})
    row = store.row(EIGHT.id)
    assert row.metrics == {"perplexity": None, "flips": None, "accuracy": 0.5}
    assert row.reasons == {"perplexity": "infinite", "flips": "not a number"}
    queue.keep_metrics(EIGHT.id, {"perplexity": 20.0}, {})
    assert store.row(EIGHT.id).reasons == {"flips": "not a number"}


def test_items_come_back_as_they_were(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    answers = [ItemResult(0, (-1.25, None), 0, 1, True), ItemResult(1, (-0.1, -7.5), None, None, False)]
    queue.keep_items(EIGHT.id, "piqa", answers[:1])
    queue.keep_items(EIGHT.id, "piqa", answers)
    assert store.items(EIGHT.id) == {"piqa": answers}
    assert store.items(FOUR.id) == {}


def test_two_hundred_items_take_few_bytes() -> None:
    answers = [ItemResult(i, (-10.123456789 - i, -11.5), 0, 1, True) for i in range(200)]
    assert unpack(pack(answers)) == answers
    assert len(pack(answers)) < 4000


def test_items_that_are_not_finite_are_read_as_none() -> None:
    event = {"id": 3, "loglikelihoods": [-math.inf, -1.0], "choice": 1, "choice_norm": 1, "correct": False}
    assert ItemResult.from_dict(event).loglikelihoods == (None, -1.0)


def test_notes_machine_and_simulation_are_kept(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    for note in ("first", "second", "first"):
        queue.keep_facts(EIGHT.id, note=note)
    queue.keep_facts(EIGHT.id, simulated=True, environment={"cpu": "x"})
    queue.keep_facts(EIGHT.id, environment={"threads": 2})
    row = store.row(EIGHT.id)
    assert (row.notes, row.simulated, dict(row.environment)) == (("first", "second"), True, {"cpu": "x", "threads": 2})


def test_progress_does_not_raise_the_revision_and_states_and_results_do(store: Store, queue: Queue) -> None:
    seen = [store.revision()]
    for step in (
        lambda: store.submit([EIGHT], ["size"]),
        lambda: claimed(queue),
        lambda: queue.keep_metrics(EIGHT.id, {"weight_bytes": 1.0}, {}),
        lambda: store.request_cancel([EIGHT.id]),
    ):
        step()
        seen.append(store.revision())
    assert sorted(set(seen)) == seen
    queue.progress(EIGHT.id, Progress("load", 1, 2, 3.5))
    queue.beat()
    assert store.revision() == seen[-1]
    assert store.progress() == {EIGHT.id: Progress("load", 1, 2, 3.5)}
    assert store.row(EIGHT.id).progress == Progress("load", 1, 2, 3.5)


def test_progress_ends_with_the_trial(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    job = claimed(queue)
    queue.progress(EIGHT.id, Progress("load", 1, 2))
    queue.finish(job)
    assert store.progress() == {}


def test_rows_can_be_narrowed(store: Store, queue: Queue) -> None:
    sweep_id = store.submit([EIGHT], ["size"]).sweep_id
    store.submit([FOUR], ["size"])
    queue.finish(claimed(queue))
    assert [r.trial_id for r in store.rows(states=["done"])] == [EIGHT.id]
    assert [r.trial_id for r in store.rows(sweep_id=sweep_id)] == [EIGHT.id]
    assert [r.trial_id for r in store.rows([FOUR.id])] == [FOUR.id]
    with pytest.raises(InputError, match="no trial 'nope'"):
        store.row("nope")


def test_many_trials_go_in_and_come_out(store: Store) -> None:
    trials = [made(8, group_size=8, weights=f"{n:064d}") for n in range(1500)]
    assert len(store.submit(trials, ["size"]).queued) == 1500
    assert [r.trial_id for r in store.rows([t.id for t in trials])] == [t.id for t in trials]


def test_rows_are_plain_json_values_inside(store: Store) -> None:
    store.submit([EIGHT], ["size"])
    row = store.row(EIGHT.id)
    assert json.loads(json.dumps(dict(row.protocol)))["limit"] == 200


def test_rows_read_again_are_as_fresh_as_those_of_a_new_store(url: str, store: Store, queue: Queue) -> None:
    def check() -> None:
        other = Store(url)
        assert store.rows() == other.rows() == store.rows([DENSE.id, EIGHT.id, FOUR.id])
        other.close()

    store.submit([EIGHT, FOUR], ["size"], "first")
    check()
    job = claimed(queue)
    check()
    queue.progress(EIGHT.id, Progress("load", 1, 2))
    check()
    queue.keep_metrics(EIGHT.id, {"weight_bytes": 8.0}, {})
    check()
    queue.finish(job)
    check()
    store.submit([EIGHT, DENSE], ["size"], "second")  # EIGHT itself does not change but belongs to another sweep
    check()
    assert store.row(EIGHT.id).sweep_ids == (1, 2)


def test_rows_keep_their_order_when_a_trial_is_queued_again(store: Store, queue: Queue) -> None:
    store.submit([EIGHT, FOUR], ["size"])
    queue.fail(claimed(queue), "why")
    store.retry(EIGHT.id)
    assert [row.trial_id for row in store.rows()] == [EIGHT.id, FOUR.id]


def test_a_sweep_counts_its_trials_by_state(store: Store, queue: Queue) -> None:
    store.submit([DENSE, EIGHT, FOUR], ["size"])
    queue.finish(claimed(queue))
    claimed(queue)
    (sweep,) = store.sweeps()
    assert sweep.counts == {"done": 1, "running": 1, "queued": 1}
    assert (sweep.total, sweep.unfinished, sweep.model) == (3, 2, "tiny")
