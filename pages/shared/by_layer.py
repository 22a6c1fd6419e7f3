"""Compare's section "Where the damage is": errors after every layer, and of the linears."""

from collections.abc import Sequence

import streamlit as st

from engine.outcome.layer_errors import NAME, LayerErrors
from engine.outcome.row import Row
from engine.plots.layers import csv_data, layer_figure, linear_data
from pages.shared import chart, frame, markup, side_profiles, take_along

_COST = "It compresses them once more and reads 512 tokens with each."
_STATE = (
    "Length of the difference between a token's hidden state and the original's, over the length of the original's: "
    "mean over the same {tokens:,} tokens. 100% is as far off as no state at all."
)
_WEIGHT = (
    "Length of the difference between the weights and the original's, over the length of the original's. A pruned "
    "weight counts as zero."
)


def draw(rows: Sequence[Row]) -> None:
    """The section; nothing where the original is alone."""
    if all(row.recipe == "dense" for row in rows):
        return
    found = side_profiles.read(rows, NAME, LayerErrors.from_dict)
    markup.head("Where the damage is, layer by layer")
    if found:
        _draw_found(found)
    side_profiles.draw_missing(rows, found, NAME, "Errors by layer", _COST)


def _draw_found(found: dict[str, tuple[Row, LayerErrors]]) -> None:
    figure = layer_figure(found, frame.theme(), compact=frame.narrow())
    chart.draw(figure, key="compare:layers", alt="Error of the hidden state after each layer", name="layers")
    tokens = max(errors.tokens for _, errors in found.values())
    remarks = [_STATE.format(tokens=tokens)]
    if any(errors.removed for _, errors in found.values()):
        remarks.append("Open marks: the layer was removed, so what came into it goes on.")
    if any(errors.turned for _, errors in found.values()):
        remarks.append("Slicing turns the hidden state onto other axes; it is turned back before it is compared.")
    markup.soft(" ".join(remarks))
    markup.sub("Weights that changed")
    heads = ("Linear of every layer", *found)
    markup.table(heads, [[(name, _WEIGHT), *cells] for name, cells in linear_data(found)])
    markup.soft("Mean over the layers, with the least and the largest. Where a cut changed the shape, what is left.")
    st.download_button(
        "Errors by layer as CSV", lambda: take_along.csv_of(*csv_data(found)), "kneepoint-layers.csv", "text/csv",
        key="compare:layers:csv", on_click="ignore",
    )  # fmt: skip
