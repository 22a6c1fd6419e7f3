"""Wheels from the package index that pip is set up with, pinned by sha256.

pip does the download (it knows the user's index, proxy and certificates, and resumes broken transfers); here it is
watched for its progress, tried again when it fails, and what it brings is verified before it gets its name.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError
from engine.outcome.row import Progress
from engine.packages import complete

Report = Callable[[Progress], None]
TRIES = 3
_POLL_SECONDS = 0.25
_FULL_DISK = re.compile(r"No space left|Errno 28|StorageFull|code: 28\b|Disk quota exceeded")


@dataclass(frozen=True)
class Wheel:
    """A file of the package index: its project and version, its bytes, and the sha256 that it must have."""

    project: str
    version: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.project.replace('-', '_')}-{self.version}-py3-none-any.whl"


def fetch(wheel: Wheel, folder: Path, report: Report, pause_seconds: float = 2.0) -> Path:
    """The verified wheel in `folder`, downloaded unless it lies there already.

    Tries TRIES times with pauses between; raises InputError in one sentence when the last one fails, at once when the
    disk is full. A file that fails its sha256 is removed and counts as a failure.
    """
    path = folder / wheel.filename
    if path.is_file() and sha256(path) == wheel.sha256:
        return path
    why = ""
    for attempt in range(1, TRIES + 1):
        stage = f"downloading {wheel.project}" + (f" (try {attempt} of {TRIES})" if attempt > 1 else "")
        why = _attempt(wheel, path, lambda done, stage=stage: report(Progress(stage, done, wheel.size)))  # type: ignore[misc]
        if not why:
            return path
        if disk_full(why):
            raise InputError(f"the disk of {folder} is full; nothing was kept of {wheel.project}")
        if attempt < TRIES:
            report(Progress(f"download of {wheel.project} failed, trying again: {why}", 0, wheel.size))
            time.sleep(pause_seconds * attempt)
    raise InputError(f"could not download {wheel.project}=={wheel.version} in {TRIES} tries: {why}")


def disk_full(words: str) -> bool:
    """Whether an error's words say that there is no space left."""
    return bool(_FULL_DISK.search(words))


def sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _attempt(wheel: Wheel, path: Path, progress: Callable[[int], None]) -> str:
    """One download into `path`; the reason why it failed, or "" for success."""
    scratch = complete.scratch(path)
    try:
        why = _run_pip(wheel, scratch, progress)
        if why:
            return why
        brought = scratch / wheel.filename
        if not brought.is_file():
            return f"pip brought {', '.join(p.name for p in scratch.glob('*.whl')) or 'nothing'}"
        if (found := sha256(brought)) != wheel.sha256:
            return f"the file's sha256 is {found}, not {wheel.sha256}"
        brought.replace(path)
        progress(wheel.size)
        return ""
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_pip(wheel: Wheel, scratch: Path, progress: Callable[[int], None]) -> str:
    """Run pip, telling the bytes it has written to `scratch`; why it failed, or ""."""
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--progress-bar=off"]
    arguments += ["--disable-pip-version-check", "--dest", str(scratch), f"{wheel.project}=={wheel.version}"]
    log = scratch / "pip.log"
    environment = {**os.environ, "TMPDIR": str(scratch)}  # where pip keeps the growing file
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pip", *arguments], stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while process.poll() is None:
                progress(min(_bytes_in(scratch), wheel.size))
                time.sleep(_POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return "" if process.returncode == 0 else _last_words(log.read_text(encoding="utf-8", errors="replace"))


def _bytes_in(folder: Path) -> int:
    """Bytes of the files below a folder whose files come and go."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_size
            except OSError:
                continue
    return total


def _last_words(log: str) -> str:
    """pip's reason in a line, without the addresses it tried."""
    if disk_full(log):
        return "No space left on the disk"
    if "No module named pip" in log:
        return "this Python has no pip; install it or make a virtual environment with it"
    if re.search(r"NewConnectionError|NameResolution|ConnectTimeout|Network is unreachable|ConnectionError", log):
        return "the package index can't be reached; check the network"
    errors = [line for line in log.splitlines() if line.startswith("ERROR")] or log.splitlines()[-1:]
    words = re.sub(r"https?://\S+", "the index", errors[-1].removeprefix("ERROR:").strip()) if errors else ""
    return words[:300] or "pip ended without a reason"
