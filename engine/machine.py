"""What a machine can do at most: how fast it reads memory, and how fast it multiplies matrices. Torch-free.

`engine.measure.machine_limits` measures it and keeps it in the cache; the limits of the machine that the recorded
results come from ship beside them. This reads both.
"""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.outcome.row import Row
from engine.paths import cache_dir
from engine.system.child import run_in_child
from engine.system.whole_files import replace_text

RECORDED = Path(__file__).parent / "recorded" / "machine" / "limits.json"
COMMAND = (sys.executable, "-m", "engine.measure.machine_limits")
PATIENCE_S = 30.0  # after which a measurement that waits for another timing is given up


@dataclass(frozen=True)
class Limits:
    """Measured limits of one machine.

    read_bytes_per_s: of memory that no cache holds; flop_per_s: number format ("float32", "bfloat16") ->
    operations a second in a large matrix product, a multiplication and an addition counting as two; other_cores: how
    many cores other work kept busy meanwhile.
    """

    cpu: str
    threads: int
    read_bytes_per_s: float
    flop_per_s: Mapping[str, float]
    other_cores: float
    date: str  # UTC, ISO 8601
    torch: str
    instructions: str = ""  # that the processor has, see `environment.cpu_instructions`; empty where it was not noted

    @property
    def most_flop_per_s(self) -> float:
        """Of the number format that multiplies fastest here."""
        return max(self.flop_per_s.values())

    def fits(self, row: Row) -> bool:
        """Whether a result was timed on a processor of this kind with as many threads, so that both may be compared."""
        environment = row.environment
        if row.protocol.get("device", "cpu") != "cpu":
            return False
        threads = environment.get("threads") or row.protocol.get("threads") or environment.get("cpu_threads")
        able = environment.get("instructions") or self.instructions
        alike = able == self.instructions or not self.instructions
        return environment.get("cpu") == self.cpu and threads == self.threads and alike


def kept_path() -> Path:
    """Where this machine's limits are kept once measured."""
    return cache_dir() / "machine_limits.json"


def kept() -> Limits | None:
    """This machine's limits, or None while they have not been measured."""
    return read(kept_path()) if kept_path().exists() else None


def recorded() -> Limits | None:
    """The limits that ship with the recorded results, or None where there are none."""
    return read(RECORDED) if RECORDED.exists() else None


def measure_here(command: Sequence[str] = COMMAND, patience_s: float = PATIENCE_S) -> Limits:
    """Measure this machine in a process of its own, some seconds long, and keep the result.

    Raises InputError where that fails, or where another timing holds the machine for longer than `patience_s`.
    """
    stages: list[str] = []
    until = time.monotonic() + patience_s
    outcome = run_in_child(
        {},
        lambda event: stages.append(str(event.get("stage"))) if event["event"] == "stage" else None,
        lambda: stages[-1:] == ["wait"] and time.monotonic() > until,
        command,
    )
    if outcome.state == "cancelled":
        raise InputError(
            "this machine could not be measured: another timing runs on it; try again when the sweep has ended"
        )
    if outcome.state == "failed":
        raise InputError(f"this machine could not be measured: {outcome.reason}")
    return read(kept_path())


def read(path: Path) -> Limits:
    """The limits that a file holds; raises InputError, naming it, for a file that `write` didn't write."""
    try:
        return _limits(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} holds no limits of a machine ({error}); delete it and measure again") from None


def write(limits: Limits, path: Path) -> None:
    """Write limits as JSON that `read` reads, whole or not at all."""
    replace_text(path, json.dumps(asdict(limits), indent=1) + "\n")


def _limits(content: Mapping[str, Any]) -> Limits:
    found = Limits(
        cpu=str(content["cpu"]),
        threads=int(content["threads"]),
        read_bytes_per_s=float(content["read_bytes_per_s"]),
        flop_per_s={str(name): float(value) for name, value in content["flop_per_s"].items()},
        other_cores=float(content["other_cores"]),
        date=str(content["date"]),
        torch=str(content["torch"]),
        instructions=str(content.get("instructions", "")),
    )
    speeds = (found.read_bytes_per_s, *found.flop_per_s.values())
    if not found.flop_per_s or not all(math.isfinite(speed) and speed > 0 for speed in speeds):
        raise ValueError("speeds must be finite numbers above 0")
    return found
