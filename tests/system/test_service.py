import errno
import os
import signal
import threading

import pytest

from engine.system import service


def test_a_log_that_can_not_be_written_stops_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("builtins.print", full)
    service.print_with_time("measuring")


@pytest.mark.parametrize(("before", "heard"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_a_closed_terminal_stops_what_does_not_ignore_that(before: signal.Handlers, heard: bool) -> None:
    stop, kept = threading.Event(), signal.signal(signal.SIGHUP, before)
    try:
        with service.stopping(stop):
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.is_set() == heard
        assert signal.getsignal(signal.SIGHUP) == before
    finally:
        signal.signal(signal.SIGHUP, kept)
