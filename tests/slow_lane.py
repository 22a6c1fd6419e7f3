"""A lane whose models take TOKEN_S for each token, so that tests can come in between: run with a store's URL."""

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from engine.running import greedy, lane

TOKEN_S = 0.05
_write = greedy.write


def slowly(*args: Any) -> Iterator[greedy.Token]:
    for token in _write(*args):
        time.sleep(TOKEN_S)
        yield token


if __name__ == "__main__":
    greedy.write = slowly
    lane.serve(sys.argv[1], print, threading.Event())
