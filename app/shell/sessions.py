"""Sessions of this server: the current one, and what is done when one has ended.

Streamlit notices an ended session only by chance, so a thread here looks for them: the data of a
tab that has been closed for some seconds are deleted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.shell import memory

log = logging.getLogger(__name__)

GONE_SEC = 12.0
"""A tab without a connection for so long is closed; a lost connection comes back sooner
(``server.disconnectedSessionTTL``)."""

LOOK_SEC = 3.0

_seen: dict[str, float] = {}
_actions: list[Callable[[str], None]] = []
_when_alone: list[Callable[[], None]] = []
_lock = threading.Lock()
_thread: threading.Thread | None = None


def here() -> str:
    """Identity of the session whose page is running; empty outside of one."""
    global _thread
    context = get_script_run_ctx(suppress_warning=True)
    session = context.session_id if context is not None else ""
    if session and Runtime.exists():
        with _lock:
            _seen[session] = time.monotonic()
            if _thread is None:
                _thread = threading.Thread(target=_look, name="sessions", daemon=True)
                _thread.start()
    return session


def at_end(action: Callable[[str], None]) -> None:
    """Call an action with the identity of every session that ends."""
    if action not in _actions:
        _actions.append(action)


def when_alone(action: Callable[[], None]) -> None:
    """Call an action when the last session has ended."""
    if action not in _when_alone:
        _when_alone.append(action)


def _look() -> None:
    while True:
        time.sleep(LOOK_SEC)
        if not Runtime.exists():
            continue
        try:
            ended = _ended(Runtime.instance().is_active_session)
            for session in ended:
                _end(session)
            if ended:
                with _lock:
                    alone = not _seen
                for action in _when_alone if alone else ():
                    action()
                memory.give_back()
        except Exception:
            log.exception("looking for ended sessions")


def _ended(is_active: Callable[[str], bool]) -> list[str]:
    """Sessions that have not been connected for a while; they are forgotten."""
    now = time.monotonic()
    with _lock:
        for session in _seen:
            if is_active(session):
                _seen[session] = now
        ended = [session for session, seen in _seen.items() if now - seen > GONE_SEC]
        for session in ended:
            del _seen[session]
    return ended


def _end(session: str) -> None:
    for action in (*_actions, _forget_in_streamlit):
        try:
            action(session)
        except Exception:
            log.exception("end of a session")


def _forget_in_streamlit(session: str) -> None:
    """Streamlit keeps the state and the uploads of a closed tab until it looks for them."""
    runtime = Runtime.instance()
    runtime.uploaded_file_mgr.remove_session_files(session)
    runtime._close_inactive_session_on_event_loop(session)
