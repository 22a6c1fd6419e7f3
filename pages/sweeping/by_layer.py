"""New sweep, by layer: what each layer minds, bits by layer for a budget, and what came of them."""

import streamlit as st

from engine import trials
from engine.analysis import words
from engine.errors import InputError
from engine.outcome import sensitivity
from engine.outcome.row import Row
from engine.outcome.sensitivity import Sensitivity
from engine.plots.layer_heat import heat_figure
from engine.quantities import nats
from engine.running import estimates
from engine.spec import Trial
from pages.shared import chart, frame, markup, progress, stored
from pages.sweeping import mixture

KEY = "layers"
MEASURES = (sensitivity.NAME,)
POLL_S = 1.0
LEAD = (
    "Some layers of a model can be squeezed hard before anyone notices, others hardly at all. Find out which, by "
    "compressing one layer at a time, and spend the bits where they count."
)
HOW = (
    "Each cell is one experiment: the whole model with this one layer changed, read against the original on {tokens:,} "
    "tokens."
)


def draw(model: str | None) -> None:
    """The tab, for a model that is on this machine."""
    markup.lead(LEAD)
    if model is None:
        markup.soft("Choose a model that is on this machine first.")
        return
    try:
        trial = trials.make_sensitivity(model)
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return
    row = stored.find(trial.id)
    found = measured(row) if row else None
    if row is None:
        draw_absent(trial)
    elif found is not None:
        markup.chips([(f"Recorded on {words.measured_on([row])}" if row.recorded else "Measured here", "")])
        draw_measured(trial, found)
    elif row.state in ("queued", "running"):
        draw_going(trial.id)
    else:
        draw_ended(row)


def measured(row: Row) -> Sensitivity | None:
    """What was found of the model; None where it was not."""
    content = stored.kept(row).profiles.get(sensitivity.NAME)
    return None if content is None else Sensitivity.from_dict(content)


def draw_absent(trial: Trial) -> None:
    """Nothing is known yet: what it takes, and the button."""
    cost = estimates.estimate([trial], MEASURES, stored.timed_rows())
    markup.text(
        "Every layer is rounded to 8, 4, 3 and 2 bits, has 30%, 50% and 70% of its weights zeroed, and does without "
        "10%, 20% and 30% of the directions that it reads and writes: always that layer alone."
    )
    markup.soft(f"Takes {cost.time} ({cost.basis}). It runs in the background, and you may leave this page.")
    if st.button("Measure the layers", type="primary", key=f"{KEY}:measure"):
        launch(trial)


def launch(trial: Trial) -> None:
    """Queue the measurement and see that a worker runs."""
    with stored.queueing() as store:
        store.submit([trial], MEASURES, f"Layers of {trial.model}")
    st.rerun()


@st.fragment(run_every=POLL_S)
def draw_going(trial_id: str) -> None:
    """How far it has come; the page is drawn again once it has ended."""
    store = stored.store()
    row = store.row(trial_id)
    if row.state not in ("queued", "running"):
        st.rerun()
    if row.state == "queued":
        markup.soft("Waiting for its turn: other trials run before it.")
    else:
        now = store.progress().get(trial_id, row.progress)
        st.progress(now.share, text=progress.describe(now))
    stopping = trial_id in store.cancelling()
    if st.button("Stopping" if stopping else "Cancel", key=f"{KEY}:cancel", disabled=stopping):
        stored.cancel([trial_id])
        st.rerun(scope="fragment")


def draw_ended(row: Row) -> None:
    """It failed or was cancelled: why, and again."""
    if row.state == "failed":
        st.error(markup.plain(f"The measurement failed: {row.reason}"), icon=":material/error:")
    else:
        markup.text("The measurement was cancelled before it ended.")
    if st.button("Measure again", type="primary", key=f"{KEY}:again"):
        stored.retry([row.trial_id])
        st.rerun()


def draw_measured(trial: Trial, found: Sensitivity) -> None:
    """The heat-map with what the proposal chose ringed in it, the proposal, and what came of such recipes."""
    place = st.container()
    proposed = mixture.draw(trial, found)
    with place:
        markup.head("What each layer minds")
        figure = heat_figure(found, proposed.bits if proposed else (), frame.theme(), compact=frame.narrow())
        alt = f"Heat-map of {found.blocks} layers by {len(found.ways)} ways to compress one of them alone"
        chart.draw(figure, key=f"{KEY}:heat", alt=alt, name="layers")
        markup.soft(f"{HOW.format(tokens=found.positions)} {words.DIVERGENCE} Rings are the bits proposed below.")
        with st.expander("All numbers as a table"):
            markup.table(
                ("Layer", *(way.label for way in found.ways)),
                [(str(n), *(nats(way.loss[n]) for way in found.ways)) for n in range(found.blocks)],
            )
    mixture.draw_results(trial, found)
