"""Trade-offs: one result, a sweep with and without the machine's limits, other machines, the address."""

from dataclasses import replace

from engine import machine
from engine.errors import InputError
from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.store import Queue
from tests.pages import filling
from tests.pages.conftest import downloads, pictures, said
from tests.test_machine import LIMITS


def test_one_result_has_no_front_and_no_machine(open_page, store):
    filling.fill(store, filling.make_trials(["dense"]))
    app = open_page("trade_offs")
    assert "A front needs two" in said(app)
    assert app.button(key="trade_offs:measure").label == "Measure this machine"
    assert not app.get("plotly_chart")


def test_a_sweep_is_drawn_and_bytes_and_operations_stand_without_limits(open_page, store):
    filling.fill(store, filling.make_trials())
    app = open_page("trade_offs")
    assert len(app.get("plotly_chart")) == 1
    assert "269 MFLOP" in said(app)
    assert "4-bit: The embedding was left in bf16" in said(app)
    assert "Where a mark is missing" in said(app)
    assert "depends on the machine" in said(app)
    sent = pictures(app)
    assert list(sent) == ["trade_offs_front"]
    assert len(sent["trade_offs_front"]["points"]) == len(filling.SWEEP)


def test_with_limits_expected_and_measured_times_stand_side_by_side(open_page, store):
    filling.fill(store, filling.make_trials())
    machine.write(LIMITS, machine.kept_path())
    app = open_page("trade_offs")
    words = said(app)
    assert [drawn["name"] for drawn in pictures(app)["trade_offs_roofline"]["formats"]] == ["bf16", "int8", "int4"]
    assert "reads 32.0 GB/s" in words
    assert "8.41 ms, by memory" in words
    assert "int4 could write a word in" in words
    assert "words come at 1.2x (int8) and 1.4x (int4) of its speed" in words
    assert "Expected and measured" in words
    assert "Download CSV" in downloads(app)


def test_times_over_batches_stand_beside_the_roof_and_what_lacks_them_says_how_to_get_them(open_page, store):
    filling.fill(store, filling.make_trials())
    machine.write(LIMITS, machine.kept_path())
    assert "Measured for one batch only: bf16, int8, int4." in said(open_page("trade_offs"))
    recipe = "quantize:rtn,bits=4"
    timed = next(row for row in store.rows() if row.recipe.startswith(recipe) and row.state == "done")
    cells = [
        Cell(phase, 8, 128, 90.0, 1.0, 120.0, 1.0, 1.33, 1.25, 1.41, "bfloat16", "bfloat16", True)
        for phase in ("prefill", "decode")
    ]
    store.submit([store.trial(timed.trial_id)], ["latency_grid"])
    with Queue(store) as queue:
        job = queue.claim()
        queue.keep_profile(job.trial.id, "latency_grid", LatencyGrid(tuple(cells)).to_dict())
        queue.finish(job)
    app = open_page("trade_offs", phase="prefill")
    words = said(app)
    assert "More than one at once: the prompt" in words
    assert "int4, 8 at once" in words
    assert "1.33x (1.25 to 1.41) *" in words
    assert "* timed beside other load." in words
    assert "Measured for one batch only: bf16, int8." in words
    (drawn,) = (one for one in pictures(app)["trade_offs_roofline"]["formats"] if one["name"] == "int4")
    assert drawn["decode"]["measured"][-1] == {"place": 3, "ms": 90.0, "disturbed": True}


def test_times_of_another_machine_are_not_set_beside(open_page, store):
    filling.fill(store, filling.make_trials())
    machine.write(replace(LIMITS, cpu="Another"), machine.kept_path())
    words = said(open_page("trade_offs"))
    assert "timed on another machine" in words
    assert "8.41 ms, by memory" in words


def test_recorded_results_have_their_own_machine_and_the_reader_may_choose(open_page, store, record, monkeypatch):
    filling.fill(store, filling.make_trials())
    rows = record()
    monkeypatch.setattr("engine.machine.recorded", lambda: LIMITS)
    machine.write(replace(LIMITS, read_bytes_per_s=10e9), machine.kept_path())
    of = next(f"recorded-{row.comparison_id}" for row in rows)
    assert "reads 32.0 GB/s" in said(open_page("trade_offs", of=of))
    assert "reads 10.0 GB/s" in said(open_page("trade_offs", of=of, machine="here"))


def test_measuring_keeps_the_result_and_draws_it(open_page, store, monkeypatch):
    filling.fill(store, filling.make_trials())
    monkeypatch.setattr("engine.machine.measure_here", lambda: machine.write(LIMITS, machine.kept_path()))
    app = open_page("trade_offs")
    app.button(key="trade_offs:measure").click().run()
    assert not app.exception
    assert "reads 32.0 GB/s" in said(app)
    assert app.button(key="trade_offs:measure").label == "Measure this machine again"


def test_a_measurement_that_fails_is_said(open_page, store, monkeypatch):
    def fail() -> None:
        raise InputError("this machine could not be measured: another timing runs on it")

    filling.fill(store, filling.make_trials())
    monkeypatch.setattr("engine.machine.measure_here", fail)
    app = open_page("trade_offs")
    app.button(key="trade_offs:measure").click().run()
    assert "another timing runs" in app.error[0].value


def test_a_broken_file_of_limits_is_said_and_the_page_stands(open_page, store):
    filling.fill(store, filling.make_trials())
    machine.kept_path().write_text("{}")
    app = open_page("trade_offs")
    assert "holds no limits" in app.warning[0].value.replace("\\", "")
    assert "269 MFLOP" in said(app)


def test_an_address_restores_the_pictures_and_nonsense_does_not(open_page, store):
    filling.fill(store, filling.make_trials())
    machine.write(LIMITS, machine.kept_path())
    app = open_page("trade_offs", look="limit", limit="0.25", phase="prefill", batch="3")
    assert {name: app.session_state[f"trade_offs:{name}"] for name in ("look", "limit", "phase", "batch")} == {
        "look": "limit", "limit": 0.25, "phase": "prefill", "batch": 3.0
    }  # fmt: skip
    sent = pictures(app)
    assert sent["trade_offs_front"]["setting"] == {"look": "limit", "limit": 0.25, "point": ""}
    assert sent["trade_offs_roofline"]["setting"] == {"phase": "prefill", "batch": 3.0}
    odd = open_page("trade_offs", look="<script>", limit="9", phase="soup", batch="-4")
    assert odd.session_state["trade_offs:look"] == "front"
    assert odd.session_state["trade_offs:limit"] == 1.0
    assert odd.session_state["trade_offs:batch"] == 0.0
