"""Where teaching packs lie: one ships with the package, the others are taken from a model when a user asks for them.

A pack is known by the hash of the weights, so that a changed model never shows another's pictures.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import InputError
from engine.network.sources import Source
from engine.outcome.row import Progress
from engine.paths import cache_dir
from engine.system.child import Event, run_in_child
from engine.teaching import pack
from engine.teaching.pack import Pack

FOLDER = Path(__file__).parent
EXTRACT = (sys.executable, "-m", "engine.teaching.extract")
Report = Callable[[Progress], None]


def shipped(name: str) -> Pack | None:
    """The pack that ships for a model's name, None for any model but the default; InputError where it is broken."""
    return pack.read(FOLDER / f"{name}.json") if name and Path(name).name == name else None


def find(source: Source) -> Pack | None:
    """The pack of a model that is on this machine, None while nobody has prepared it; InputError where it is broken."""
    found = shipped(source.name)
    if found is not None and found.weights_sha256 == source.weights_sha256:
        return found
    return pack.read(place(source))


def place(source: Source) -> Path:
    """Where a model's pack lies once it is prepared."""
    return cache_dir() / "teaching" / f"{source.weights_sha256}.json"


def prepare(source: Source, report: Report, command: Sequence[str] = EXTRACT) -> Pack:
    """Take a model's pack from it, in a process of its own, and keep it; a second caller waits for the first one's.

    report: called with the stage and the steps done, a few times a second. Raises InputError in one sentence where the
    model can't be loaded or its family is unknown, and where the process ended without a pack.
    """
    path = place(source)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path, report):
        if (found := pack.read(path)) is not None:
            return found
        job = {"model": source.name, "revision": source.revision, "path": str(path)}
        outcome = run_in_child(job, _told(report), cancelled=lambda: False, start=command)
    if outcome.state != "done":
        raise InputError(outcome.reason)
    made = pack.read(path)
    if made is None:
        raise InputError(f"no pictures of {source.name!r} were written to {path.parent}")
    return made


@contextmanager
def _alone(path: Path, report: Report) -> Iterator[None]:
    """One process at a time takes this pack; another waits, and says so."""
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(Progress("waiting for another page that prepares them"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _told(report: Report) -> Callable[[Event], None]:
    """What turns the child's events into progress."""
    stage = ""

    def tell(event: Event) -> None:
        nonlocal stage
        if event["event"] == "stage":
            stage = str(event["stage"])
            report(Progress(stage, 0, int(event.get("total", 0))))
        elif event["event"] == "progress":
            report(Progress(stage, int(event["done"]), int(event["total"])))

    return tell
