"""New sweep: what to compress, how, what to ask of it, and what that will take, before it is launched."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields

import streamlit as st

from engine import paths, quantities, tasks, trials, worker
from engine.analysis.anytime import TOLERANCE, resolution
from engine.errors import InputError
from engine.running import estimates
from engine.spec import MEASURES, METHODS, TASK_GROUPS, Protocol, Recipe, Sweep, Trial, parse
from engine.spec.sweep import in_running_order
from engine.store import DECIDED_BY, StoreError
from pages.shared import form, frame, markup, model_choice, stored, view
from pages.shared.markup import Figure
from pages.shared.view import Value
from pages.sweeping import by_layer, mixture

PAGE = "sweep"
TABS = ("Grid", "By layer")
MOST_ITEMS = 100_000
VALUES = {"tab": Value(TABS[0], allowed=TABS), **mixture.VALUES}
PREFILLED = "sweep|prefilled"
MEASURE_NAMES = {
    "size": "Size", "layers": "Errors by layer", "latency": "Speed", "memory": "Peak memory",
    "perplexity": "Perplexity", "accuracy": "Accuracy", "latency_grid": "Speed by batch and prompt",
}  # fmt: skip


def main() -> None:
    markup.title("New sweep")
    view.restore(PAGE, VALUES)
    prefill()
    model = model_choice.draw()
    grid, layers = st.tabs(TABS, key=view.key(PAGE, "tab"), on_change="rerun")
    if grid.open:
        with grid:
            draw_grid(model)
    if layers.open:
        with layers:
            by_layer.draw(model)
    keep(model if layers.open else None)


def keep(model: str | None) -> None:
    """Write what is shown by layer of a model to the address; of the grid only what a link says is read."""
    if model:
        view.keep(PAGE, {**VALUES, "model": Value("")})
    elif "tab" in st.query_params:
        view.keep(PAGE, {"tab": VALUES["tab"]})
    else:
        return
    st.session_state[PREFILLED] = read_address()


def draw_grid(model: str | None) -> None:
    """Recipes by method and setting, what is asked of them, and what that will take."""
    left, right = st.columns([2, 1], gap="large")
    with left:
        recipes, sound = draw_methods()
        protocol, measures = draw_questions()
        tolerance = draw_tolerance(measures)
        name = st.text_input("Name", key="sweep:name", placeholder="What this sweep is called in Runs", max_chars=80)
    with right, st.container(border=True, key="sweep-summary"):
        markup.head("What this will take")
        if model and sound and protocol and measures:
            try:
                sweep = Sweep(model, protocol, in_running_order(recipes), name.strip(), tolerance)
            except InputError as error:
                st.error(markup.plain(str(error)), icon=":material/error:")
            else:
                draw_launch(sweep, measures)
        else:
            markup.soft("Shown once the form is complete.")


def prefill() -> None:
    """Take what a link says of the grid: ?recipe=…&recipe=…&model=…&limit=…; once, so that edits stay."""
    address = read_address()
    if not address or st.session_state.get(PREFILLED) == address:
        return
    st.session_state[PREFILLED] = address
    if "recipe" in address:
        st.session_state["sweep:methods"] = []
        st.session_state["sweep:recipes"] = "\n".join(address["recipe"])
    if address.get("model"):
        model_choice.choose(address["model"][0])
    if "limit" in address and address["limit"][0].isdecimal() and int(address["limit"][0]) > 0:
        st.session_state["sweep:limit"] = min(int(address["limit"][0]), MOST_ITEMS)


def read_address() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def draw_methods() -> tuple[list[Recipe], bool]:
    """The recipes chosen, and whether all that was typed can be read."""
    markup.head("Methods")
    view.begin("sweep:methods", [name for name, method in METHODS.items() if method.starter])
    chosen = st.pills(
        "Methods", list(METHODS), selection_mode="multi", key="sweep:methods",
        format_func=method_name, label_visibility="collapsed", persist_state="session", wrap=True,
    )  # fmt: skip
    recipes: list[Recipe] = []
    sound = True
    for key in chosen:
        method = METHODS[key]
        with st.container(border=True, key=f"sweep:card:{key}"):
            markup.head(method_name(key))
            markup.soft(f"{method.summary} Real: {method.real}.")
            try:
                recipes += form.draw_grid(f"sweep:{key}", method)
            except InputError as error:
                st.error(markup.plain(str(error)), icon=":material/error:")
                sound = False
    more, readable = draw_combinations()
    return [*recipes, *more], sound and readable


def method_name(key: str) -> str:
    method = METHODS[key]
    return f"{method.family.capitalize()}: {method.label}"


def draw_combinations() -> tuple[list[Recipe], bool]:
    """Recipes of several steps: picked from two lists, or written."""
    with st.expander("Combine steps", expanded=bool(st.session_state.get("sweep:recipes"))):
        markup.soft("One method after another, in any order: slicing first and then fewer bits often goes furthest.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            names = list(METHODS)
            st.selectbox("First", names, len(names) - 1, key="sweep:first", format_func=method_name)
            st.selectbox("Then", names, 0, key="sweep:then", format_func=method_name)
            st.button("Add", key="sweep:add", on_click=add_combination)
        view.begin("sweep:recipes", "")
        text = st.text_area(
            "Recipes, one a line", key="sweep:recipes", height=110, persist_state="session",
            placeholder="slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4",
            help="Steps are joined by |. A step is family:method,setting=value; settings left out take their defaults.",
        )  # fmt: skip
        return read_lines(text)


def add_combination() -> None:
    """Append a line of the two methods: their defaults, or the first proposal that fits the model."""
    first, then = (METHODS[st.session_state[f"sweep:{place}"]] for place in ("first", "then"))
    candidates = [Recipe((step, then())) for step in form.proposals(first)]
    chosen = next((recipe for recipe in candidates if fits(recipe)), candidates[0])
    lines = [line for line in st.session_state.get("sweep:recipes", "").splitlines() if line.strip()]
    st.session_state["sweep:recipes"] = "\n".join([*lines, chosen.text])


def fits(recipe: Recipe) -> bool:
    """Whether the chosen model can be compressed so."""
    try:
        trials.make_trials(Sweep(str(st.session_state[model_choice.KEY]), Protocol(), (recipe,)))
    except InputError:
        return False
    return True


def read_lines(text: str) -> tuple[list[Recipe], bool]:
    """Every line as a recipe, each said in words or with what is wrong with it."""
    recipes, sound = [], True
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            recipes.append(parse(line))
            markup.soft(f"{number}. {recipes[-1].describe()}")
        except InputError as error:
            st.error(markup.plain(f"Line {number}: {error}"), icon=":material/error:")
            sound = False
    return recipes, sound


def draw_questions() -> tuple[Protocol | None, tuple[str, ...]]:
    """The protocol, None where something of it is missing, and the measures asked for."""
    markup.head("Questions")
    listed = known_tasks(str(paths.data_dir() or ""))
    there = {task.name: task for task in listed if task.items}
    groups = {name: members for name, members in TASK_GROUPS.items() if set(members) <= set(there)}
    defaults = [name for name in Protocol().tasks if name in there]
    chosen = st.multiselect(
        "Tasks", [*there, *groups], defaults, key="sweep:tasks", persist_state="session",
        format_func=lambda name: describe_group(name) if name in groups else describe_task(there[name]),
        help="Questions with choices, asked without examples. Files of your own go before these: see KNEEPOINT_DATA.",
    )  # fmt: skip
    draw_absent_tasks([task for task in listed if not task.items])
    limit = next(f for f in fields(Protocol) if f.name == "limit")
    view.begin("sweep:limit", limit.default)
    items = st.number_input(
        "Items of each task", 1, MOST_ITEMS, step=50, key="sweep:limit", persist_state="session",
        help="More items narrow the intervals (± 6 points at 300 answers, ± 3 at 1,200) and take longer in proportion.",
    )  # fmt: skip
    measures = st.pills(
        "Measure", MEASURE_NAMES, selection_mode="multi", default=MEASURES, key="sweep:measures",
        format_func=MEASURE_NAMES.__getitem__, persist_state="session", wrap=True,
    )  # fmt: skip
    with st.expander("Protocol"):
        rest = {
            f.name: form.draw_value(f, f"sweep:protocol:{f.name}")
            for f in fields(Protocol)
            if f.name not in ("tasks", "limit")
        }
    ordered = tuple(measure for measure in MEASURE_NAMES if measure in measures)
    if not ordered:
        st.error("Choose at least one measure.", icon=":material/error:")
    if not chosen:
        none = "None of the tasks' questions are on this machine yet: run `python -m engine fetch`."
        st.error("Choose at least one task." if there else none, icon=":material/error:")
        return None, ordered
    return Protocol(tasks=tuple(chosen), limit=int(items), **rest), ordered


def draw_tolerance(measures: Collection[str]) -> float | None:
    """Where trials stop early, the accuracy in [0, 1) that decides nothing; None where all questions are asked."""
    able = set(DECIDED_BY) <= set(measures)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        early = st.toggle(
            "Stop trials early", key="sweep:early", persist_state="session", disabled=not able,
            help="Every trial answers a tenth of the questions first. Then only those that can still change the front "
            "of size and accuracy go on; the others say after how many questions they were left out, and by which "
            "result, at 95% confidence over the whole sweep. Needs size and accuracy.",
        )  # fmt: skip
        if not (early and able):
            return None
        points = st.number_input(
            "Points that don't matter", 0.0, 20.0, 100 * TOLERANCE, step=0.5, key="sweep:tolerance", format="%.1f",
            persist_state="session",
            help="A larger result that is at most this much more accurate is not worth more questions. "
            "The smaller this is, the fewer trials stop early.",
        )  # fmt: skip
    return float(points) / 100


def describe_task(task: tasks.Overview) -> str:
    return f"{task.label} ({task.items:,} items)"


def describe_group(name: str) -> str:
    labels = ", ".join(tasks.get(member).label for member in TASK_GROUPS[name])
    return f"{name.capitalize()}: {labels}"


def draw_absent_tasks(absent: Sequence[tasks.Overview]) -> None:
    """Offer the tasks whose data is not on this machine: downloaded from the hub when asked for."""
    labels = {task.name: task.label for task in absent}
    if not labels:
        return
    with st.expander("More tasks"), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("From the hub", list(labels), key="sweep:absent", format_func=labels.__getitem__)
        if not st.button("Download", key="sweep:download"):
            return
        try:
            with st.spinner("Downloading its items."):
                tasks.task_files(str(name), paths.data_dir())
        except InputError as error:
            st.error(markup.plain(str(error)), icon=":material/error:")
            return
    known_tasks.clear()  # type: ignore[attr-defined]
    st.rerun()


@st.cache_data(ttl=60, show_spinner=False)
def known_tasks(data_dir: str) -> list[tasks.Overview]:
    """What tasks there are; `data_dir` is only what the cache is keyed by."""
    return tasks.overview(paths.data_dir())


def draw_launch(sweep: Sweep, measures: Sequence[str]) -> None:
    """Trials, how many are answered already, time and disk; then the button."""
    try:
        asked = trials.make_trials(sweep)
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return
    store = stored.store()
    missing = store.missing(asked, measures, anytime=sweep.tolerance is not None)
    reused = len({trial.id for trial in asked} - set(missing))
    draw_cost(asked, missing, reused, anytime=sweep.tolerance is not None)
    if sweep.tolerance is not None:
        markup.soft(f"At most: trials that are left out early take less. {describe_resolution(sweep)}")
    with st.expander(f"The {len(asked):,} trials"):
        for trial in asked[:100]:
            markup.soft(trial.recipe.describe() + (" · answered already" if trial.id not in missing else ""))
        if len(asked) > 100:
            markup.soft(f"and {len(asked) - 100:,} more")
    label = f"Launch {len(missing):,} trials" if len(missing) != 1 else "Launch 1 trial"
    name = label if missing else "Show the results"
    if st.button(name, type="primary", key="sweep:launch", width="stretch", disabled=store.read_only):
        launch(asked, measures, sweep)


def describe_resolution(sweep: Sweep) -> str:
    """How fine a difference its questions settle, so that nobody waits for what they can't."""
    sizes = {task.name: task.items for task in known_tasks(str(paths.data_dir() or "")) if task.items}
    limit = sweep.protocol.limit
    items = {name: min(limit, sizes.get(name, limit)) for name in sweep.protocol.tasks}
    points = 100 * resolution(items, len(sweep.recipes))
    return (
        f"All {sum(items.values()):,} questions together settle differences from about {points:.1f} points on between "
        f"{len(sweep.recipes)} results; where far fewer points matter, most of them are asked."
    )


def draw_cost(asked: Sequence[Trial], missing: Mapping[str, Sequence[str]], reused: int, *, anytime: bool) -> None:
    cost = estimates.estimate(asked, missing, stored.timed_rows(), anytime=anytime)
    answered = f"{reused:,} more are answered already" if reused else "none is answered yet"
    working, kept = (quantities.byte_count(size) for size in (cost.working_bytes, cost.kept_bytes))
    time = cost.time.removeprefix("about ").capitalize() if missing else "None"
    disk = Figure("Disk", working, f"while it runs; {kept} stay") if missing else Figure("Disk", "None")
    markup.figures([Figure("Trials to run", f"{len(missing):,}", answered), Figure("Time", time, cost.basis), disk])


def launch(asked: Sequence[Trial], measures: Sequence[str], sweep: Sweep) -> None:
    store = stored.store()
    try:
        submitted = store.submit(asked, measures, sweep.name or "Sweep", tolerance=sweep.tolerance)
        if submitted.queued:
            worker.ensure_running(paths.store_url())
    except (StoreError, OSError) as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return
    st.switch_page("pages/runs.py", query_params={"sweep": str(submitted.sweep_id)})


frame.guard()
main()
