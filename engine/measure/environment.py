"""What a result was measured on: the machine, the versions, the commit, the date. Importable without torch."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from engine import __version__
from engine.paths import ROOT

PACKAGES = ("torch", "transformers")
CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = (
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"),  # x86
    *("asimd", "sve", "i8mm", "bf16"),  # ARM
)


def describe(now: datetime | None = None) -> dict[str, str | int | None]:
    """The provenance that is kept with every result.

    Keys: cpu, instructions (of those that decide how fast it multiplies matrices), cores (physical), cpu_threads (that
    this process may use), memory_bytes, system, machine, python, torch, transformers, kneepoint, commit (None outside a
    checkout, with "+" when files differ from it), date (UTC, ISO 8601, to the second; of `now`, or of the call).
    Neither host nor user name: recorded results are published.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    return {
        "cpu": cpu_name(),
        "instructions": cpu_instructions(),
        "cores": psutil.cpu_count(logical=False),
        "cpu_threads": cpu_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "kneepoint": __version__,
        "commit": commit(),
        "date": moment.isoformat(),
    }


def cpu_threads(asked: int = 0) -> int:
    """As many CPU threads as asked for; 0 means all this process may use, by its affinity mask where there is one."""
    if asked:
        return asked
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cpu_name(cpuinfo: Path = CPUINFO) -> str:
    """The processor as its maker calls it; the architecture where the system does not tell."""
    if name := _told(cpuinfo, "model name"):
        return name
    if platform.system() == "Darwin":
        return _output(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.machine()
    return platform.processor() or platform.machine() or "unknown"


def cpu_instructions(cpuinfo: Path = CPUINFO) -> str:
    """Those of INSTRUCTIONS that the processor has, with spaces between; empty where the system does not tell.

    Rented machines call processors of several generations by one name.
    """
    able = f"{_told(cpuinfo, 'flags')} {_told(cpuinfo, 'features')}".split()
    return " ".join(name for name in INSTRUCTIONS if name in able)


def _told(cpuinfo: Path, wanted: str) -> str:
    """What the system says first under a key, in lower case, of its processors; empty where it says nothing."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip().lower() == wanted and value.strip()), "")


def commit(checkout: Path = ROOT) -> str | None:
    """The git commit of the checkout this engine runs from, with "+" when tracked files differ; None without one."""
    if not (checkout / ".git").exists():
        return None
    head = _output(["git", "-C", str(checkout), "rev-parse", "--verify", "HEAD"])
    if not head:
        return None
    changed = _output(["git", "-C", str(checkout), "status", "--porcelain", "--untracked-files=no"])
    return head + ("+" if changed else "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _output(command: list[str]) -> str:
    """What a command prints, stripped; empty when it is not there, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
