"""Sessions of the dashboard without a browser: the messages that one sends, over a websocket.

A reader opens a page by its address, waits until its script has ended, clicks a button, and follows
what the page asks to be run again by itself (progress of a job). What the server sends is received
whole, as in a browser, but not drawn.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

__all__ = ["Reader"]

_LARGEST = 64 << 20


class Reader:
    """One session; an asynchronous context manager.

    Parameters
    ----------
    address
        Of the server, ``http://127.0.0.1:8501``.
    patience
        Longest wait for the end of a run, seconds.
    """

    def __init__(self, address: str, patience: float = 300.0) -> None:
        self._address, self._patience = address, patience
        self._page = self._query = self._hash = self._begun = ""
        self._buttons: dict[str, str] = {}
        self._reruns: dict[str, tuple[float, float]] = {}
        self.json: list[str] = []
        """Data of the components that the page has shown since it was opened."""
        self.texts: list[str] = []
        self.errors: list[str] = []
        """Exceptions and error boxes that the server has sent."""

    @property
    def buttons(self) -> list[str]:
        """Labels of the buttons of the page."""
        return list(self._buttons.values())

    async def __aenter__(self) -> Reader:
        from websockets.asyncio.client import connect

        host = urlsplit(self._address).netloc
        self._socket = await connect(
            f"ws://{host}/_stcore/stream", subprotocols=["streamlit"], max_size=_LARGEST,
            open_timeout=self._patience, ping_interval=None,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def open(self, page: str, **query: str) -> float:
        """Open a page by its address; seconds until its script has ended."""
        self._page, self._query, self._hash = page, urlencode(query), ""
        self._buttons, self._reruns = {}, {}
        self.json, self.texts = [], []
        return await self._run()

    async def click(self, label: str) -> float:
        """Click the button whose label begins so; seconds until the script has ended.

        Raises
        ------
        LookupError
            The page has no such button.
        """
        found = [key for key, name in self._buttons.items() if name.startswith(label)]
        if not found:
            raise LookupError(f"no button {label!r}; there are {sorted(self.buttons)}")
        return await self._run(pressed=found[0])

    async def until(self, there: Callable[[Reader], bool]) -> float:
        """Seconds until a state is reached, while the page runs by itself what it asked for.

        Raises
        ------
        TimeoutError
            It is not reached in time.
        """
        import asyncio

        begun = time.perf_counter()
        while not there(self):
            if time.perf_counter() - begun > self._patience:
                raise TimeoutError(f"what was waited for did not come; errors: {self.errors}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended(), 0.05)
            now = time.perf_counter()
            for fragment, (interval, last) in list(self._reruns.items()):
                if now - last >= interval:
                    self._reruns[fragment] = (interval, now)
                    await self._ask(fragment=fragment)
        return time.perf_counter() - begun

    async def _run(self, pressed: str = "") -> float:
        import asyncio

        begun, self._begun = time.perf_counter(), ""
        await self._ask(pressed)
        async with asyncio.timeout(self._patience):
            while not await self._ended():
                pass
        return time.perf_counter() - begun

    async def _ask(self, pressed: str = "", fragment: str = "") -> None:
        from streamlit.proto.BackMsg_pb2 import BackMsg

        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name = self._query, self._page
        state.page_script_hash = self._hash
        if pressed:
            state.widget_states.widgets.add(id=pressed, trigger_value=True)
        if fragment:
            state.fragment_id, state.is_auto_rerun = fragment, True
        await self._socket.send(message.SerializeToString())

    async def _ended(self) -> bool:
        """Receive one message; whether it says that the last run has ended."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        said = ForwardMsg.FromString(await self._socket.recv())
        kind = said.WhichOneof("type")
        if kind == "auto_rerun":
            one = said.auto_rerun
            self._reruns[one.fragment_id] = (one.interval, time.perf_counter())
        elif kind == "stop_auto_rerun":
            self._reruns.clear()
        elif kind == "new_session":
            self._begun = said.metadata.run.script_run_id
            if not said.metadata.run.fragment_ids:
                self._reruns, self._buttons, self.json, self.texts = {}, {}, [], []
        elif kind == "navigation":
            self._hash = said.navigation.page_script_hash
        elif kind == "page_info_changed":
            self._query = said.page_info_changed.query_string
        elif kind == "delta" and said.delta.WhichOneof("type") == "new_element":
            self._shown(said.delta.new_element)
        own = kind == "script_finished" and said.metadata.run.script_run_id == self._begun
        return own and said.script_finished in _LAST

    def _shown(self, element: Any) -> None:
        kind = element.WhichOneof("type")
        if kind == "button":
            self._buttons[element.button.id] = element.button.label
        elif kind == "bidi_component":
            self.json.append(element.bidi_component.json or element.bidi_component.mixed.json)
        elif kind == "markdown":
            self.texts.append(element.markdown.body)
        elif kind == "exception":
            self.errors.append(element.exception.message)
        elif kind == "alert" and element.alert.format == element.alert.ERROR:
            self.errors.append(element.alert.body)


_LAST = (0, 3)
"""A script, or a fragment, has ended; 2 = a rerun was asked for, and follows at once."""
