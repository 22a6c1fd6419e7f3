"""Where things lie on this machine: the cache, the store, and the locks."""

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path


def cache_dir() -> Path:
    """The folder of downloaded and converted files: KNEEPOINT_CACHE, or the user's cache folder."""
    path = Path(os.environ.get("KNEEPOINT_CACHE") or user_cache_path("kneepoint"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def store_url() -> str:
    """The database URL of the store: KNEEPOINT_STORE, or an SQLite file in the user's data folder."""
    if url := os.environ.get("KNEEPOINT_STORE"):
        return url
    folder = user_data_path("kneepoint")
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'kneepoint.db'}"


def data_dir() -> Path | None:
    """The folder of the user's own task files, KNEEPOINT_DATA, or None."""
    folder = os.environ.get("KNEEPOINT_DATA")
    return Path(folder) if folder else None
