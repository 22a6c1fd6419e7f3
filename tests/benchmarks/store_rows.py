"""How long a page waits for its rows: a store of many finished trials with some sixty metrics each.

python -m tests.benchmarks.store_rows [TRIALS]        the default is 5,000; the bar is 0.3 s
"""

import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from engine.spec import Protocol, Trial, parse
from engine.store import Store, schema

METRICS = 60
REPEATS = 7
DATA = (("piqa", "1" * 64), ("text", "2" * 64))


def main(count: int = 5000) -> None:
    """Fill a store with `count` trials and print the time that submitting and reading them takes."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/store.db")
        recipes = [
            parse(f"quantize:rtn,bits={bits},group_size={8 * group}")
            for group, bits in itertools.islice(itertools.product(range(1, 513), range(2, 9)), count)
        ]
        made = [Trial("tiny", None, f"{i // 3584:064d}", recipe, Protocol(), DATA) for i, recipe in enumerate(recipes)]
        made += [
            Trial("tiny", None, f"{1 + i:064d}", recipes[i % len(recipes)], Protocol(), DATA)
            for i in range(count - len(made))
        ]
        began = time.perf_counter()
        store.submit(made, ["size"], "benchmark")
        print(f"submit {count:,} trials: {time.perf_counter() - began:.2f} s")
        _fill(store)
        size = Path(folder, "store.db").stat().st_size + Path(folder, "store.db-wal").stat().st_size
        print(f"store: {size / 1e6:.1f} MB with {METRICS} metrics a trial")
        for name, read in (
            ("first rows()", Store(store.url).rows),
            ("rows()", store.rows),
            ("revision()", store.revision),
            ("progress()", store.progress),
        ):
            times = [_timed(read) for _ in range(REPEATS)]
            print(f"{name}: median {1e3 * statistics.median(times):.1f} ms, worst {1e3 * max(times):.1f} ms")
        store.close()


def _timed(read) -> float:  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    read()
    return time.perf_counter() - began


def _fill(store: Store) -> None:
    metrics = json.dumps({f"metric_number_{n}": 1.0 / (n + 1) for n in range(METRICS)})
    environment = json.dumps({"cpu": "Some Processor with a Long Name", "threads": 8, "torch": "2.13.0"})
    with store.database.write() as connection:
        values = {"state": "done", "metrics": metrics, "environment": environment, "measured": "size"}
        connection.execute(schema.trials.update().values(**values))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
