"""Quantize: 64 real weights on a grid, what an outlier does to it, and training through the rounding."""

import math
from dataclasses import asdict

import streamlit as st

from engine.spec import DEFAULT_MODEL, Recipe, Settings
from engine.teaching.pack import EVERY, STEPS, Histogram, Pack, Trained, WeightRow, floats
from pages.pictures import picture
from pages.shared import frame, markup, measured, teaching, view
from pages.shared.view import Value

PAGE = "quantize"
GRID = picture.component("quantize_grid", "quantize/numbers.js", "quantize/grid.js")
TRAINING = picture.component("quantize_training", "quantize/numbers.js", "quantize/straight_through.js")
ROWS = {"outlier": "the largest outlier", "typical": "typical, same layer", "middle": "typical, middle layer"}
CONTROLS = {
    "bits": Value(4.0, low=2, high=8),
    "group": Value("64", allowed=("16", "32", "64")),
    "symmetric": Value(True),
    "row": Value("outlier", allowed=tuple(ROWS)),
    "apart": Value(0.0, low=0, high=4),
}
TRAINED = {"trained": Value("3", allowed=("2", "3", "4")), "step": Value(0.0, low=0, high=STEPS)}


def main() -> None:
    values = {"model": teaching.models(), **CONTROLS, **TRAINED}
    view.restore(PAGE, values)
    markup.title("Quantize: fewer bits for each weight")
    markup.lead(
        "A weight of 16 bits can be any of 65,536 numbers. With 4 bits it is one of 16: every weight moves to the "
        "nearest point of a grid, and the distance it moves is the error."
    )
    pack = teaching.choose(PAGE)
    if pack is None:
        view.keep(PAGE, values)
        return
    st.fragment(draw_grid)(pack, values)
    if pack.model == DEFAULT_MODEL:
        draw_own_grid()
    st.fragment(draw_training)(pack, values)
    teaching.source_line(pack)


def draw_grid(pack: Pack, values: dict[str, Value]) -> None:
    """The row of weights on its grid, and what was measured of that setting."""
    markup.head("One outlier stretches the whole grid")
    markup.text(
        "Each dot is a weight on the point it is stored as; the ring is where it was, the bar between them the error. "
        "A group shares one grid, which must reach its largest weight. Remove that one, or choose smaller groups, and "
        "watch the points move together. Smaller groups cost more scales: a fraction of a bit."
    )
    picture.draw(GRID, PAGE, "grid", CONTROLS, {"rows": [row_data(pack, row) for row in pack.rows]})
    view.keep(PAGE, values)
    wanted = chosen_recipe()
    measured.draw(pack.model, wanted, measured.nearest(pack.model, wanted, distance))


def row_data(pack: Pack, row: WeightRow) -> dict[str, object]:
    """A row as its picture draws it; `size` is the weights' root mean square."""
    weights = floats(row.values)
    histogram = next((one for one in pack.histograms if one.tensor == row.tensor), Histogram(row.tensor, 1.0, (0,)))
    last = row.column + len(weights) - 1
    return {
        "kind": row.kind,
        "words": ROWS[row.kind],
        "title": f"{row.tensor}, row {row.row}, columns {row.column} to {last}; at the right, all of that layer",
        "values": row.values,
        "size": math.sqrt(sum(w * w for w in weights) / len(weights)),
        "histogram": {"limit": histogram.limit, "counts": histogram.counts},
    }


def chosen_recipe() -> Recipe | None:
    """The setting of the picture as a recipe; weights kept apart are no part of it."""
    bits, group, symmetric = (st.session_state[view.key(PAGE, name)] for name in ("bits", "group", "symmetric"))
    kind = "" if symmetric else ",symmetric=false"
    return measured.recipe(f"quantize:rtn,bits={bits:.0f},group_size={group}{kind}")


