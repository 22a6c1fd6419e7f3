"""What the picture of the roofline is sent: the right results, every batch, measured times where they belong."""

import json
from dataclasses import replace

import pytest

from engine.analysis.roofline import BATCHES, Phase
from engine.machine import Limits
from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.plots.roofline_lesson import formats, roofline_lesson
from tests.made_rows import row

LIMITS = Limits("Test CPU", 2, 32e9, {"float32": 140e9}, 0.0, "2026-11-21T00:00:00+00:00", "2.13.0")
SIZE = {"weight_bytes": 269e6, "parameters": 134.5e6, "embedding_bytes": 56.6e6, "kv_cache_bytes_per_token": 23_040.0}


def made(recipe: str, trial: str, weight: float, speed: float, **changes):
    metrics = {**SIZE, "weight_bytes": weight, "decode_speedup": speed, "decode_ms_per_token": 20 / speed}
    return row(recipe, trial * 16, metrics=metrics, **changes)


DENSE = made("dense", "a", 269e6, 1.0)
EIGHT = made("quantize:rtn,bits=8", "b", 166e6, 1.1)
FOUR, SLOWER = made("quantize:rtn,bits=4", "c", 113e6, 1.3), made("quantize:rtn,bits=4,group_size=192", "d", 110e6, 1.2)


def cell(phase: Phase, batch: int, prompt: int, ms: float, disturbed: bool = False) -> Cell:
    return Cell(phase, batch, prompt, ms, 1.0, 2 * ms, 1.0, 2.0, 1.9, 2.1, "bfloat16", "bfloat16", disturbed)


GRID = LatencyGrid(
    (
        cell("prefill", 4, 128, 400.0, disturbed=True),
        cell("prefill", 4, 512, 900.0),
        cell("decode", 1, 128, 33.0),
        cell("decode", 8, 128, 80.0),
        cell("decode", 5, 128, 50.0),  # no place on the axis
    )
)


def test_each_format_is_the_fastest_real_result_of_its_width() -> None:
    simulated = made("quantize:rtn,bits=4,group_size=96", "e", 100e6, 9.0, simulated=True)
    both = made("prune:layers,count=3 | quantize:rtn,bits=4", "f", 90e6, 9.0)
    table = made("quantize:rtn,bits=4,targets=linears+embedding", "0", 80e6, 9.0)
    flattered = made("quantize:rtn,bits=4,group_size=32,symmetric=false", "1", 80e6, 9.0)
    chosen = formats([DENSE, SLOWER, FOUR, EIGHT, simulated, both, table, flattered], DENSE)
    assert chosen == {"bf16": DENSE, "int8": EIGHT, "int4": FOUR}


def test_a_result_that_was_timed_over_batches_goes_before_a_faster_one() -> None:
    assert formats([DENSE, FOUR, SLOWER, EIGHT], DENSE, lambda row: row is SLOWER)["int4"] == SLOWER


def test_a_width_that_was_not_measured_is_not_there() -> None:
    assert list(formats([DENSE, FOUR], DENSE)) == ["bf16", "int4"]


def test_without_the_original_s_size_there_is_nothing_to_draw() -> None:
    assert formats([DENSE, FOUR], replace(DENSE, metrics={})) == {}


def test_every_batch_has_its_least_times() -> None:
    content = json.loads(json.dumps(roofline_lesson({"bf16": DENSE, "int4": FOUR}, DENSE, LIMITS, {})))
    assert content["batches"] == list(BATCHES)
    for drawn in content["formats"]:
        for phase in ("decode", "prefill"):
            assert len(drawn[phase]["memory"]) == len(drawn[phase]["arithmetic"]) == len(BATCHES)
    dense, four = (drawn["decode"] for drawn in content["formats"])
    assert four["memory"][0] == pytest.approx(dense["memory"][0] - 156e6 / 32e6)
    assert four["arithmetic"] == dense["arithmetic"]
    assert dense["measured"] == [{"place": 0, "ms": 20, "disturbed": False}]


def test_a_time_of_another_machine_is_not_measured_here() -> None:
    content = roofline_lesson({"bf16": DENSE}, DENSE, replace(LIMITS, cpu="Another"), {"bf16": GRID})
    assert content["formats"][0]["decode"]["measured"] == []


def test_measured_batches_stand_where_they_were_measured_with_the_prompt_of_the_protocol() -> None:
    (drawn,) = roofline_lesson({"int4": FOUR}, DENSE, LIMITS, {"int4": GRID})["formats"]
    assert drawn["prefill"]["measured"] == [{"place": 2, "ms": 400.0, "disturbed": True}]
    assert drawn["decode"]["measured"] == [
        {"place": 0, "ms": 20 / 1.3, "disturbed": False},  # the protocol's own, timed more often
        {"place": 3, "ms": 80.0, "disturbed": False},
    ]
