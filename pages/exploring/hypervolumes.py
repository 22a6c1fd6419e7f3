"""The hypervolume of the front, and how it differs between two sweeps or from the front without the filter."""

from collections.abc import Mapping, Sequence

from engine import quantities
from engine.analysis.front import Front, is_dense
from engine.analysis.hypervolume import definition, hypervolume
from engine.outcome.row import Row
from pages.exploring import filters
from pages.shared import markup, stored
from pages.shared.stored import Group
from pages.shared.view import State

_NONE = (
    "A hypervolume counts what results keep of what the original has. Here it has nothing to keep: it does no better "
    "than guessing, stands at zero as in changes, or was not measured."
)


def draw(group: Group, rows: Sequence[Row], front: Front, state: Mapping[str, State]) -> None:
    """rows: of the group, as the filter leaves them; front: theirs."""
    value = hypervolume(front)
    if value is None:
        markup.chips([("No hypervolume on these axes", _NONE)])
        return
    said = definition(front)
    found = [(f"Hypervolume {value:.3f}: {value:.0%} of what could be gained", said)]
    sweeps = state["sweeps"] if isinstance(state["sweeps"], list) else []
    if len(sweeps) == 2:
        found += _between(group, rows, front, sweeps, said)
    elif filters.is_on(state):
        found += _against(value, hypervolume(_front(group.rows, front)), "without the filter", said)
    markup.chips(found)


def _between(
    group: Group, rows: Sequence[Row], front: Front, sweeps: Sequence[str], said: str
) -> list[tuple[str, str]]:
    """Each of two sweeps with its own, and how the second differs from the first."""
    names, areas = filters.sweeps_of(group), []
    found = []
    for sweep in sorted(sweeps, key=int):
        own = [row for row in rows if is_dense(row) or int(sweep) in row.sweep_ids]
        areas.append(hypervolume(_front(own, front)))
        shown = "none" if areas[-1] is None else f"{areas[-1]:.3f}"
        found.append((f"{names.get(sweep, sweep)}: {shown}", said))
    first, second = areas
    if first is None or second is None:
        return found
    older = names.get(min(sweeps, key=int), "")
    return [*found, *_against(second, first, older, said)]


def _against(value: float, other: float | None, name: str, said: str) -> list[tuple[str, str]]:
    if other is None:
        return []
    change = value - other
    if abs(change) < 0.0005:
        return [(f"The same as {name}", said)]
    more = f"{change:+.3f}".replace("-", quantities.MINUS)
    return [(f"{more} against {other:.3f} {name if name.startswith('without') else f'of {name}'}", said)]


def _front(rows: Sequence[Row], front: Front) -> Front:
    return stored.front_of(rows, front.x.name, front.y.name, front.comparison.id if front.comparison else None)
