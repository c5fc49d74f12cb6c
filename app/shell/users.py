"""Who uses the pages, where the operator has configured sign-in, and what they may do.

The provider (OpenID Connect; ``[auth]`` in Streamlit's secrets) says who somebody is; the lists
``ECGXAI_READERS`` and ``ECGXAI_OPERATORS`` say who may come in and who may change the server.
Without sign-in nobody is known, and the server is meant for this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st
from streamlit.auth_util import get_secrets_auth_section

from app.shell.jobs import escaped
from app.shell.server_settings import bound_to_this_machine, server_settings
from ecgxai_core.errors import RunError, cannot_be_written

OPEN = (
    "No sign-in is configured, and this server is bound to more than this machine: whoever reaches"
    " it can open every record in its folders."
)
"""The warning of a server that anybody may use."""
HOW = (
    "Configure sign-in (docs/how-to/serve.md), bind it to 127.0.0.1, or set ECGXAI_TRUSTED=1"
    " where something before it asks who comes."
)
_OPENED = "audit-opened"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is signed in: a name for people, and a number that no other has."""

    name: str
    id: str
    reader: bool
    operator: bool


def sign_in_configured() -> bool:
    """Whether Streamlit's secrets have a section ``[auth]``."""
    return bool(get_secrets_auth_section())


def current() -> User | None:
    """Who is signed in; ``None`` where nobody is, or where there is no sign-in."""
    if not sign_in_configured() or not st.user.is_logged_in:
        return None
    told = st.user.to_dict()
    subject = f"{told.get('iss', '')} {told.get('sub', '')}"
    # an address that its provider has not checked is anybody's
    email = str(told.get("email") or "") if told.get("email_verified") is not False else ""
    names = {email.lower(), str(told.get("sub") or "").lower()} - {""}
    chosen = server_settings()
    operator = _listed(names, chosen.operators)
    return User(
        name=email or str(told.get("name") or told.get("sub") or "?"),
        id=hashlib.sha256(subject.encode()).hexdigest()[:32],
        reader=operator or _listed(names, chosen.readers),
        operator=operator,
    )


def _listed(names: Iterable[str], allowed: Iterable[str]) -> bool:
    """Whether a list has one of the names, the domain of one (``@ward.example``), or ``*``."""
    own = list(names)
    return any(
        entry == "*" or entry in own or (entry[:1] == "@" and any(n.endswith(entry) for n in own))
        for entry in allowed
    )


def gate() -> None:
    """Let in who may come; everybody else sees how, and no page. Called before any page is run."""
    if not sign_in_configured():
        if is_open():
            st.warning(f"{OPEN} {HOW}", icon=":material/lock_open:")
        return
    user = current()
    if user is None:
        st.title("ECG-XAI")
        st.markdown("Sign in to see the records of this server. For research use only.")
        st.button("Sign in", type="primary", on_click=st.login)
        st.stop()
    if not user.reader:
        st.title("ECG-XAI")
        st.error(
            f"{escaped(user.name)} is not among the readers of this server. Ask its operator to"
            " add you (ECGXAI_READERS)."
        )
        st.button("Sign out", on_click=st.logout)
        st.stop()
    with st.sidebar.container(horizontal=True, vertical_alignment="center"):
        role = ", operator" if user.operator else ""
        st.caption(f":material/person: {escaped(user.name)}{role}")
        st.button("Sign out", on_click=st.logout, type="tertiary", key="sign-out")


def is_open() -> bool:
    """Whether anybody who reaches the server may use it, from elsewhere too."""
    trusted = server_settings().trusted
    return not (trusted or sign_in_configured() or bound_to_this_machine())


def owner() -> str:
    """Whose data of this session are: the user's number; empty where nobody signs in."""
    user = current()
    return user.id if user is not None else ""


def record_opened(data: str, record: str, digest: str) -> None:
    """Note in the audit log that a user opened a record, once until another is opened.

    One line of JSON, in the file that ``ECGXAI_AUDIT_FILE`` names, else on standard output; nothing
    where nobody signs in and no file is named.

    Raises
    ------
    RunError
        The line cannot be written: then the record is not shown.
    """
    user, file = current(), server_settings().audit_file
    if user is None and file is None:
        return
    opened = (user.id if user is not None else "", data, record, digest)
    if st.session_state.get(_OPENED) == opened:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps(
        {
            "time": now, "event": "record opened", "user": user.name if user is not None else "",
            "data": data, "record": record, "digest": digest,
        }
    )  # fmt: skip
    if file is None:
        print(line, flush=True)  # noqa: T201
    else:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, f"{line}\n".encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            problem = cannot_be_written(file, error)
            raise RunError("audit log", "", problem, "ask the operator") from None
    st.session_state[_OPENED] = opened
