"""How fast this machine reads memory and multiplies matrices, measured in a few seconds.

    python -m engine.measure.machine_limits [FILE]     measure here and write FILE, or the cache's file

Memory: the best of two ways of reading a tensor that no cache holds. Matrices: a linear layer on many tokens, as a
prompt gives it, in fp32 and in bf16. The best run counts, because other work only ever slows a run. `engine.machine`
runs this in a process of its own.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional

from engine import machine
from engine.machine import Limits
from engine.measure import environment, machine_load
from engine.measure.timing_lock import timing_lock
from engine.system.child import exit_with_parent, leave
from engine.system.events import Events

BUFFER_BYTES = 256 * 2**20  # several times the largest caches of desktop processors
SIDE, TOKENS = 2048, 512  # of the linear layer's square matrix, and what it is multiplied with
SECONDS = 1.2  # for each of the four runs


def measure(threads: int, buffer_bytes: int = BUFFER_BYTES, side: int = SIDE, seconds: float = SECONDS) -> Limits:
    """The limits of this machine's processor with so many threads; takes about four times `seconds`."""
    torch.set_num_threads(threads)
    start = machine_load.read()
    with torch.inference_mode():
        read = max(best_rate(run, buffer_bytes, seconds) for run in _readers(buffer_bytes))
        flop = {
            str(dtype).removeprefix("torch."): best_rate(_product(side, dtype), 2 * TOKENS * side**2, seconds)
            for dtype in (torch.float32, torch.bfloat16)
        }
    others = machine_load.other_cores(start, machine_load.read())
    facts = environment.describe()
    return Limits(
        cpu=str(facts["cpu"]),
        threads=threads,
        read_bytes_per_s=read,
        flop_per_s=flop,
        other_cores=round(others, 3),
        date=str(facts["date"]),
        torch=str(facts["torch"]),
        instructions=str(facts["instructions"]),
    )


def best_rate(
    run: Callable[[], object], amount: float, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """`amount` over the time of the quickest run, of as many as fit into `seconds`; the first one warms up.

    Where that one alone takes so long, it is what counts.
    """
    began = clock()
    times: list[float] = []
    while not times or clock() - began < seconds:
        start = clock()
        run()
        times.append(clock() - start)
    return amount / min(times[1:] or times)


def main(path: Path) -> None:
    """Measure with all threads once no other timing runs, and write the file; events go to standard output."""
    events = Events.on_stdout()
    exit_with_parent()
    with timing_lock(lambda: events.stage("wait")):
        events.stage("measure")
        machine.write(measure(environment.cpu_threads()), path)
    events.done()


def _readers(buffer_bytes: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Ways to read a buffer once: a sum, and a linear layer on one token in bf16, as decoding has it."""
    numbers = torch.ones(buffer_bytes // 4)
    matrix = numbers.view(torch.bfloat16).view(-1, SIDE)  # the same memory: [rows, SIDE]
    return numbers.sum, partial(functional.linear, torch.ones(1, SIDE, dtype=torch.bfloat16), matrix)


def _product(side: int, dtype: torch.dtype) -> Callable[[], object]:
    return partial(functional.linear, torch.ones(TOKENS, side, dtype=dtype), torch.ones(side, side, dtype=dtype))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else machine.kept_path())
    leave(0)
