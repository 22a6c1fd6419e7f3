"""A reader of a page without a browser: it speaks the browser's protocol over a websocket and draws nothing.

It asks for a page, asks for the page's fragments again as often as the page says, and keeps what progress bars say, in
the order it came. Many of them fit where many browsers would not.
"""

import threading
import time
from contextlib import suppress
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

_PATIENT: dict[str, Any] = {"max_size": None, "ping_interval": None, "open_timeout": 120.0}  # on a busy machine
IDLE_S = 0.2  # between looks whether the session is to end


class Session(threading.Thread):
    """A session of the server at an address, from `start` to `close`."""

    def __init__(self, address: str, page: str) -> None:
        super().__init__(daemon=True)
        self.said: list[str] = []  # by progress bars
        self.wrong: list[str] = []  # exceptions that were shown
        self._address = address.replace("http:", "ws:", 1) + "/_stcore/stream"
        self._page = page
        self._hash = ""
        self._due: dict[str, tuple[float, float]] = {}  # fragment -> when it is to run again, and seconds between runs
        self._over = threading.Event()

    def close(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        spoken = [Subprotocol("streamlit")]
        with connect(self._address, subprotocols=spoken, **_PATIENT) as socket:
            socket.send(_ask(ClientState(page_name=self._page)))
            while not self._over.is_set():
                with suppress(TimeoutError):
                    self._take(ForwardMsg.FromString(socket.recv(timeout=self._patience())))
                for fragment, (due, pause) in self._due.items():
                    if due <= time.monotonic():
                        self._due[fragment] = (time.monotonic() + pause, pause)
                        state = ClientState(page_script_hash=self._hash, fragment_id=fragment, is_auto_rerun=True)
                        socket.send(_ask(state))

    def _patience(self) -> float:
        """Seconds until a fragment is to run again."""
        return max(0.0, min([IDLE_S, *(due - time.monotonic() for due, _ in self._due.values())]))

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "navigation":
            self._hash = message.navigation.page_script_hash
        elif kind == "new_session":
            if not message.metadata.run.fragment_ids:  # the whole page runs: it says anew what repeats
                self._due.clear()
        elif kind == "auto_rerun":
            pause = message.auto_rerun.interval
            self._due[message.auto_rerun.fragment_id] = (time.monotonic() + pause, pause)
        elif kind == "delta":
            element = message.delta.new_element
            if element.WhichOneof("type") == "progress":
                if self.said[-1:] != [element.progress.text]:
                    self.said.append(element.progress.text)
            elif element.WhichOneof("type") == "exception":
                self.wrong.append(element.exception.message)


def _ask(state: ClientState) -> bytes:
    return BackMsg(rerun_script=state).SerializeToString()
