"""The Front tab: any two metrics, a third as size or shade, several models on relative axes, and the hypervolume."""

from collections.abc import Callable, Collection, Mapping, Sequence

import streamlit as st

from engine.analysis.front import Front, telling_quality
from engine.analysis.relative import RELATIVE, TOGETHER, together
from engine.metrics import METRICS, PRESETS
from engine.outcome.row import Row
from engine.plots import Y_CHOICES, Extras
from pages.shared import chart, frame, markup, stored, view
from pages.shared.stored import Group
from pages.shared.view import State, Value

PAGE = "explore"
CUSTOM, SIDE_BY_SIDE = "custom", "relative"
PRESET_NAMES = {
    "size-quality": "Size",
    "speed-quality": "Speed",
    "memory-quality": "Memory",
    SIDE_BY_SIDE: "Relative",
    CUSTOM: "Other",
}
AXES = tuple(name for name, m in METRICS.items() if m.better != "none" and name != "perplexity_ratio")
SCALES = {"auto": "Automatic", "log": "Logarithmic", "linear": "Linear"}
SHOWN_BY = {"size": "Size", "shade": "Shade"}
NO_THIRD = "none"
_WIDTH = 560  # pixels that are left beside the sidebar and the panel on a small laptop


def values(found: Mapping[str, Group], group: Group) -> dict[str, Value]:
    """The axes' part of the view; the group that is looked at decides which quality is shown unless one is chosen."""
    return {
        "axes": Value("size-quality", allowed=tuple(PRESET_NAMES)),
        "quality": Value(telling_quality(group.rows, group.comparison.id), allowed=Y_CHOICES),
        "x": Value("weight_bytes", allowed=AXES),
        "y": Value("accuracy", allowed=AXES),
        "scale_x": Value("auto", allowed=tuple(SCALES)),
        "scale_y": Value("auto", allowed=tuple(SCALES)),
        "third": Value(NO_THIRD, allowed=(NO_THIRD, *AXES)),
        "by": Value("size", allowed=tuple(SHOWN_BY)),
        "papers": Value(False),
        "with": Value([], allowed=tuple(found)),
    }


def axes(state: Mapping[str, State]) -> tuple[str, str]:
    """The metrics of both axes."""
    if state["axes"] == CUSTOM:
        return str(state["x"]), str(state["y"])
    if state["axes"] == SIDE_BY_SIDE:
        return "compression_ratio", RELATIVE[str(state["quality"])]
    return PRESETS[str(state["axes"])][0], str(state["quality"])


def others(found: Mapping[str, Group], group: Group, state: Mapping[str, State]) -> list[Group]:
    """The groups that are asked to stand on the front too, on relative axes only."""
    names = state["with"] if state["axes"] == SIDE_BY_SIDE and isinstance(state["with"], list) else []
    return [found[name] for name in names if name != group.key]


def standing(
    group: Group, rows: Sequence[Row], more: Sequence[Sequence[Row]], relative: bool
) -> tuple[Sequence[Row], str]:
    """The rows that stand on the front, and the comparison they are of."""
    if not relative:
        return rows, group.comparison.id
    sets = (rows, *more)
    return _together(sets, tuple(stored.stamp(one) for one in sets)), TOGETHER


def draw_controls(found: Mapping[str, Group], group: Group, state: Mapping[str, State]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Compare quality with", list(PRESET_NAMES), key=view.key(PAGE, "axes"), required=True,
            format_func=PRESET_NAMES.__getitem__, wrap=frame.narrow() or None,
            help="Relative: against each model's own original, so that several models can stand on one front.",
        )  # fmt: skip
        if state["axes"] != CUSTOM:
            st.segmented_control(
                "Quality is", Y_CHOICES, key=view.key(PAGE, "quality"), required=True, format_func=_quality_name,
                help="\n\n".join(map(markup.definition, Y_CHOICES)), wrap=frame.narrow() or None,
            )  # fmt: skip
        with st.popover("Marks", icon=":material/tune:"):
            _draw_look()
    if state["axes"] == CUSTOM:
        for column, name, label in zip(st.columns(2), ("x", "y"), ("Across", "Up"), strict=True):
            column.selectbox(label, AXES, key=view.key(PAGE, name), format_func=_label)
    if state["axes"] == SIDE_BY_SIDE:
        _draw_company(found, group)


def draw_chart(
    rows: Sequence[Row], front: Front, state: Mapping[str, State], rings: Collection[str], choose: Callable[[str], None]
) -> None:
    """The front; `rings` are marked, a click chooses."""
    comparison = front.comparison.id if front.comparison else None
    chart.draw_front(
        rows, front.x.name, front.y.name, key="explore:chart", comparison=comparison, highlighted=rings,
        on_point=choose, extras=_extras(state), width=_WIDTH,
    )  # fmt: skip
    _draw_left_out(front)


def _extras(state: Mapping[str, State]) -> Extras:
    scales = [None if state[name] == "auto" else str(state[name]) for name in ("scale_x", "scale_y")]
    third = "" if state["third"] == NO_THIRD else str(state["third"])
    papers = bool(state["papers"]) and state["axes"] == SIDE_BY_SIDE
    return Extras(scales[0], scales[1], third, str(state["by"]), papers)  # type: ignore[arg-type]


def _draw_look() -> None:
    st.selectbox(
        "A third metric", (NO_THIRD, *AXES), key=view.key(PAGE, "third"), format_func=_label,
        help="Shown by how large or how strong a mark is; the line above the chart says which way.",
    )  # fmt: skip
    st.segmented_control(
        "shown by", list(SHOWN_BY), key=view.key(PAGE, "by"), required=True, format_func=SHOWN_BY.__getitem__
    )
    for name, label in (("scale_x", "Scale across"), ("scale_y", "Scale up")):
        st.segmented_control(
            label, list(SCALES), key=view.key(PAGE, name), required=True, format_func=SCALES.__getitem__,
            help="Automatic is logarithmic for bytes, times and perplexity. The knee stays the same.",
        )  # fmt: skip


def _draw_company(found: Mapping[str, Group], group: Group) -> None:
    """What else stands on relative axes: other results, and what papers give."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(found) > 1:
            st.multiselect(
                "Together with", [name for name in found if name != group.key], key=view.key(PAGE, "with"),
                format_func=lambda name: f"{found[name].chip}: {found[name].comparison.model}",
                placeholder="Other models and sweeps",
            )  # fmt: skip
        st.toggle(
            "Published results of other models", key=view.key(PAGE, "papers"),
            help="From papers, with their source on hover: other models, texts and harnesses. Never part of the front.",
        )  # fmt: skip


@st.cache_resource(show_spinner=False, max_entries=4)
def _together(_sets: Sequence[Sequence[Row]], keys: tuple[int, ...]) -> list[Row]:
    return together(*_sets)


def _label(name: str) -> str:
    return "None" if name == NO_THIRD else METRICS[name].label


def _quality_name(name: str) -> str:
    return {"top1_agreement": "Same next word"}.get(name, METRICS[name].label)


def _draw_left_out(front: Front) -> None:
    """How many results these axes can't show, and why."""
    reasons: dict[str, int] = {}
    for reason in front.left_out.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        parts = [f"{count} ({reason})" for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1])]
        markup.soft(f"Not shown on these axes: {'; '.join(parts[:3])}.")
