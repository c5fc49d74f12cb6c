"""What the operator of a server decides for all its users; variables ``ECGXAI_...``."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import streamlit as st
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ecgxai_core.errors import RunError


class ServerSettings(BaseSettings):
    """Settings of the dashboard's server; results never depend on them."""

    model_config = SettingsConfigDict(env_prefix="ECGXAI_", extra="ignore")

    operator: bool | None = Field(
        None,
        description="whether users of the pages may set folders, import runs, clear the cache and"
        " see paths; empty = on while the server is bound to this machine only",
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="names, beside those of this machine, by which browsers may ask for pages,"
        " separated by commas",
    )
    readers: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="who may come in where sign-in is configured: e-mail addresses, @domains or *,"
        " separated by commas",
    )
    operators: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="who may do there what concerns all users, as readers"
    )
    trusted: bool = Field(
        False, description="whether something before the server asks who comes, so that it need not"
    )
    audit_file: Path | None = Field(
        None,
        description="file of one line per opened record; empty = standard output, where sign-in is"
        " configured",
    )
    page_passes: int | None = Field(
        None,
        gt=0,
        description="most forward passes that one job started on a page may take; empty = no limit"
        " for the operator, 200,000 for visitors",
    )
    warm: bool = Field(
        True,
        description="whether idle workers load and try the shipped model before anybody asks",
    )
    worker_memory_gb: float = Field(
        3.0, gt=0, description="a worker process larger than this is replaced after its job"
    )

    @field_validator("hosts", "readers", "operators", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(name.strip().lower() for name in value.split(",") if name.strip())


_VISITOR_PASSES = 200_000


@lru_cache(maxsize=1)
def server_settings() -> ServerSettings:
    """The settings of this server, read once, when first asked for."""
    return ServerSettings()


def is_operator() -> bool:
    """Whether the user of a page may do what concerns all users of this server.

    Where sign-in is configured, the list of operators decides.
    """
    from app.shell import users  # which reads these settings

    if users.sign_in_configured():
        user = users.current()
        return user is not None and user.operator
    chosen = server_settings().operator
    return bound_to_this_machine() if chosen is None else chosen


def needs_operator() -> None:
    """Refuse what concerns all users of this server, except to its operator.

    Raises
    ------
    RunError
        The user of the page is a visitor.
    """
    if not is_operator():
        raise RunError("settings", "", "are the operator's on this server", "ask the operator")


def most_passes() -> float | None:
    """Forward passes that one job started on a page may take; ``None`` = no limit."""
    chosen = server_settings().page_passes
    if chosen is None and not is_operator():
        return _VISITOR_PASSES
    return chosen


def bound_to_this_machine() -> bool:
    """Whether the server answers this machine only."""
    address = str(st.get_option("server.address") or "")
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
