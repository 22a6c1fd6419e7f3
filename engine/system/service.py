"""What processes that serve until they are stopped share: lines of a log, and the signals that ask them to end."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


def print_with_time(text: str) -> None:
    """Print a line of a log; where that can't be, as on a full disk, the work goes on without it."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Within this, what would end this process sets `stop` instead; a second SIGINT interrupts.

    That is SIGTERM, SIGINT, and, unless it is ignored, as under nohup, SIGHUP: the terminal was closed.
    """

    def ask(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    heard = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
