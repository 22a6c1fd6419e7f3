"""The text whose perplexity is measured: held-out passages, WikiText-2's test split, or any UTF-8 text file.

Importable without torch. WikiText-2 comes from `wikitext2_test_raw.txt` or `wikitext2.txt` in the data folder, else
from the hub, once. It is the raw split as it was released, a line a record, wherever it comes from.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from engine import paths
from engine.errors import InputError
from engine.system.whole_files import written_whole
from engine.tasks.hub import HubData, load_rows

NAME = "perplexity_text"  # of the protocol's setting, and of the text among a trial's data
HELDOUT, WIKITEXT2 = "heldout", "wikitext2"
FILES = ("wikitext2_test_raw.txt", "wikitext2.txt")
HUB = HubData("Salesforce/wikitext", "b08601e04326c79dfdd32d625aee71d232d685c3", "test", ("wikitext-2-raw-v1",))
_BLANK = " \n"  # a line of the release that the hub's record gives as an empty text


def absolute(name: str) -> str:
    """The protocol's setting as a trial keeps it, which runs in another folder: a path is made absolute."""
    return name if name in (HELDOUT, WIKITEXT2) else str(_given(name).resolve())


def read(name: str, data_dir: Path | None) -> str:
    """The text of `wikitext2` or of a file; raises InputError where it can't be had or is not UTF-8."""
    path = _file(name, data_dir)
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"the text {str(path)!r} is not UTF-8: {error.reason} at byte {error.start}") from None


def refuse_short(name: str, data_dir: Path | None, tokens: int) -> None:
    """Raise InputError where a text can't give one window of `tokens`: all but one put first take a byte at least."""
    path = _file(name, data_dir)
    if (size := _status(path).st_size) + 1 < tokens:
        raise InputError(
            f"the text {str(path)!r} has {size} bytes, and one window needs {tokens} tokens; "
            "give a longer text or a smaller sequence_length"
        )


def sha256(name: str, data_dir: Path | None) -> str:
    """The sha256 of that text's file, once it was read; quick until the file changes. Raises InputError as `read`."""
    path = _file(name, data_dir)
    status = _status(path)
    return _sha256(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: str, _bytes_long: int, _changed_ns: int) -> str:
    read(path, None)
    return hashlib.sha256(_bytes(Path(path))).hexdigest()


def _file(name: str, data_dir: Path | None) -> Path:
    if name != WIKITEXT2:
        return _given(name)
    given = (data_dir / file for file in FILES) if data_dir else ()
    return next((path for path in given if path.is_file()), None) or _downloaded()


def _given(name: str) -> Path:
    path = paths.user_path(name, NAME)
    if not path.is_file():
        raise InputError(f"{NAME} must be {HELDOUT}, {WIKITEXT2} or a text file, and there is no file {name!r}")
    return path


def _downloaded() -> Path:
    """The test split in the cache, brought there from the hub unless it is; raises InputError without network."""
    folder = paths.cache_dir() / "texts"
    path = folder / f"wikitext2-{HUB.revision[:12]}.txt"
    if not path.is_file():
        folder.mkdir(exist_ok=True)
        with written_whole(path) as partial:
            partial.write_bytes("".join(record or _BLANK for record in _records()).encode())
    return path


def _records() -> list[str]:
    try:
        return [str(row["text"]) for row in load_rows(HUB, HUB.configs[0])]
    except (ImportError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"WikiText-2 is not on this machine and can't be taken from the hub, {HUB.dataset} ({why}); "
            f"give a folder with {FILES[0]} as --data or KNEEPOINT_DATA"
        ) from None


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"can't read the text {str(path)!r}: {error.strerror}")
