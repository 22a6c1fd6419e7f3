"""What a machine can do at most, on a page: which limits are known, measuring this machine, and its limits in words."""

from collections.abc import Callable

import streamlit as st

from engine import machine
from engine.errors import InputError
from engine.machine import Limits
from engine.measure.machine_load import disturbed
from engine.outcome.row import Row
from pages.shared import markup
from pages.shared.stored import Origin


def known(origin: Origin) -> dict[str, Limits]:
    """The limits of the machine that recorded the shipped results, and of this one, where they are known."""
    sources = {"here": machine.kept} if origin == "mine" else {"recorded": machine.recorded, "here": machine.kept}
    found = {name: _read(find) for name, find in sources.items()}
    return {name: limits for name, limits in found.items() if limits is not None}


def of(row: Row) -> Limits | None:
    """The limits that are kept beside a result: the recorded ones, or those of this machine; None where there are none.

    Whether they are those of the machine that timed it, `Limits.fits` says.
    """
    return _read(machine.recorded if row.recorded else machine.kept)


def measure(key: str, again: bool) -> bool:
    """The button that measures this machine; whether it was, just now. What went wrong is said."""
    label = "Measure this machine again" if again else "Measure this machine"
    if not st.button(label, key=key, icon=":material/speed:", help="Takes about six seconds."):
        return False
    try:
        with st.spinner("Reading memory and multiplying matrices, about six seconds."):
            machine.measure_here()
    except InputError as error:
        st.error(markup.plain(str(error)), icon=":material/error:")
        return False
    return True


def about(limits: Limits) -> str:
    """ "AMD EPYC, 2 threads: reads 32.0 GB/s, multiplies fp32 140 GFLOP/s, bf16 35 GFLOP/s (measured 2026-11-21)." """
    short = {"float32": "fp32", "bfloat16": "bf16"}
    speeds = [f"{short.get(name, name)} {value / 1e9:,.0f} GFLOP/s" for name, value in limits.flop_per_s.items()]
    threads = f"{limits.threads} thread{'s' if limits.threads != 1 else ''}"
    busy = " Other work ran meanwhile, so it can do more." if disturbed(limits.other_cores) else ""
    reads = f"reads {limits.read_bytes_per_s / 1e9:.1f} GB/s"
    return f"{limits.cpu}, {threads}: {reads}, multiplies {', '.join(speeds)} (measured {limits.date[:10]}).{busy}"


def _read(find: Callable[[], Limits | None]) -> Limits | None:
    """Limits, or None where there are none or their file is broken, which is said."""
    try:
        return find()
    except InputError as error:
        st.warning(markup.plain(str(error)), icon=":material/warning:")
        return None
