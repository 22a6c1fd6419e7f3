"""The peak of this process's resident memory. Importable without torch."""

import resource
import sys
from pathlib import Path


def peak_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Peak resident bytes of this process so far; on Linux since its last exec.

    On Linux this is VmHWM and not ru_maxrss, which outlives exec: the child of a large process starts out with its
    parent's.
    """
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
