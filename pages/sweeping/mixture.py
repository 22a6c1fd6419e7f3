"""By layer: bits for each layer within a budget, what is predicted of them, and what was measured."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import streamlit as st

from engine import quantities, trials
from engine.analysis import words
from engine.analysis.front import is_dense
from engine.analysis.mixed import WHOLE, Mixture, ends, predict, propose, recipe_of, uniform
from engine.errors import InputError
from engine.outcome.row import Row
from engine.outcome.sensitivity import WAYS, Sensitivity
from engine.quantities import format_value, nats
from engine.running import estimates
from engine.spec import Protocol, Recipe, Sweep, Trial, parse
from pages.shared import markup, progress, stored
from pages.shared.markup import Figure
from pages.shared.view import Value

KEY = "layers"
BUDGET, WIDTHS, PROTECTED = "sweep:budget", "sweep:widths", "sweep:protected"
MOST_BLOCKS = 1000  # of any model
BITS = tuple(f"{amount:g}" for kind, amount in WAYS if kind == "bits")
VALUES = {  # the page's, as they stand in the address; a budget of 0 is one that nobody chose yet
    "budget": Value(0.0, low=0.0),
    "widths": Value(list(BITS), allowed=BITS),
    "protected": Value([], allowed=tuple(map(str, range(MOST_BLOCKS)))),
}
MEASURES = ("size", "perplexity")


class Known(NamedTuple):
    """A result of which something is predicted."""

    row: Row
    predicted: Mixture


def draw(trial: Trial, found: Sensitivity) -> Mixture | None:
    """Draw the budget and what fits it best; the mixture, None where nothing fits."""
    markup.head("Bits by layer")
    markup.text("Only bits are mixed. What zeros and slicing cost each layer stands above to compare.")
    bits, blocks = list(map(str, found.bits)), list(map(str, range(found.blocks)))
    for key, known in ((WIDTHS, bits), (PROTECTED, blocks)):
        st.session_state[key] = [chosen for chosen in st.session_state[key] if chosen in known]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        widths = st.pills(
            "Bits to choose from", bits, selection_mode="multi", key=WIDTHS, persist_state="session",
            help="8 and 4 bits run on real kernels; others are simulated, without times.",
        )  # fmt: skip
        protected = st.multiselect(
            "Layers to leave as they are", blocks, key=PROTECTED, persist_state="session",
            placeholder="None", help="These keep their 16 bits, whatever that costs.",
        )  # fmt: skip
    if not widths:
        st.error("Choose at least one width.", icon=":material/error:")
        return None
    try:
        chosen = [int(width) for width in widths], [int(block) for block in protected]
        budget = draw_budget(found, *map(_up, ends(found, *chosen)))
        proposed = propose(found, budget * 1e6, *chosen)
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return None
    draw_proposal(trial, found, proposed)
    return proposed


def draw_budget(found: Sensitivity, low: float, high: float) -> float:
    """The slider from `low` to `high`, and a button for each size between that uniform bits have; the budget in MB."""
    same = {bits: uniform(found, bits) for bits in found.bits}
    middle = same.get(4)
    wanted = st.session_state[BUDGET] or (_up(middle.weight_bytes) if middle else high)
    st.session_state[BUDGET] = min(max(wanted, low), high)
    budget = st.slider(
        "Budget for all weights, MB", low, max(high, low + 0.1), step=0.1, key=BUDGET, format="%.1f",
        persist_state="session", help="The best mixture of at most this size is found anew at each move.",
    )  # fmt: skip
    with st.container(horizontal=True):
        for bits, made in same.items():
            if made is not None and low <= _up(made.weight_bytes) <= high:
                st.button(
                    f"As large as {bits} bits", key=f"{KEY}:match:{bits}",
                    on_click=st.session_state.__setitem__, args=(BUDGET, _up(made.weight_bytes)),
                )  # fmt: skip
    return float(budget)


def draw_proposal(trial: Trial, found: Sensitivity, proposed: Mixture) -> None:
    """What was found, beside the uniform width of the nearest size that is no larger; then the button."""
    recipe = recipe_of(found, proposed)
    dense = found.other_bytes + sum(found.dense_bytes)
    counts = {bits: proposed.bits.count(bits) for bits in sorted(set(proposed.bits), reverse=True)}
    spread = ", ".join(f"{n} left as they are" if bits == WHOLE else f"{n} at {bits}" for bits, n in counts.items())
    smaller = quantities.times(dense / proposed.weight_bytes)
    figures = [
        Figure("Predicted weights", quantities.byte_count(proposed.weight_bytes), f"{smaller} smaller than in bf16"),
        Figure("Predicted divergence", f"{nats(proposed.loss)} nats", f"layers: {spread} bits", words.DIVERGENCE),
    ]
    beside = nearest_uniform(found, proposed)
    if beside is not None:
        name = f"All layers at {beside.bits[0]} bits"
        figures.append(
            Figure(name, f"{nats(beside.loss)} nats", quantities.byte_count(beside.weight_bytes), words.DIVERGENCE)
        )
    markup.figures(figures)
    with st.expander("The recipe"):
        markup.soft(recipe.describe())
        st.code(recipe.text, language=None, wrap_lines=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        button = st.container()
        with_uniform = beside is not None and beside != proposed and st.checkbox(
            f"Measure all layers at {beside.bits[0]} bits too", value=True, key=f"{KEY}:beside"
        )  # fmt: skip
    asked = [recipe, *([recipe_of(found, beside)] if with_uniform and beside else [])]
    made = made_trials(trial, asked)
    if not made:
        return
    missing = stored.store().missing(made, MEASURES)
    if not missing:
        markup.soft("Measured already: the figures stand below, predicted and measured side by side.")
    elif missing.keys() <= unfinished():
        markup.soft("Sent already: the figures appear below once they are measured.")
    else:
        cost = estimates.estimate(made, missing, stored.timed_rows())
        markup.soft(f"Size and next words are measured: {cost.time}.")
        if button.button("Send to the queue", type="primary", key=f"{KEY}:send"):
            send(made, proposed)


def unfinished() -> set[str]:
    """The trials that wait or run."""
    return {row.trial_id for row in stored.my_rows() if row.state in ("queued", "running")}


def nearest_uniform(found: Sensitivity, proposed: Mixture) -> Mixture | None:
    """The largest uniform width that takes no more than the mixture, or else the smallest."""
    known = [made for bits in found.bits if (made := uniform(found, bits))]
    fitting = [made for made in known if made.weight_bytes <= proposed.weight_bytes]
    if fitting:
        return max(fitting, key=lambda made: made.weight_bytes)
    return min(known, key=lambda made: made.weight_bytes, default=None)


def made_trials(trial: Trial, recipes: Sequence[Recipe]) -> list[Trial]:
    """The trials of recipes under the usual protocol; says so and gives none where one can't be measured."""
    name = f"{trial.model}@{trial.revision}" if trial.revision else trial.model
    try:
        return trials.make_trials(Sweep(name, Protocol(), tuple(recipes)))
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return []


