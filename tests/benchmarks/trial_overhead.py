"""What a trial costs beyond compressing and measuring: starting the process, importing, loading, writing, ending.

    python -m tests.benchmarks.trial_overhead [MODEL] [--recipe RECIPE] [--repeat N]

Runs whole trials as a worker does, in child processes, and prints where each second went; then as many whole commands
`python -m engine run`, each with a store of its own, whose first and only trial waits for the imports of torch and
transformers: what a command takes beyond the work of the trials before. The limit is 6 s for the default model on an
idle machine with two cores; the exit status is 1 where the median of either is over it. The first trial of the worker
is not in its median: nothing overlaps its imports here. Needs the default model and data (`python -m engine fetch`).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from statistics import median

from engine.measure import machine_load
from engine.running.nursery import Nursery
from engine.spec import DEFAULT_MODEL, Protocol, parse
from engine.system.child import Event, run_in_child
from engine.trials import make_trial

LIMIT_S = 6.0
WORK = (
    "dense reference",
    "dense continuations",
    "greedy continuations",
    "compress",
    "size",
    "layers",
    "perplexity",
    "kernel agreement",
    "accuracy",
    "memory",
    "latency",
)
START = "start and import"
END = "end"


@dataclass
class Clock:
    """Seconds spent in each stage, told by the events of a child."""

    seconds: dict[str, float] = field(default_factory=dict)
    stage: str = START
    since: float = field(default_factory=time.perf_counter)

    def on_event(self, event: Event) -> None:
        if event["event"] == "environment" and self.stage == START:
            self.enter("describe")
        elif event["event"] == "stage":
            self.enter(str(event["stage"]))
        elif event["event"] == "done":
            self.enter(END)

    def enter(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self.since
        self.stage, self.since = stage, now

    @property
    def overhead(self) -> float:
        """Seconds that are neither compression nor measurement."""
        return sum(seconds for stage, seconds in self.seconds.items() if stage.split(":")[0] not in WORK)


def run_once(model: str, recipe: str, nursery: Nursery) -> Clock:
    """The clock of one trial that measures sizes only; raises RuntimeError where the trial fails."""
    trial = make_trial(model, parse(recipe), Protocol())
    with tempfile.TemporaryDirectory() as work_dir:
        clock = Clock()
        job = {"trial": trial.to_dict(), "measures": ["size"], "work_dir": work_dir}
        outcome = run_in_child(job, clock.on_event, lambda: False, nursery.start)
        clock.enter("")
    if outcome.state != "done":
        raise RuntimeError(outcome.reason)
    return clock


def run_command(model: str, recipe: str) -> float:
    """Seconds that `python -m engine run` takes for that trial, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ("--model", model, "--only", "size", "--store", f"sqlite:///{folder}/store.db")
        command = (sys.executable, "-m", "engine", "run", recipe, *asked)
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--recipe", default="quantize:rtn,bits=8,group_size=64")
    parser.add_argument("--repeat", type=int, default=4)
    asked = parser.parse_args()
    if asked.repeat < 2:
        parser.error("--repeat must be at least 2: the first trial of a worker waits for the imports, the others don't")
    clocks = []
    with Nursery() as nursery:
        for number in range(1, asked.repeat + 1):
            before = machine_load.read()
            clocks.append(clock := run_once(asked.model, asked.recipe, nursery))
            after = machine_load.read()
            busy = (after.machine - before.machine) / (after.wall - before.wall)
            stages = "  ".join(f"{stage} {seconds:.2f}" for stage, seconds in clock.seconds.items())
            print(f"trial {number}: overhead {clock.overhead:.2f} s  ({stages}; {busy:.1f} cores busy)")
    work = median(sum(clock.seconds.values()) - clock.overhead for clock in clocks)
    commands = [run_command(asked.model, asked.recipe) - work for _ in range(asked.repeat)]
    print("whole commands: overhead " + ", ".join(f"{seconds:.2f}" for seconds in commands) + " s")
    later, command = median(clock.overhead for clock in clocks[1:]), median(commands)
    print(f"a worker's first trial {clocks[0].overhead:.2f} s, median of those after it {later:.2f} s;", end=" ")
    print(f"median of a command {command:.2f} s; limit {LIMIT_S:.0f} s")
    return 0 if max(later, command) < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
