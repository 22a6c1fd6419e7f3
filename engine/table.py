"""Results as a table: the keyboard's way to what the front shows, and the CSV file."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from engine.front import find_front, flattered
from engine.metrics import metric
from engine.row import Row

TRIAL = "Trial"  # the column that identifies a row


class _Column(NamedTuple):
    metric: str
    header: str


_COLUMNS = (
    _Column("weight_bytes", "Weights (MB)"),
    _Column("compression_ratio", "Smaller than bf16 (x)"),
    _Column("bits_per_weight", "Bits per original weight"),
    _Column("accuracy", "Accuracy (%)"),
    _Column("accuracy_low", "Accuracy, 95% from (%)"),
    _Column("accuracy_high", "Accuracy, 95% to (%)"),
    _Column("accuracy_norm", "Accuracy, length-normalised (%)"),
    _Column("accuracy_chance", "Guessing (%)"),
    _Column("accuracy_change", "Change in accuracy (points)"),
    _Column("accuracy_change_low", "Change, 95% from (points)"),
    _Column("accuracy_change_high", "Change, 95% to (points)"),
    _Column("accuracy_retention", "Accuracy kept (%)"),
    _Column("retention_above_chance", "Kept above guessing (%)"),
    _Column("flips", "Answers that changed (%)"),
    _Column("questions", "Questions"),
    _Column("perplexity", "Perplexity"),
    _Column("top1_agreement", "Same next word (%)"),
    _Column("kl_to_dense", "KL to the original (nats/token)"),
    _Column("prefill_ms", "Time to read the prompt (ms)"),
    _Column("prefill_speedup", "Prompt speed-up (x)"),
    _Column("decode_ms_per_token", "Time per word (ms)"),
    _Column("decode_speedup", "Decoding speed-up (x)"),
    _Column("peak_memory_bytes", "Peak memory (MB)"),
    _Column("resident_weight_bytes", "Weights in memory (MB)"),
    _Column("parameters", "Parameters (M)"),
    _Column("nonzero_parameters", "Non-zero parameters (M)"),
)
_UNITS = {"MB": 1e-6, "M": 1e-6, "%": 100.0, "points": 100.0}


def table_frame(
    rows: Sequence[Row], x: str = "weight_bytes", y: str = "accuracy", comparison: str | None = None
) -> pd.DataFrame:
    """One line a row in its order, with units in the headers and metrics that no row has left out.

    Values are numbers in the header's unit, missing where not measured. The front is that of `x` and `y`.
    """
    found = find_front(rows, x, y, comparison)
    best, knee = found.best_ids, found.knee.row.trial_id if found.knee else None
    frame: dict[str, list[object]] = {
        "Method": [row.label for row in rows],
        "Family": [row.family for row in rows],
        "State": [row.state for row in rows],
        "Front": ["knee" if row.trial_id == knee else "yes" if row.trial_id in best else "" for row in rows],
        "Simulated": ["yes" if row.simulated else "" for row in rows],
        "†": ["†" if flattered(row) else "" for row in rows],
    }
    for name, header in _COLUMNS:
        scale = _UNITS.get(metric(name).unit, 1.0)
        values = [None if (v := row.value(name)) is None else v * scale for row in rows]
        if any(value is not None for value in values):
            frame[header] = list(pd.Series(values, dtype="float64"))
    frame |= {
        "Source": ["recorded" if row.recorded else "measured here" for row in rows],
        "Failure": [row.reason if row.state == "failed" else "" for row in rows],
        "Model": [row.model for row in rows],
        "Recipe": [row.recipe for row in rows],
        TRIAL: [row.trial_id for row in rows],
    }
    return pd.DataFrame(frame)


def csv_text(frame: pd.DataFrame) -> str:
    """The table as CSV; text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = [f"'{v}" if isinstance(v, str) and v[:1] in _FORMULA else v for v in safe[name]]
    return safe.to_csv(index=False)


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
