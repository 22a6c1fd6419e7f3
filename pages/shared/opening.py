"""What the server does before its first visitor comes: it imports all that pages need, reads the results, and opens
the visitor's browser.
"""

import pkgutil
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import streamlit as st

from engine import analysis, meeting, plots
from pages import exploring, pictures, shared, sweeping
from pages.shared import stored

PARTS = (analysis, meeting, plots, exploring, pictures, shared, sweeping)  # of pages, which are scripts themselves
LATE = ("huggingface_hub.errors", "plotly.graph_objects")  # what the engine imports only where it is needed
ANYWHERE = (None, "", "0.0.0.0", "::")  # as a server's address: all of this machine's
ANSWERING_S = 0.3  # until the server answers, once all is imported


@asynccontextmanager
async def ready(_app: st.App) -> AsyncIterator[None]:
    """The server's time: it answers once everything is imported, and reads the results meanwhile."""
    for name in [*parts(), *LATE]:
        import_module(name)
    threading.Thread(target=stored.read_ahead, daemon=True).start()
    if not st.get_option("server.headless"):
        threading.Timer(ANSWERING_S, webbrowser.open, [address()]).start()
    yield


def address() -> str:
    """Where a browser on this machine finds the dashboard."""
    host, port, base = (st.get_option(f"server.{name}") for name in ("address", "port", "baseUrlPath"))
    return f"http://{'localhost' if host in ANYWHERE else host}:{port}/{base.strip('/')}"


def parts() -> list[str]:
    """What pages are made of, module by module."""
    return [one.name for part in PARTS for one in pkgutil.iter_modules(part.__path__, f"{part.__name__}.")]
