"""Slice: turn the model so that little lies along most directions, then cut those away."""

import streamlit as st

from engine import quantities
from engine.spec import Recipe, Settings
from engine.teaching.pack import Cut, Pack
from pages.pictures import picture
from pages.shared import frame, markup, measured, teaching, view
from pages.shared.view import Value

PAGE = "slice"
PARTS = ("numbers", "cloud", "spectrum", "bytes", "turn")
TURN = picture.component("slice_turn", *(f"slice/{part}.js" for part in PARTS))
CONTROLS = {"angle": Value(0.0, low=0, high=180), "cut": Value(False), "fraction": Value(0.25, low=0, high=0.5)}


def main() -> None:
    values = {"model": teaching.models(), **CONTROLS, "prompt": Value("0")}
    view.restore(PAGE, values)
    markup.title("Slice: turn, then cut")
    markup.lead(
        "Every block reads from and writes to one stream of numbers. Turn its axes, and the model computes the same. "
        "Turned well, most of the stream lies along a few directions, and the others can be cut off every matrix."
    )
    pack = teaching.choose(PAGE)
    if pack is None:
        view.keep(PAGE, values)
        return
    if not pack.cuts:
        markup.text(
            "SliceGPT can't cut this model: its norms do more than set the length of what they read, and that does not "
            "survive a turn. The cloud and the spectrum are its own all the same; the bytes are what a cut would leave."
        )
    st.fragment(draw_turn)(pack, values)
    if pack.cuts:
        st.fragment(draw_words)(pack, values)
    draw_shortcuts()
    teaching.source_line(pack)


def draw_turn(pack: Pack, values: dict[str, Value]) -> None:
    """The cloud, the spectrum and the bytes, and what was measured of that cut."""
    markup.head("Turn first, and the same cut loses less")
    markup.text(
        "Cut the second axis as it comes, and the points lose much of where they were. Turn the first axis along the "
        "cloud and cut again: most of it stays. The spectrum shows the same for all directions at once; the grey part "
        "is what a cut takes."
    )
    first, second = pack.cloud.coordinates
    data = {
        "cloud": {
            **vars(pack.cloud),
            "title": f"Activations at {pack.cloud.tensor}, normalised, less their mean: {first} across, {second} up",
        },
        "spectrum": {
            "turned": pack.spectrum.turned,
            "plain": pack.spectrum.plain,
            "title": f"Share of the stream along each direction, the largest first: {pack.spectrum.what}",
        },
        "size": vars(pack.shape),
    }
    picture.draw(TURN, PAGE, "turn", CONTROLS, data)
    view.keep(PAGE, values)
    wanted = chosen_recipe()
    measured.draw(pack.model, wanted, measured.nearest(pack.model, wanted, distance))


def chosen_recipe() -> Recipe | None:
    """The cut of the picture as a recipe, None where nothing is cut."""
    fraction = st.session_state[view.key(PAGE, "fraction")]
    return measured.recipe(f"slice:slicegpt,fraction={fraction:g}") if fraction else None


def distance(step: Settings) -> tuple[float, ...] | None:
    """How far a measured slice is from the picture's."""
    if step.method != "slicegpt":
        return None
    fraction = st.session_state[view.key(PAGE, "fraction")]
    return round(abs(getattr(step, "fraction", 0.0) - fraction), 6), getattr(step, "head", "tied") != "tied"


def draw_words(pack: Pack, values: dict[str, Value]) -> None:
    """The next words of a sentence, from the model as it is, turned, and cut both ways."""
    markup.head("What the model says after it")
    prompts = {str(place): one.prompt for place, one in enumerate(pack.next_words)}
    if st.session_state[view.key(PAGE, "prompt")] not in prompts:
        st.session_state[view.key(PAGE, "prompt")] = "0"
    chosen = st.selectbox(
        "Sentence", list(prompts), key=view.key(PAGE, "prompt"), format_func=lambda key: f"{prompts[key]} …", width=420
    )
    view.keep(PAGE, values)
    cuts = sorted(pack.cuts, key=lambda cut: (cut.fraction, cut.turned))
    places = (
        ("First", "Second") if frame.narrow() else ("First", "Second", "Third")
    )  # a phone's width ends in the third
    markup.table(
        ("Width cut", "Perplexity", *places),
        [(said_of(cut), perplexity(cut), *likeliest(cut, int(chosen), len(places))) for cut in cuts],
    )
    markup.soft(
        "Turned and not cut, the model is the original. One sentence can go either way after a cut; the perplexity is "
        f"over {pack.heldout}, and lower is better."
    )


def said_of(cut: Cut) -> str:
    if cut.fraction == 0:
        return "none, turned" if cut.turned else "none"
    return f"{100 * cut.fraction:g}% {'after the turn' if cut.turned else 'as it comes'}"


def perplexity(cut: Cut) -> str:
    return quantities.format_value("perplexity", cut.perplexity)


def likeliest(cut: Cut, place: int, count: int) -> list[str]:
    """The likeliest words after a prompt, with their probabilities."""
    return [f"{word.strip() or 'a space'} {100 * share:.0f}%" for word, share in cut.words[place][:count]]


def draw_shortcuts() -> None:
    markup.head("What a cut really saves")
    markup.text(
        "A direction that goes is a row of every matrix that writes to the stream, and a column of every matrix that "
        "reads from it: narrower matrices, smaller and faster on any hardware."
    )
    markup.text(
        "As published, SliceGPT turns the stream anew in every block. Each turn must then be undone on the path that "
        "goes around the block: two square matrices a block, the shortcuts. And the last turn is not the first, so the "
        "head can't share the embedding's matrix. In a small model with a large vocabulary these eat the savings. With "
        "one turn for the whole model there are no shortcuts, and one small matrix keeps head and embedding tied; the "
        "axes fit each single block a little less well."
    )
    markup.soft("Ashkboos et al. 2024, arXiv:2401.15024. It turns and deletes; it sets no weight to zero.")


frame.guard()
main()
