"""Prune: a real tile of weights under a mask, and what makes a model smaller or faster."""

import math

import streamlit as st

from engine import quantities
from engine.analysis.passes import beside
from engine.errors import InputError
from engine.outcome.row import Row
from engine.spec import Recipe, Settings, refuse_misfits
from engine.spec.prune import ANGLE, Zeros
from engine.teaching.pack import Pack, Tile
from pages.pictures import picture
from pages.shared import frame, markup, measured, teaching, view
from pages.shared.view import Value

PAGE = "prune"
MASK = picture.component("prune_mask", "prune/numbers.js", "prune/mask.js")
KINDS = ("scattered", "2:4", "neurons", "heads", "layers")
CONTROLS = {
    "kind": Value("scattered", allowed=KINDS),
    "amount": Value(0.5, low=0.0, high=0.8),
    "score": Value("magnitude", allowed=("magnitude", "wanda")),
}
HARDWARE = (
    "Scattered zeros: no hardware in common use gains. A file that leaves them out must note where the others stand, "
    "at a bit a weight. Dense kernels multiply them, and those that skip them are slower until most weights are zero.",
    "2:4: graphics cards with sparse tensor cores (NVIDIA's from Ampere on) skip two of every four, and store the "
    "other two with two bits each for their places. CPUs gain nothing.",
    "Neurons, heads and layers: everything gains, for what is left is a smaller dense model. Fewer layers also shrink "
    "the memory that every word of the context takes, the KV cache, and so do fewer heads, which go with all that "
    "share their keys and values.",
)


