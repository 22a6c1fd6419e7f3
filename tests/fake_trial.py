"""Trials without a model: made up here, and run by this file in place of `engine.trial`.

What the fake child does is chosen by the recipe's bits: 8 works at once, 7 takes SLOW_S, 6 raises, 5 is killed as by
the kernel when memory runs out, 4 ignores SIGTERM, 3 prints what is no event, 2 measures what is not finite.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import worker
from engine.outcome import layer_errors, sensitivity
from engine.outcome.layer_errors import LayerErrors
from engine.running.nursery import Nursery
from engine.spec import Protocol, Trial, parse
from engine.system import entry, service
from engine.system.child import leave
from engine.system.events import Events
from tests import made_sensitivity

MODULE = "tests.fake_trial"
COMMAND = (sys.executable, "-m", MODULE)
WORKER = (*COMMAND, "worker")
SLOW_S = 200.0  # longer than any test waits
STEPS = 4_000
_WAITING = f"import time; from engine.system.child import exit_with_parent; exit_with_parent(); time.sleep({SLOW_S})"
WORKS, SLOW, RAISES, KILLED, STUBBORN, CHATTY, INFINITE = range(8, 1, -1)


def made(bits: int | None = None, group_size: int = 64, weights: str = "0" * 64) -> Trial:
    """A trial of a model that does not exist; dense unless bits are given."""
    recipe = parse("dense" if bits is None else f"quantize:rtn,bits={bits},group_size={group_size}")
    return Trial("tiny", None, weights, recipe, Protocol(tasks=("piqa",)), (("piqa", "1" * 64), ("text", "2" * 64)))


def written(bits: int) -> list[dict[str, object]]:
    """Six made-up texts of two tokens; the second token of all but the first is the bits."""
    made_up = [(f"Prompt {n}", 8 if n == 0 else bits) for n in range(6)]
    return [{"prompt": prompt, "text": f" is {last}", "tokens": [1, last], "ends": [3, 5]} for prompt, last in made_up]


def errors(bits: int) -> LayerErrors:
    """The profile that such a trial tells: of one block."""
    return LayerErrors(tokens=1, blocks=(1.0 / bits,), removed=(), turned=False, linears=())


def run_trial(events: Events, work_dir: Path, bits: int) -> int:
    """Behave as the bits say, telling this process's id and that of a child of its own; the exit status."""
    events.environment({"cpu": "none"})
    events.stage("load", total=2)
    if bits in (SLOW, STUBBORN):
        if bits == STUBBORN:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", _WAITING])
        events.note(f"pids {os.getpid()} {child.pid} in {work_dir}")
        for step in range(STEPS):
            events.progress(step, STEPS)
            time.sleep(SLOW_S / STEPS)
    if bits == RAISES:
        print("about to raise", file=sys.stderr)
        events.failed("bits were wrong", "Traceback: here")
        return 1
    if bits == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if bits == CHATTY:
        print("a library says hello")
    infinite = {"perplexity": float("inf")} if bits == INFINITE else {}
    events.metrics({"weight_bytes": 100.0 * bits, **infinite})
    answer = {"id": 0, "loglikelihoods": [-1.0, -2.0], "choice": 0, "choice_norm": 0, "correct": True}
    events.items("piqa", [answer])
    events.metrics({"accuracy": 1.0, "accuracy_chance": 0.5})
    events.texts(written(bits))
    events.profile(layer_errors.NAME, errors(bits).to_dict())
    events.simulated(False)
    events.done()
    return 0


def work(content: Mapping[str, Any], events: Events) -> None:
    """Do what the bits of the job's trial say, and leave."""
    if content["measures"] == [sensitivity.NAME]:
        events.profile(sensitivity.NAME, made_sensitivity.made().to_dict())
        events.done()
        leave(0)
    steps = Trial.from_dict(content["trial"]).recipe.steps
    leave(run_trial(events, Path(content["work_dir"]), steps[0].bits if steps else WORKS))  # type: ignore[attr-defined]


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        stop = threading.Event()
        with service.stopping(stop):
            worker.work(sys.argv[2], lambda text: print(text, flush=True), stop, Nursery(MODULE))
        return
    entry.main(work)


if __name__ == "__main__":
    main()
