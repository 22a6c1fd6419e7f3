"""Compare: empty, one result, four, unknown ones, results of another comparison, recorded ones, and flips."""

import json
from dataclasses import replace

import pytest

from engine import tasks
from engine.outcome import layer_errors
from engine.outcome.kept import NOTHING_KEPT
from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.recorded import Entry, pack_answers
from engine.store import Queue
from tests.pages import filling
from tests.pages.conftest import said


@pytest.fixture
def ids(store) -> dict[str, str]:
    """Recipe -> trial id of a finished sweep."""
    filling.fill(store, filling.make_trials())
    return {row.recipe.partition(",group")[0]: row.trial_id for row in store.rows()}


def charts(app) -> int:
    return len(app.get("plotly_chart"))


def test_an_empty_tray_says_what_to_do_and_where(open_page):
    app = open_page("compare")
    assert "Put two to four results" in said(app)
    assert [button.key for button in app.button] == ["compare:explore", "compare:new_sweep"]


def test_a_proposal_fills_the_tray_and_the_address(open_page, store, ids):
    app = open_page("compare")
    app.button(key="compare:propose").click().run()
    assert not app.exception
    chosen = app.query_params["trials"].split(",")
    assert chosen[0] == ids["dense"]
    assert len(chosen) == 3
    assert charts(app) == 3


def test_one_result_asks_for_a_second(open_page, ids):
    app = open_page("compare", trials=ids["quantize:rtn,bits=8"])
    assert "add a second" in said(app)
    assert "Weights" in said(app)
    app.selectbox(key="compare:add:1").select(ids["quantize:rtn,bits=4"]).run()
    assert app.query_params["trials"] == f"{ids['quantize:rtn,bits=8']},{ids['quantize:rtn,bits=4']}"


def test_four_results_are_paired_with_the_first(open_page, ids):
    names = ("dense", "quantize:rtn,bits=8", "quantize:rtn,bits=2", "prune:layers,count=6")
    app = open_page("compare", trials=",".join(ids[name] for name in names))
    words = said(app)
    assert "B is 1.6x smaller than A, and not distinguishable from it on 300 questions" in words
    assert "C is 3.1x smaller than A, and worse than it on 300 questions: by" in words
    assert words.count("points against A") == 6
    assert "Answers unlike A" in words
    assert charts(app) == 3
    assert not any(box.key.startswith("compare:add") for box in app.selectbox)


def test_the_base_is_the_first_or_the_original(open_page, ids):
    trials = f"{ids['quantize:rtn,bits=8']},{ids['quantize:rtn,bits=2']}"
    first = said(open_page("compare", trials=trials))
    assert "B is 1.9x smaller than A" in first
    original = said(open_page("compare", trials=trials, against="original"))
    assert "A is 1.6x smaller than the original" in original
    assert "B is 3.1x smaller than the original" in original
    assert ">Original</th>" in original


def test_results_move_and_leave(open_page, ids):
    one, two, three = (ids[f"quantize:rtn,bits={bits}"] for bits in (8, 4, 3))
    app = open_page("compare", trials=f"{one},{two},{three}")
    app.button(key=f"compare:left:{three}").click().run()
    assert app.query_params["trials"] == f"{one},{three},{two}"
    app.button(key=f"compare:remove:{one}").click().run()
    assert app.query_params["trials"] == f"{three},{two}"
    assert not app.exception


def test_an_unknown_result_is_said_and_can_be_removed(open_page, ids):
    app = open_page("compare", trials=f"{ids['dense']},0123456789abcdef,<b>,{ids['quantize:rtn,bits=8']}")
    assert "0123456789abcdef is not on this machine" in said(app)
    assert "&lt;b&gt;" not in said(app)
    assert "B is 1.6x smaller" in said(app)
    app.button(key="compare:remove:0123456789abcdef").click().run()
    assert app.query_params["trials"] == f"{ids['dense']},{ids['quantize:rtn,bits=8']}"


def test_a_waiting_trial_has_no_result_yet(open_page, store):
    filling.fill(store, filling.make_trials(), finish=1)
    done, waiting = (next(r.trial_id for r in store.rows() if r.state == state) for state in ("done", "queued"))
    assert f"{waiting} has no result: it is queued" in said(open_page("compare", trials=f"{done},{waiting}"))
    assert "None of these has a result here" in said(open_page("compare", trials=waiting))


