"""Errors by layer and speed by batch as drawn: families told apart, places kept, nothing injected."""

import pytest

from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.outcome.layer_errors import LayerErrors, LinearErrors
from engine.plots import batches
from engine.plots.layers import csv_data, layer_figure, linear_data
from tests.made_rows import row

Q, K = "self_attn.q_proj", "mlp.up_proj"
EIGHT = LayerErrors(8, (0.01, 0.02, 0.04), (), False, (LinearErrors(Q, (8, 8), (0.01, 0.01, 0.04), ((8, 8),) * 3),))
GONE = LayerErrors(
    8, (0.01, 0.5, None), (1,), False, (LinearErrors(Q, (8, 8), (0.0, None, 0.0), ((8, 8), None, (8, 8))),)
)
CUT = LayerErrors(8, (0.1,) * 3, (), True, (LinearErrors(K, (8, 4), (None,) * 3, ((6, 3),) * 3),), "turned")
FOUND = {
    "A": (row("quantize:rtn,bits=8", "a"), EIGHT),
    "B": (row("quantize:rtn,bits=4", "b"), GONE),
    "C": (row("slice:slicegpt,fraction=0.2", "c"), CUT),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_line_a_result_in_its_family_s_hue_with_removed_blocks_open(theme) -> None:
    one, two, three = layer_figure(FOUND, theme).data
    assert one.line.color == two.line.color != three.line.color
    assert (one.line.dash, two.line.dash, three.line.dash) == ("solid", "dash", "solid")
    assert list(two.x) == [0, 1]  # as recipes count
    assert "after layer 1:" in two.hovertext[1]
    assert list(two.y) == pytest.approx([1, 50])
    assert list(two.marker.symbol) == ["circle", "circle-open"]
    assert [trace.text[-1] for trace in (one, two, three)] == ["A", "B", "C"]


def test_linears_are_told_by_their_error_or_by_what_a_cut_left() -> None:
    cells = {name: [text for text, _ in line] for name, line in linear_data(FOUND)}
    assert cells == {
        "Attention: queries": ["2.0% (1.0% to 4.0%)", "0%", ""],
        "MLP: up": ["", "", "8 → 6 rows, 4 → 3 columns"],
    }


def test_the_csv_has_every_block_and_linear() -> None:
    heads, rows = csv_data(FOUND)
    assert {len(line) for line in rows} == {len(heads)}
    assert rows[2] == ["A", "a", "quantize:rtn,bits=8", 1, "", 0.02, "", "", 0]
    assert [line[3:] for line in rows if line[0] == "B"][3] == [1, Q, "", "", "", 1]
    assert sum(line[4] == K for line in rows) == 3


def cell(phase, batch, prompt, speedup=2.0, **more) -> Cell:
    made = Cell(
        phase, batch, prompt, 5.0, 1.0, 10.0, 1.0, speedup, speedup / 2, speedup * 2, "float32", "float32", False
    )
    return made._replace(**more)


def test_a_panel_for_every_prompt_and_one_for_decoding_with_letters_and_whiskers() -> None:
    grid = LatencyGrid(
        (cell("prefill", 1, 32), cell("prefill", 4, 32, 0.5), cell("prefill", 1, 512), cell("decode", 4, 128))
    )
    found = {"B": (row("quantize:rtn,bits=8", "b"), grid), "C": (row("prune:layers,count=3", "c"), grid)}
    assert list(batches.panel_data(found)) == ["Prompt of 32 tokens", "Prompt of 512 tokens", "Decoding, a word"]
    figure = batches.batch_figure(found)
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    assert [trace.name for trace in marks] == ["B", "C"] * 3
    first, second = marks[:2]
    assert list(first.y) == [2.0, 0.5]
    assert list(first.error_y.array) == [2.0, 0.5]
    assert (first.xaxis, marks[-1].xaxis) == ("x", "x3")
    assert [list(trace.text) for trace in figure.data if trace.mode == "text"][:2] == [["B", "B"], ["C", "C"]]
    assert first.marker.color != second.marker.color
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range == figure.layout.yaxis3.range
    assert len(batches.csv_data(found)[0]) == len(batches.CSV_HEADS)
