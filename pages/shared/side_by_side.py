"""Results in columns: every metric with its interval or its difference from the base, and that in a sentence."""

from collections.abc import Sequence

import streamlit as st

from engine import quantities
from engine.analysis import words
from engine.analysis.compare import Against, letters, same
from engine.analysis.front import interval, is_dense, own_value
from engine.analysis.passes import SPEEDUPS, beside
from engine.metrics import SCORES, metric
from engine.outcome.row import Row
from engine.plots.palette import family
from engine.stats import Verdict
from pages.shared import markup

GROUPS = {
    "Size": ("weight_bytes", "bits_per_weight", "peak_memory_bytes"),
    "Speed": ("prefill_ms", "decode_ms_per_token"),
    "Next words": ("perplexity", "top1_agreement", "kl_to_dense"),
    "Answers": ("accuracy", "accuracy_norm", "flips"),
}
_STANDING = {"better": "better than", "worse": "worse than", "not distinguishable": "not distinguishable from"}


def draw_name(letter: str, row: Row, label: str) -> None:
    """A result's letter, its family's mark and its name."""
    look = family(row.family)
    colour = look.colour or "currentColor"
    st.html(
        f'<h2 class="kp-head"><span class="kp-letter">{markup.shown(letter)}</span> <span style="color:{colour}" '
        f'aria-hidden="true">{look.glyph}</span> <span{markup.tip(row.label)}>{markup.shown(label)}</span></h2>'
    )


def draw_table(rows: Sequence[Row], pairs: Sequence[Against], base: str) -> None:
    """One column a result; base: what the others are compared with is called."""
    heads = "".join(
        f'<th class="kp-num"><span class="kp-letter">{letter}</span> {markup.shown(words.short_label(row))}</th>'
        for letter, row in zip(letters(rows), rows, strict=True)
    )
    body = "".join(_group(group, names, pairs, base) for group, names in GROUPS.items())
    table = f'<table class="kp-table kp-side"><thead><tr><th style="width:21%"></th>{heads}</tr></thead>{body}</table>'
    markup.framed(table, "The results side by side")
    if any(row.value(SPEEDUPS[name]) for row in rows for name in GROUPS["Speed"] if not is_dense(row)):
        markup.soft(
            "Each result was timed in turns with the original, in a run of its own. A machine is not equally fast in "
            "every run, so compare the speeds, not the milliseconds."
        )


def sentence(letter: str, pair: Against, base: str) -> str:
    """ "B is 2.4x smaller than A, and not distinguishable from it on 300 questions: …"; empty of the base itself."""
    found = pair.verdict
    size = _ratio(pair, "weight_bytes", base)
    parts = [size, _judged(found, "it" if size else base) if found else ""]
    said = ", and ".join(part for part in parts if part)
    return f"{letter} is {said.removesuffix('.')}." if said else ""


def unpaired(names: Sequence[str], base: str, reason: str) -> str:
    """Why results stand here without a comparison."""
    some = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    stand = "stand" if names[1:] else "stands"
    return f"{some} {stand} beside {base} without differences and their intervals: {reason}."


def _judged(found: Verdict, base: str) -> str:
    asked = f"{_STANDING[found.standing]} {base} on {found.questions:,} questions"
    ends = sorted(100 * abs(end) for end in (found.low, found.high))
    if found.standing == "not distinguishable":
        return f"{asked}: between {100 * abs(found.low):.1f} points worse and {100 * found.high:.1f} better."
    return f"{asked}: by {100 * abs(found.change):.1f} points, at least {ends[0]:.1f} and at most {ends[1]:.1f}."


def _group(group: str, names: Sequence[str], pairs: Sequence[Against], base: str) -> str:
    lines = "".join(_line(name, pairs, base) for name in names if any(_value(pair, name) is not None for pair in pairs))
    width = len(pairs) + 1
    return f'<tbody><tr><th colspan="{width}" scope="rowgroup">{group}</th></tr>{lines}</tbody>' if lines else ""


def _line(name: str, pairs: Sequence[Against], base: str) -> str:
    found = metric(name)
    label = f"Answers unlike {base}" if name == "flips" else found.label
    cells = "".join(_cell(name, pair, base) for pair in pairs)
    return f"<tr><td><span{markup.tip(found.definition)}>{markup.shown(label)}</span></td>{cells}</tr>"


def _cell(name: str, pair: Against, base: str) -> str:
    value = _value(pair, name)
    if value is None:
        shown, why = (quantities.NOTHING, pair.missing) if name == "flips" else words.unknown(pair.row, name)
        return f'<td class="kp-num"><span{markup.tip(why)}>{shown}</span></td>' if why else "<td></td>"
    shown = markup.shown(quantities.format_value(name, value))
    return f'<td class="kp-num">{shown}<small>{markup.shown(_under(name, pair, base))}</small></td>'


def _value(pair: Against, name: str) -> float | None:
    return pair.metrics.get("flips") if name == "flips" else own_value(pair.row, name)


def _under(name: str, pair: Against, base: str) -> str:
    """What stands below a value: how it differs from the base, or its own interval."""
    if name in ("weight_bytes", "peak_memory_bytes"):
        return _ratio(pair, name, base)
    if name in SPEEDUPS:
        return _speed(pair.row, name)
    if name in SCORES:
        return _change(pair, name, base)
    if name == "flips":
        wrong, right = (pair.metrics.get(f"flips_to_{end}") or 0.0 for end in ("wrong", "right"))
        return f"{wrong:,.0f} to wrong, {right:,.0f} to right"
    return _interval(pair.row, name)


def _ratio(pair: Against, name: str, base: str) -> str:
    """ "2.4x smaller than A"; empty of the base itself, and of results of other models."""
    ours, theirs = own_value(pair.row, name), own_value(pair.base, name)
    if not ours or not theirs or same(pair.row, pair.base) or pair.row.comparison_id != pair.base.comparison_id:
        return ""
    if abs(theirs / ours - 1) < 0.005:
        return f"the same as {base}" if name == "weight_bytes" else f"as much as {base}"
    if theirs > ours:
        return f"{quantities.times(theirs / ours)} {'smaller' if name == 'weight_bytes' else 'less'} than {base}"
    return f"{quantities.times(ours / theirs)} {'larger' if name == 'weight_bytes' else 'more'} than {base}"


def _speed(row: Row, name: str) -> str:
    """The speed-up against the original, which was timed beside it in one run, and what that took there."""
    ratio, low, high = (row.value(f"{SPEEDUPS[name]}{end}") for end in ("", "_low", "_high"))
    if is_dense(row) or ratio is None:
        return ""
    span = f" ({quantities.times(low)} to {quantities.times(high)})" if low is not None and high is not None else ""
    now = quantities.format_value(name, beside(row, name))
    return f"{quantities.times(ratio)} the speed of the original, {now} then{span}"


def _change(pair: Against, name: str, base: str) -> str:
    estimate = pair.estimate(f"{name}_change")
    if estimate is None:
        return _interval(pair.row, name)
    return f"{quantities.with_interval(f'{name}_change', *estimate)} against {base}"


def _interval(row: Row, name: str) -> str:
    ends = interval(row, name)
    return "" if ends is None or ends.low == ends.high else f"95%: {quantities.span(name, *ends)}"
