"""Size, memory and time as shares of the original's."""

import pytest

from engine.plots.shares import share_data, shares_figure
from tests.made_rows import row

DENSE = row("dense", "a" * 16, metrics={"weight_bytes": 200e6, "peak_memory_bytes": 300e6, "decode_speedup": 1.0})
FOUR = row("quantize:rtn,bits=4", "b" * 16, metrics={
    "weight_bytes": 100e6, "peak_memory_bytes": 150e6, "decode_speedup": 0.8, "decode_speedup_low": 0.5,
    "decode_speedup_high": 1.0, "decode_ms_per_token": 20.0,
})  # fmt: skip
TWO = row("quantize:rtn,bits=2", "c" * 16, simulated=True, metrics={
    "weight_bytes": 60e6, "peak_memory_bytes": 400e6, "decode_speedup": 0.1
})  # fmt: skip


def test_half_the_bytes_is_fifty_percent_and_slower_is_more_than_a_hundred() -> None:
    shares = {share.name: share for share in share_data([FOUR], DENSE)}
    assert shares["weight_bytes"].percent == 50
    assert shares["peak_memory_bytes"].percent == 50
    time = shares["decode_ms_per_token"]
    assert (time.percent, time.low, time.high) == pytest.approx((125, 100, 200))


def test_a_simulated_result_has_a_file_and_nothing_else() -> None:
    assert [share.name for share in share_data([TWO], DENSE)] == ["weight_bytes"]


def test_what_was_not_measured_is_left_out() -> None:
    assert [s.name for s in share_data([row("prune:layers,count=1", metrics={"weight_bytes": 1e6})], DENSE)] == [
        "weight_bytes"
    ]


def test_every_result_has_a_line_and_three_shapes() -> None:
    figure = shares_figure([DENSE, FOUR, TWO], DENSE)
    assert [trace.name for trace in figure.data] == ["File", "Memory while it runs", "Time per word"]
    assert [len(trace.x) for trace in figure.data] == [3, 2, 2]
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    assert figure.layout.xaxis.range[1] > 200
    assert list(figure.data[0].customdata) == [DENSE.trial_id, FOUR.trial_id, TWO.trial_id]