def test_results_of_another_comparison_stand_without_intervals_and_it_is_said(open_page, store, ids):
    filling.fill(store, filling.make_trials(limit=50))
    other = next(row for row in store.rows() if row.protocol["limit"] == 50 and row.recipe == "dense")
    app = open_page("compare", trials=f"{ids['dense']},{other.trial_id},{ids['quantize:rtn,bits=8']}")
    assert "B stands beside A without differences and their intervals" in app.info[0].value.replace("\\", "")
    words = said(app)
    assert "B is" not in words
    assert "C is 1.6x smaller than A" in words
    assert words.count("points against A") == 2


def test_recorded_results_are_paired_with_the_original_and_keep_no_answers(open_page, ids, record):
    record()
    app = open_page("compare", trials=f"recorded-{ids['quantize:rtn,bits=8']},recorded-{ids['prune:layers,count=6']}")
    words = said(app)
    assert "A is 1.6x smaller than the original" in words
    assert "Recorded without single answers" in words
    assert 'class="kp-flip"' not in words
    mixed = open_page("compare", trials=f"{ids['dense']},recorded-{ids['prune:layers,count=6']}")
    assert "one is recorded and the other measured here" in mixed.info[0].value.replace("\\", "")


def test_recorded_answers_are_paired_with_any_result_and_listed(open_page, store, ids, record):
    record(packed_of=lambda trial_id: pack_answers(store.items(trial_id)))
    app = open_page("compare", trials=f"recorded-{ids['prune:layers,count=6']},recorded-{ids['quantize:rtn,bits=2']}")
    words = said(app)
    assert "B is" in words.partition("Side by side")[0]
    assert "points against A" in words
    assert 'class="kp-flip"' in words
    assert "questions can&#x27;t be shown" in words or "questions can't be shown" in words


def test_a_link_may_call_a_recorded_result_by_its_id_alone(open_page, ids, record, monkeypatch):
    elsewhere = [replace(row, trial_id=row.trial_id[::-1]) for row in record()]  # none of them is measured here
    found = {row.trial_id: Entry(row, NOTHING_KEPT) for row in elsewhere}
    monkeypatch.setattr("pages.shared.stored.entries", lambda: found)
    app = open_page("compare", trials=",".join(list(found)[:2]))
    assert "No result" not in said(app)


def test_the_answers_that_differ_are_listed_with_every_result_s_choice_escaped(open_page, store, tmp_path):
    record = {"goal": "<img src=x onerror=alert(1)>", "sol1": "<b>this</b>", "sol2": "that", "label": 0}
    (tmp_path / "piqa.jsonl").write_text(
        "\n".join(json.dumps({**record, "goal": f"{n} {record['goal']}"}) for n in range(100))
    )
    data = (("piqa", tasks.task_sha256("piqa", tmp_path)), ("text", "1"))
    made = filling.make_trials(["dense", "quantize:rtn,bits=3", "prune:layers,count=6"])
    filling.fill(store, [replace(trial, data_sha256=data, data_dir=str(tmp_path)) for trial in made])
    ids = [row.trial_id for row in store.rows()]
    app = open_page("compare", trials=",".join(ids), which="C", task="piqa", changed="to_wrong")
    words = said(app)
    assert "<img" not in words
    assert "&lt;img src=x" in words
    assert "&lt;b&gt;this&lt;/b&gt;" in words
    first = words[words.index('class="kp-flip"') :].partition("</article>")[0]
    assert "Right to wrong" in first
    assert first.count('<th class="kp-num">') == 3
    assert first.count("<small>chosen</small>") == 3
    assert app.segmented_control(key="compare:which").value == "C"
    before = said(app)
    app.pagination[0].set_value(2).run()
    assert said(app) != before


