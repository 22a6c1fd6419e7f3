"""Distil: what a teacher's answer holds that a right word does not, on real next words of a model and its students."""

import streamlit as st

from engine import quantities
from engine.analysis.front import is_dense
from engine.outcome.row import Row
from engine.spec import Recipe, Settings, parse
from engine.teaching.pack import Pack
from pages.pictures import picture
from pages.shared import frame, link, markup, measured, teaching, view
from pages.shared.markup import Figure
from pages.shared.result_words import size_figure
from pages.shared.view import Value

PAGE = "distil"
TARGETS = picture.component("distil_soft_targets", "distil/numbers.js", "distil/soft_targets.js")
CONTROLS = {
    "temperature": Value(1.0, low=0.5, high=4),
    "mix": Value(0.5, low=0, high=1),
    "direction": Value("teacher", allowed=("teacher", "student")),
}
AMOUNTS = {"rtn": "bits", "slicegpt": "fraction", "layers": "count"}  # what says how far a step of a method goes


def main() -> None:
    values = {"model": teaching.models(), **CONTROLS, "sentence": Value("0"), "student": Value("")}
    view.restore(PAGE, values)
    markup.title("Distil: learn from what the original almost said")
    markup.lead(
        "A text says which word comes next, and that all others are wrong. The original model says how right each of "
        "them would have been. A small model that learns from it hears far more with every word."
    )
    pack = teaching.choose(PAGE)
    if pack is None:
        view.keep(PAGE, values)
        return
    if len(pack.lesson.speakers) < 2:
        markup.text(
            "No compressed version of this model could be made to compare it with, so there is nothing to draw."
        )
        view.keep(PAGE, values)
        return
    controls = settle(pack)
    st.fragment(draw_targets)(pack, controls, {"model": values["model"], **controls})
    draw_direction()
    draw_not_offered()
    teaching.source_line(pack)


def settle(pack: Pack) -> dict[str, Value]:
    """The picture's values, sentence and student among those of the pack."""
    sentences = [str(place) for place in range(len(pack.lesson.sentences))]
    students = [speaker.recipe for speaker in pack.lesson.speakers[1:]]
    offered = {
        "sentence": Value("0", allowed=sentences),
        "student": Value(students[0], allowed=students),
        **CONTROLS,
    }
    for name, value in offered.items():
        if not value.valid(st.session_state[view.key(PAGE, name)]):
            st.session_state[view.key(PAGE, name)] = value.default
    return offered


def draw_targets(pack: Pack, controls: dict[str, Value], values: dict[str, Value]) -> None:
    """Label, teacher and student word by word, and what was measured of that student."""
    markup.head("The hard label says one word; the teacher says many")
    markup.text(
        "The teacher is the original, the student a compressed version of it as it came out, untrained. Raise the "
        "temperature, and the teacher's small shares grow until they can be heard. Then choose who the student would "
        "listen to, and see which words training would push up, and which down."
    )
    lesson = pack.lesson
    data = {
        "sentences": [vars(sentence) for sentence in lesson.sentences],
        "speakers": [
            {"key": one.recipe, "name": parse(one.recipe).describe().split(",")[0] or "Original", **vars(one)}
            for one in lesson.speakers
        ],
    }
    picture.draw(TARGETS, PAGE, "targets", controls, data)
    state = view.keep(PAGE, values)
    wanted = parse(str(st.session_state[view.key(PAGE, "student")]))
    markup.soft(
        "No student is trained here: the bars are what each one says now, the arrows are what a loss would ask."
    )
    found = measured.nearest(pack.model, wanted, lambda step: distance(step, wanted))
    measured.draw(pack.model, wanted, found, figures=student_figures)
    link.copy_button(view.query(values, state), key="distil:copy")


def distance(step: Settings, wanted: Recipe) -> tuple[float, ...] | None:
    """How far a measured step is from the student's: in how far it goes first, then in the number of other settings."""
    asked = wanted.steps[0]
    if step.method != asked.method or getattr(step, "targets", None) != getattr(asked, "targets", None):
        return None
    amount = AMOUNTS[asked.method]
    others = sum(getattr(step, name) != value for name, value in vars(asked).items() if name != amount)
    return abs(getattr(step, amount) - getattr(asked, amount)), others


def student_figures(row: Row, dense: Row | None) -> list[Figure]:
    """How far a result's next words are from the original's, over the whole measured text."""
    apart = quantities.format_value("kl_to_dense", row.value("kl_to_dense"))
    same = quantities.format_value("top1_agreement", 1.0 if is_dense(row) else row.value("top1_agreement"))
    return [
        Figure("KL to the original", apart, "a word, on the whole held-out text", markup.definition("kl_to_dense")),
        Figure("Same next word", same, "as the original, on the same text", markup.definition("top1_agreement")),
        size_figure(row, dense),
    ]


def draw_direction() -> None:
    markup.head("Which way to compare")
    markup.text(
        "KL measures how far one answer is from another, in nats, and the order matters. KL(teacher ‖ student) is "
        "large where the teacher says a word and the student hardly does: learning from it, the student spreads out to "
        "cover all that the teacher might say. KL(student ‖ teacher) is large where the student says what the teacher "
        "would not: learning from that, it keeps to the teacher's likeliest words and may forget the others."
    )
    markup.text(
        "Temperature divides the logits before they become shares: above 1 the shares come closer together, below 1 "
        "the likeliest takes more. The loss is multiplied by its square, so that the push stays about as strong."
    )
    markup.soft("Hinton et al. 2015, arXiv:1503.02531; on the reverse direction Gu et al. 2023, arXiv:2306.08543.")


def draw_not_offered() -> None:
    markup.head("What can be done here today")
    markup.text(
        "Distillation itself is not offered yet: Kneepoint compresses and measures, and trains nothing. What it would "
        "have to repair is measured above."
    )


frame.guard()
main()