def main() -> None:
    values = {"model": teaching.models(), **CONTROLS, "tile": Value("")}
    view.restore(PAGE, values)
    markup.title("Prune: leave weights out")
    markup.lead(
        "The weights that count least can be set to zero. A file can leave zeros out, but a running model holds and "
        "multiplies them like any other number: only what leaves as a whole row, head or layer makes it faster."
    )
    pack = teaching.choose(PAGE)
    if pack is None:
        view.keep(PAGE, values)
        return
    tiles = [str(tile.block) for tile in pack.tiles]
    controls = {**CONTROLS, "tile": Value(tiles[len(tiles) // 2], allowed=tiles)}
    if st.session_state[view.key(PAGE, "tile")] not in tiles:
        st.session_state[view.key(PAGE, "tile")] = controls["tile"].default
    st.fragment(draw_mask)(pack, controls, {"model": values["model"], **controls})
    draw_rules()
    draw_hardware()
    teaching.source_line(pack)


def draw_mask(pack: Pack, controls: dict[str, Value], values: dict[str, Value]) -> None:
    """The tile under its mask beside the three bars, and what was measured of that setting."""
    markup.head("Blank cells, and two bars that do not move")
    markup.text(
        "Each cell is a weight, the stronger the more it counts. Blank half of them, scattered: the file shrinks, by "
        "less than half, and neither memory nor time moves. Blank whole neurons, heads or layers: the matrix closes up "
        "and all three bars fall."
    )
    data = {
        "tiles": [tile_data(tile) for tile in pack.tiles],
        "size": vars(pack.shape),
        "scores": vars(pack.scores),
        "measured": [timed for row, step, _ in measured.results(pack.model) if (timed := time_of(row, step, pack))],
    }
    picture.draw(MASK, PAGE, "mask", controls, data)
    view.keep(PAGE, values)
    wanted = chosen_recipe(pack)
    measured.draw(pack.model, wanted, measured.nearest(pack.model, wanted, lambda step: distance(step, pack)))


def tile_data(tile: Tile) -> dict[str, object]:
    title = (
        f"{tile.tensor}, rows {tile.row} to {tile.row + tile.rows - 1} (a neuron each), "
        f"columns {tile.column} to {tile.column + tile.columns - 1} (an input each)"
    )
    return {**vars(tile), "title": title}


def kind_of(step: Settings, pack: Pack) -> tuple[str, float] | None:
    """A pruning step as the picture names it: its kind, and the amount as a share; None for anything else."""
    if step.family != "prune":
        return None
    if pattern := getattr(step, "pattern", None):
        return ("2:4", 0.5) if pattern == "2:4" else None
    if step.method == "layers":
        return "layers", getattr(step, "count", 0) / pack.shape.layers
    if step.method in ("neurons", "heads"):
        return step.method, getattr(step, "fraction", 0.0)
    sparsity = getattr(step, "sparsity", None)
    return None if sparsity is None else ("scattered", sparsity)


def rule_of(step: Settings) -> str:
    """What a pruning step goes by: the importance of its units, or the method itself; empty for the one rule by which
    the picture chooses whole layers."""
    rule = str(getattr(step, "importance", step.method if isinstance(step, Zeros) else ""))
    return "" if rule == ANGLE else rule


def time_of(row: Row, step: Settings, pack: Pack) -> dict[str, object] | None:
    """A measured time as the third bar shows it, or None where none was taken."""
    kind, speedup = kind_of(step, pack), row.value("decode_speedup")
    if kind is None or not speedup:
        return None
    pace, before = (
        quantities.format_value("decode_ms_per_token", taken)
        for taken in (row.value("decode_ms_per_token"), beside(row, "decode_ms_per_token"))
    )
    ratio = quantities.format_value("decode_speedup", speedup)
    return {
        "kind": kind[0],
        "amount": kind[1],
        "score": rule_of(step),
        "share": 1 / speedup,
        "text": pace,
        "under": f"measured: {row.label}; the original took {before} in that run, so this is {ratio} as fast",
    }


def chosen_recipe(pack: Pack) -> Recipe | None:
    """The setting of the picture as a recipe; None where nothing is pruned or the engine has no such method."""
    kind, amount, score = (st.session_state[view.key(PAGE, name)] for name in ("kind", "amount", "score"))
    if kind == "2:4":
        return measured.recipe(f"prune:{score},pattern=2:4")
    if amount == 0:
        return None
    if kind == "scattered":
        return measured.recipe(f"prune:{score},sparsity={amount:g}")
    if kind == "layers":
        count = math.floor(amount * pack.shape.layers + 0.5)  # halves upwards, as the picture rounds them
        return measured.recipe(f"prune:layers,{count=}")
    return fitting(pack, measured.recipe(f"prune:{kind},fraction={amount:g},importance={score}"))


def fitting(pack: Pack, recipe: Recipe | None) -> Recipe | None:
    """The recipe, or None where the model has too few neurons or groups of heads for so small or so large a share."""
    shape = pack.shape
    config = {
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
    }
    try:
        refuse_misfits(recipe or Recipe(), config)
    except InputError:
        return None
    return recipe


def distance(step: Settings, pack: Pack) -> tuple[float, ...] | None:
    """How far a measured step is from the picture: of its kind, in the amount first and then in the rule."""
    kind, amount, score = (st.session_state[view.key(PAGE, name)] for name in ("kind", "amount", "score"))
    found = kind_of(step, pack)
    if found is None or found[0] != kind:
        return None
    by_rule = rule_of(step) not in ("", score)
    return 0.0 if kind == "2:4" else round(abs(found[1] - amount), 6), float(by_rule)


def draw_rules() -> None:
    markup.head("Magnitude, or magnitude times what it multiplies")
    markup.text(
        "A small weight matters if its input is large. Magnitude looks at the weight alone. Wanda multiplies it by the "
        "norm of its input over some calibration text, and compares within each output. Switch between the two above: "
        "the cells that change sides blink, mostly in columns whose input is much larger or smaller than the others'. "
        "Where the matrix closes up, those blink that came back into it."
    )
    markup.text(
        "A whole neuron or head counts by the weights that carry it on, to which Wanda's rule adds what they carry. "
        "Two more ways look at data alone: how much the neuron or head gives, and how the loss would change without it."
    )
    markup.soft(
        "Sun et al. 2023, arXiv:2306.11695; Han et al. 2015, arXiv:1506.02626; Muralidharan et al. 2024, "
        "arXiv:2407.14679; Michel et al. 2019, arXiv:1905.10650."
    )


def draw_hardware() -> None:
    markup.head("Which of these today's hardware can use")
    for sentence in HARDWARE:
        markup.text(sentence)


frame.guard()
main()
