"""Times over batches and prompts: every cell once, each side in the format that is faster there."""

from collections.abc import Callable

import pytest
import torch

from engine.measure import latency, latency_grid, machine_load
from engine.measure.latency_grid import Timed
from engine.models import LanguageModel
from engine.outcome.latency_cells import LatencyGrid
from engine.spec import Protocol

CELLS = (Timed("prefill", 1, 4), Timed("prefill", 2, 8), Timed("decode", 2, 4))


@pytest.fixture(autouse=True)
def _few_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_grid, "CELLS", CELLS)
    monkeypatch.setattr(latency_grid, "PROBED", ((1, 4), (2, 4)))
    monkeypatch.setattr(machine_load, "other_cores", lambda start, end: 0.0)


@pytest.mark.parametrize("alone", [True, False])
def test_every_cell_is_timed_in_its_order_and_progress_reaches_its_end(
    alone: bool, tiny_model: Callable[[str], LanguageModel]
) -> None:
    def load(dtype: torch.dtype) -> torch.nn.Module:
        return tiny_model("llama").network.to(dtype)

    told: list[tuple[int, int]] = []
    found = latency_grid.measure(load, None if alone else load, Protocol(threads=1), lambda *at: told.append(at))
    assert [cell[:3] for cell in found.cells] == [tuple(cell) for cell in CELLS]
    assert told[-1][0] == told[-1][1]
    for cell in found.cells:
        assert cell.ms > 0
        assert (cell.ms == cell.dense_ms) == alone
        assert cell.low <= cell.speedup <= cell.high
        assert not cell.disturbed
    assert LatencyGrid.from_dict(found.to_dict()) == found


def test_a_prefill_runs_in_the_format_that_won_the_longest_tried_prompt_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    won = {4: "fp32", 8: "bf16"}
    monkeypatch.setattr(
        latency, "probe",
        lambda side, protocols, meter: [
            {"prefill": won[p.batch_size * p.prompt_tokens], "decode": f"batch {p.batch_size}"} for p in protocols
        ],
    )  # fmt: skip
    chosen = latency_grid._formats(None, Protocol(), None)  # type: ignore[arg-type]
    assert list(chosen.values()) == ["fp32", "bf16", "batch 2"]


def test_long_passes_are_timed_fewer_times() -> None:
    runs = [Timed("prefill", batch, prompt).runs for batch, prompt in ((1, 32), (1, 512), (8, 512))]
    assert runs == [12, 6, 4]


@pytest.mark.parametrize(("change", "error"), [({"ms": float("nan")}, ValueError), ({"phase": "both"}, ValueError),
                                               ({"more": 1.0}, TypeError)])  # fmt: skip
def test_a_cell_that_no_grid_writes_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    times = dict.fromkeys(("ms", "spread_ms", "dense_ms", "dense_spread_ms", "speedup", "low", "high"), 1.0)
    cell = {"phase": "decode", "batch": 1, "prompt": 1, "dtype": "", "dense_dtype": "", "disturbed": False, **times}
    assert LatencyGrid.from_dict({"cells": [cell]}).cells[0].ms == 1.0
    with pytest.raises(error):
        LatencyGrid.from_dict({"cells": [{**cell, **change}]})