def send(asked: Sequence[Trial], proposed: Mixture) -> None:
    """Queue the trials and see that a worker runs; what comes of them stands below."""
    with stored.queueing() as store:
        store.submit(asked, MEASURES, f"Mixed bits, {quantities.byte_count(proposed.weight_bytes)}")
    st.rerun()


def draw_results(trial: Trial, found: Sensitivity) -> None:
    """Every result of the model that is predicted too, predicted and measured side by side."""
    known = results(trial, found)
    markup.head("Predicted against measured")
    if not known:
        markup.soft("Nothing of this kind has been measured yet. Send a recipe to the queue, and both stand here.")
        return
    rows = [
        (
            (short(one), one.row.label),
            progress.STATES[one.row.state] + (", recorded" if one.row.recorded else ""),
            format_value("weight_bytes", one.predicted.weight_bytes),
            format_value("weight_bytes", one.row.value("weight_bytes")),
            nats(one.predicted.loss),
            nats(one.row.value("kl_to_dense")),
            format_value("perplexity", one.row.value("perplexity")),
        )
        for one in known
    ]
    heads = ("Bits", "State", "Weights predicted", "measured", "Divergence predicted", "measured", "Perplexity")
    markup.table(heads, rows, texts=2)
    progress.wait_for([one.row for one in known], f"{KEY}:waiting")
    markup.soft(
        f"{words.DIVERGENCE} Predicted is the sum of what each layer costs alone, on calibration text; "
        "measured is all of them together, on other text."
    )


def results(trial: Trial, found: Sensitivity) -> list[Known]:
    """The model's results that only round layers as was measured, the largest first; an own one goes before a recorded.

    A result of one recipe under several protocols counts once: the one that was measured last.
    """
    latest: dict[tuple[int, ...], Known] = {}
    rows = [*stored.recorded_rows(), *sorted(stored.my_rows(), key=lambda row: row.finished_at or row.created_at)]
    for row in rows:
        if row.model == trial.model and not is_dense(row) and (made := predict(found, parse(row.recipe))):
            latest[made.bits] = Known(row, made)
    return sorted(latest.values(), key=lambda one: -one.predicted.weight_bytes)


def short(one: Known) -> str:
    """ "all 4", "mixed 8/4/3"."""
    widths = sorted(set(one.predicted.bits), reverse=True)
    return f"all {widths[0]}" if len(widths) == 1 else f"mixed {'/'.join(map(str, widths))}"


def _up(count: float) -> float:
    """Bytes as MB in tenths, upwards, so that they fit what they are a budget for."""
    return ceil(count / 1e5) / 10
