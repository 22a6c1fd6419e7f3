"""`report` and `save`: results for people who were not here, as a page to read and as a file to open."""

import argparse
import math
from collections.abc import Sequence
from datetime import datetime

from engine.analysis.front import comparisons
from engine.analysis.results import analyse
from engine.cli.choosing import opened
from engine.cli.output_file import writable_file, write_text
from engine.errors import InputError
from engine.meeting import report as reports
from engine.meeting.report import Origin
from engine.meeting.terms import Terms
from engine.outcome.row import Row
from engine.recorded import recorded
from engine.store import Store, saved


def report(args: argparse.Namespace) -> int:
    """Write the report of the comparison with most results as one HTML file."""
    target = writable_file(args.file, "FILE.html")
    for name in ("points", "memory", "price"):
        if not 0 <= (value := getattr(args, name)) < math.inf:
            raise InputError(f"--{name} must be a number that is not below 0, got {value}")
    terms = Terms(points=args.points, memory_gb=args.memory, price_per_hour=args.price)
    if args.recorded:
        rows, origin = recorded(), Origin(reports.SHIPPED)
    else:
        store = opened(args.store)
        rows = analyse(store.rows(), store.items)
        origin = Origin(reports.OWN, _weights(store, rows))
    write_text(target, reports.write(rows, args.axes, terms, origin, datetime.now()))
    print(f"The report is in {target}; any browser opens it, without a network.")
    return 0


def save(args: argparse.Namespace) -> int:
    """Write finished trials with their answers to one file that opens elsewhere, read-only."""
    target = writable_file(args.file, "FILE.kneepoint")
    count = saved.save(opened(args.store), target, sweep_id=args.sweep)
    print(f"{count} finished trials are in {target}; Explore and Present open it, also on another machine.")
    return 0


def _weights(store: Store, rows: Sequence[Row]) -> str:
    """The sha256 of the weights that the comparison with most results is of; empty without results."""
    most = next(iter(comparisons(rows)), None)
    one = next((row for row in rows if most and row.comparison_id == most.id), None)
    return store.trial(one.trial_id).weights_sha256 if one else ""