def distance(step: Settings) -> tuple[float, ...] | None:
    """How far a measured step is from the picture: in bits first, then in the grid's kind, then in the group size."""
    if step.method != "rtn" or getattr(step, "targets", ()) != ("linears",):
        return None
    bits, group, symmetric = (st.session_state[view.key(PAGE, name)] for name in ("bits", "group", "symmetric"))
    size = getattr(step, "group_size", 0)
    groups = abs(math.log2(size / float(group))) if size > 0 else 10.0
    return abs(getattr(step, "bits", 0) - bits), getattr(step, "symmetric", True) != symmetric, groups


def draw_own_grid() -> None:
    """Why one setting of four bits costs this model less than any other."""
    markup.head("Why 4 bits look free on this model's own grid")
    markup.text(
        "This model comes as a Q4_1 file: 4 bits a weight, on a grid that 32 neighbours share and that starts at the "
        "smallest of them; with each grid's scale and minimum, 5 bits a weight in all. Rounded in asymmetric groups "
        "of 32, the weights nearly find those points again; what error is left comes from moving the grid until zero "
        "is one of its points. Switch to the symmetric grid, which has as many points, and the error below the "
        "picture grows. That is no property of the method, so such results are marked † and never recommended."
    )
    st.button("Show it in the picture", key="quantize:own_grid", on_click=show_own_grid)


def show_own_grid() -> None:
    shown = {"bits": 4.0, "group": "32", "symmetric": False, "row": "typical", "apart": 0.0}
    st.session_state.update({view.key(PAGE, name): value for name, value in shown.items()})


def draw_training(pack: Pack, values: dict[str, Value]) -> None:
    """Post-training against quantization-aware, on a matrix that was trained through the rounding."""
    markup.head("Rounding after training, or training through the rounding")
    markup.text(
        "Post-training quantization rounds once and leaves each weight there. Quantization-aware training keeps a "
        "real weight beside the point in use. The error is computed with the point; its gradient is passed straight "
        "through the rounding and moves the real weight a little. For many steps nothing changes. Then it crosses the "
        "middle between two points, and the next one is used."
    )
    training = pack.training
    data = {
        "tensor": training.tensor, "every": EVERY, "frames": STEPS // EVERY + 1,
        "widths": [asdict(one) for one in training.widths],
    }  # fmt: skip
    picture.draw(TRAINING, PAGE, "training", TRAINED, data)
    view.keep(PAGE, values)
    trained = next(one for one in training.widths if str(one.bits) == st.session_state[view.key(PAGE, "trained")])
    markup.text(gained(trained))
    markup.soft(settings_used(pack, trained))


def gained(trained: Trained) -> str:
    """What training through the rounding was worth at one width, in words."""
    learnt, heldout = (
        [f"{100 * floats(text)[place]:.1f}%" for place in (0, -1)] for text in (trained.learnt, trained.heldout)
    )
    return (
        f"At {trained.bits} bits, {STEPS} steps took the error from {heldout[0]} to {heldout[1]} of the outputs' size "
        f"on text that it was not trained on, and from {learnt[0]} to {learnt[1]} on the text it learnt from. "
        f"{100 * trained.moved:.0f}% of the weights ended on another point. GPTQ, which works out its rounding and "
        f"trains nothing, gets {100 * trained.gptq:.1f}% on the same grids."
    )


def settings_used(pack: Pack, trained: Trained) -> str:
    """What was trained, on what and how."""
    training = pack.training
    grids = "each with one grid" if training.group_size < 0 else f"{training.group_size} neighbours to a grid"
    return (
        f"Really trained: rows 0 to {training.rows - 1} of {training.tensor}, all {training.inputs:,} inputs, {grids}, "
        f"which stays as it is. Learnt from {pack.calibration}; the error is of {pack.heldout}. Adam without momentum, "
        f"{STEPS} steps, each over all tokens; learning rate {trained.learning_rate:g}, falling to zero, and a growing "
        "pull towards the points, so that weights settle. This is one matrix by itself; training a whole model could "
        "let its layers make up for each other too."
    )


frame.guard()
main()
