"""The lane: a process of its own beside the sweep's worker, for what a page asks for now, texts and checkpoints.

Texts go before checkpoints. It waits for no trial, and stands still while a timing has the machine. One lane serves a
store: it holds a lock of its own for life, so it is enough to start one and let it find out. What kills it costs no
text that was written, and a checkpoint only the work so far: the next one goes on. It ends by itself after IDLE_S
without work, and its memory with it.

    python -m engine.running.lane URL
"""

import sys
import threading
import time
from collections.abc import Callable

from engine.errors import InputError
from engine.paths import cache_dir
from engine.running.exporter import Exporter
from engine.store import Exports, Generations, Store, StoreError
from engine.store.lock import LockHeldError, hold, holder
from engine.system.child import start_detached
from engine.system.service import print_with_time, stopping

IDLE_S = 300.0
LOOK_S = 0.3  # between looks for a prompt
BROKEN_S = 5.0  # between tries where the store can't be used


def ensure_running(url: str) -> bool:
    """Start a lane for the store, detached from this process, unless one serves it; True where one was started.

    Its output goes to lane.log in the cache folder; its environment is this process's.
    """
    if holder(url, "lane") is not None:
        return False
    start_detached([sys.executable, "-m", "engine.running.lane", url], cache_dir() / "lane.log")
    return True


def serve(url: str, say: Callable[[str], None], stop: threading.Event, idle_s: float = IDLE_S) -> None:
    """Do what the store's pages ask for until `stop` is set or nothing came for `idle_s`; `say` gets a line for each.

    Raises InputError where another lane serves the store, and StoreError where it can't be opened.
    """
    store = Store(url)
    with hold(url, "lane"):
        from engine.running.writer import Writer  # brings torch, which takes seconds; the lock is held by then

        writer, exporter = Writer(Generations(store), stop, say), Exporter(Exports(store), stop, say)
        worked_at = time.monotonic()
        while not stop.is_set() and time.monotonic() - worked_at < idle_s:
            try:
                worked = writer.run_next() or exporter.run_next()
            except StoreError as error:
                say(str(error))
                stop.wait(BROKEN_S)
                continue
            if worked:
                worked_at = time.monotonic()
            else:
                stop.wait(LOOK_S)
    store.close()


def main() -> int:
    stop = threading.Event()
    with stopping(stop):
        try:
            serve(sys.argv[1], print_with_time, stop)
        except LockHeldError:
            return 0  # another was quicker
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