def test_what_they_write_stands_side_by_side_each_parting_from_the_base(open_page, ids):
    eight, two = "quantize:rtn,bits=8", "quantize:rtn,bits=2"
    app = open_page("compare", trials=f"{ids['dense']},{ids[eight]},{ids[two]}")
    words = said(app)
    assert "B goes on exactly as A does for" in words
    assert "C goes on exactly as A does for" in words
    app.selectbox(key="compare:prompt").select("A prompt that each").run()
    assert not app.exception
    words = said(app)
    assert words.count('class="kp-wrote"') == 3
    assert words.count('class="kp-part kp-tip"') == 3
    assert f"Parts from A at token 2: “{two},group_size=64" in words
    assert words.count("not “dense”.") == 2
    assert "dense<sup>BC</sup></mark>" in words


def test_texts_are_compared_with_the_original_where_that_is_wanted(open_page, ids):
    trials = f"{ids['quantize:rtn,bits=8']},{ids['quantize:rtn,bits=2']}"
    first = said(open_page("compare", trials=trials))
    assert first.count('class="kp-wrote"') == 2
    assert "B goes on exactly as A does for 1.5 tokens on average." in first
    original = said(open_page("compare", trials=trials, against="original"))
    assert original.count('class="kp-wrote"') == 3
    assert "A goes on exactly as the original does for 31.7 tokens on average. Of 2 texts" in original


def test_the_tray_follows_to_other_visits_without_an_address(open_page, ids):
    app = open_page("compare", trials=f"{ids['dense']},{ids['quantize:rtn,bits=8']}")
    app.switch_page("pages/explore.py").run()
    app.query_params.clear()
    app.switch_page("pages/compare.py").run()
    assert "B is 1.6x smaller than A" in said(app)
    assert app.query_params["trials"] == f"{ids['dense']},{ids['quantize:rtn,bits=8']}"


FOUR, SLICED = "quantize:rtn,bits=4", "slice:slicegpt,fraction=0.25"
TIMES = LatencyGrid(
    (
        *(
            Cell("prefill", batch, 32, 9.0, 0.5, 10.0, 0.5, 1.1, 1.0, 1.2, "float32", "float32", False)
            for batch in (1, 4)
        ),
        Cell("decode", 1, 128, 20.0, 1.0, 10.0, 1.0, 0.5, 0.4, 0.6, "bfloat16", "bfloat16", True),
    )
)


def test_errors_by_layer_stand_side_by_side_with_what_a_cut_left(open_page, ids):
    cut = next(name for name in ids if name.startswith("slice"))
    app = open_page("compare", trials=f"{ids['dense']},{ids[FOUR]},{ids[cut]}")
    words = said(app)
    assert "mean over the same 512 tokens" in words
    assert "MLP: up" in words
    assert "15% (10% to 20%)" in words
    assert "64 → 48 rows" in words
    assert "it is turned back before it is compared" in words
    assert "Measure A" not in [button.label for button in app.button]


def test_what_was_not_measured_is_queued_for_the_results_and_they_stay(open_page, store, ids):
    app = open_page("compare", trials=f"{ids['dense']},{ids[FOUR]}")
    assert "Times by batch and prompt have not been measured for B." in said(app)
    app.button(key="compare:measure:latency_grid").click().run()
    assert not app.exception
    row = store.row(ids[FOUR])
    assert (row.state, row.measures[-1]) == ("queued", "latency_grid")
    assert store.row(ids["dense"]).state == "done"
    words = said(app)
    assert "B: waits for the worker, or runs." in words
    assert "B is 2." in words
    with Queue(store) as queue:
        job = queue.claim()
        assert job.measures == ("latency_grid",)
        queue.keep_profile(job.trial.id, "latency_grid", TIMES.to_dict())
        queue.finish(job)
    words = said(app.run())
    assert "Above the dashed line the result is faster." in words
    assert "Open marks: timed beside other load." in words


def test_a_profile_that_can_not_be_read_counts_as_missing_and_recorded_results_say_so(open_page, store, ids, record):
    record()
    words = said(open_page("compare", trials=f"recorded-{ids[FOUR]}"))
    assert words.count("A: recorded without it; measure it here to see it.") == 2
    store.submit([store.trial(ids[FOUR])], ["latency_grid"])
    with Queue(store) as queue:
        job = queue.claim()
        queue.keep_profile(job.trial.id, layer_errors.NAME, {"blocks": "<b>"})
        queue.finish(job)
    words = said(open_page("compare", trials=ids[FOUR]))
    assert "<b>" not in words
    assert words.count("A: what was measured of it can&#x27;t be read.") == 2
