"""Where things lie on this machine: the code, the cache, the store, and a user's files."""

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from engine.errors import InputError

ROOT = Path(__file__).resolve().parents[1]  # in which `python -m engine` is found


def cache_dir() -> Path:
    """The folder of downloaded and converted files: KNEEPOINT_CACHE, or the user's cache folder.

    Raises InputError where it can't be made.
    """
    given = os.environ.get("KNEEPOINT_CACHE")
    path = user_path(given, "KNEEPOINT_CACHE") if given else user_cache_path("kneepoint")
    return _made(path, "set KNEEPOINT_CACHE to another folder")


def store_url() -> str:
    """The database URL of the store: KNEEPOINT_STORE, or an SQLite file in the user's data folder.

    Raises InputError where that folder can't be made.
    """
    if url := os.environ.get("KNEEPOINT_STORE"):
        return url
    folder = _made(user_data_path("kneepoint"), "set KNEEPOINT_STORE to the URL of another store")
    return f"sqlite:///{folder / 'kneepoint.db'}"


def data_dir() -> Path | None:
    """The folder of the user's own task files, KNEEPOINT_DATA, or None."""
    folder = os.environ.get("KNEEPOINT_DATA")
    return user_path(folder, "KNEEPOINT_DATA") if folder else None


def user_path(text: str, what: str) -> Path:
    """The path that a user wrote, with `~` expanded; nothing need be there yet. `what` is its name in messages.

    Raises InputError for a path where nothing can be: empty, of no such user, too long, in a forbidden folder; and for
    one whose bytes are no text, which no store and no JSON could name.
    """
    if not text:
        raise InputError(f"{what} must be a path, got ''")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} can't be {text!r}: its name is no text in UTF-8") from None
    try:
        path = Path(text).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (RuntimeError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{what} can't be {text!r}: {str(why).rstrip('.')}") from None
    return path


def _made(folder: Path, otherwise: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't make the folder {str(folder)!r} ({error.strerror}); {otherwise}") from None
    return folder
