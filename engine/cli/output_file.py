"""The file that a command writes: checked before any work, and whole or not there."""

import json
import os
import re
from pathlib import Path

from engine import paths
from engine.errors import InputError
from engine.system.whole_files import replace_text

NUMBERS = re.compile(r"\[\n([-+.\deE,\s]+)\]")  # an indented list; no text holds a line break, JSON escapes it


def writable(path: str | None) -> Path | None:
    """The file of --json, checked before any work; raises InputError where it can't be written."""
    return None if path is None else writable_file(path, "--json")


def writable_file(path: str, what: str) -> Path:
    """The file to write, `what` in messages, checked before any work; raises InputError where it can't be written."""
    target = paths.user_path(path, what)
    if not target.parent.is_dir():
        raise InputError(f"the folder {str(target.parent)!r} of {what} does not exist")
    if target.exists() and not target.is_file():
        raise InputError(f"{what} can't write {str(target)!r}: it is no regular file")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise InputError(f"{what} can't write {str(target)!r}: it, or its folder, is not writable")
    return target


def write_json(target: Path, content: object) -> None:
    """Write JSON, lists of numbers on one line, so that the file is whole or not there.

    Raises InputError where the disk refuses.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    write_text(target, NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n")


def write_text(target: Path, content: str) -> None:
    """Write a text so that the file is whole or not there; raises InputError where the disk refuses."""
    try:
        replace_text(target, content)
    except OSError as error:
        raise InputError(f"can't write {str(target)!r}: {error.strerror}") from None
