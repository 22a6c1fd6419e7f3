"""The peak of a process's resident memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.measure.peak import peak_bytes

ROOT = Path(__file__).parents[2]
MB = 10**6


def printed(code: str) -> list[int]:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return [int(line) for line in run.stdout.split()]


def test_it_is_what_the_kernel_calls_high_water_mark(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  900000 kB\nVmHWM:\t  123456 kB\nVmRSS:\t  100 kB\n")
    assert peak_bytes(status) == 123456 * 1024


def test_without_that_it_comes_from_getrusage(tmp_path: Path) -> None:
    assert peak_bytes(tmp_path / "absent") >= 0.9 * peak_bytes()


def test_it_stays_after_memory_was_given_back() -> None:
    code = """
from engine.measure.peak import peak_bytes
print(peak_bytes())
block = bytearray(b"x") * 200_000_000
print(peak_bytes())
del block
print(peak_bytes())
"""
    before, during, after = printed(code)
    assert during - before == pytest.approx(200 * MB, rel=0.1)
    assert after == pytest.approx(during, rel=0.01)  # the kernel counts in batches


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is getrusage's")
def test_a_child_of_a_large_process_starts_small() -> None:
    """ru_maxrss would report the parent's 300 MB: it survives exec."""
    code = f"""
import subprocess, sys
block = bytearray(b"x") * 300_000_000
child = "from engine.measure.peak import peak_bytes; print(peak_bytes())"
subprocess.run([sys.executable, "-c", child], check=True, cwd={str(ROOT)!r})
"""
    (child,) = printed(code)
    assert child < 100 * MB
