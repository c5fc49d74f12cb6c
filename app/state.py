"""What is being looked at: one frozen value, shared by every page and written in the URL.

Every widget that changes the view goes through :func:`update`; every page reads :func:`current`.
A page change clears the URL, so the session keeps the view too; a pasted or back-button URL wins
over the session.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import PROFILES, FusionParams, Profile, checked, profile

__all__ = [
    "FUSED",
    "View",
    "complete",
    "current",
    "from_query",
    "link_problems",
    "to_query",
    "update",
]

FUSED = "fused"
"""The method that stands for the fused map."""

_TEXTS = ("data", "model", "target", "record", "method", "profile")
_FUSION = tuple(FusionParams.model_fields)
_LONGEST = 200
_KEY, _PROBLEMS = "view", "view-problems"


@dataclass(frozen=True, slots=True)
class View:
    """What is being looked at.

    Attributes
    ----------
    data, model
        Names in :func:`app.services.data_sets` and :func:`app.services.models`; empty = the first.
    target
        A class of the model; empty = the first.
    record
        Record name; empty = none chosen.
    method
        ``"fused"`` or a method's registry name.
    profile
        ``"default"`` or ``"reference"``.
    fusion
        Fusion settings (start at those of the profile).
    start
        Where the part that the model sees begins, seconds of the record; ``None`` = the model's
        own choice.
    """

    data: str = ""
    model: str = ""
    target: str = ""
    record: str = ""
    method: str = FUSED
    profile: str = "default"
    fusion: FusionParams = field(default_factory=FusionParams)
    start: float | None = None

    @property
    def parameters(self) -> Profile:
        """The profile with this view's fusion settings."""
        return profile(self.profile).updated(fusion=self.fusion)


def current() -> View:
    """The view of this session, or of the URL where that says something else."""
    asked = {key: st.query_params[key] for key in st.query_params}
    known = {key: value for key, value in asked.items() if key in (*_TEXTS, *_FUSION, "start")}
    kept: View | None = st.session_state.get(_KEY)
    if known and (kept is None or known != to_query(kept)):
        kept, st.session_state[_PROBLEMS] = from_query(known)
    view = kept or View()
    _write(view)
    return view


def update(**changes: Any) -> View:
    """Change the view: session and URL. A new profile brings its own fusion settings.

    Another data set or record also forgets ``start`` (and another data set the record), unless
    they are given too.
    """
    kept = st.session_state.get(_KEY) or current()
    if "profile" in changes and changes["profile"] != kept.profile:
        changes.setdefault("fusion", profile(changes["profile"]).fusion)
    if "data" in changes and changes["data"] != kept.data:
        changes.setdefault("record", "")
    if changes.get("record", kept.record) != kept.record:
        changes.setdefault("start", None)
    view = replace(kept, **changes)
    if view != kept:
        st.session_state.pop(_PROBLEMS, None)
    _write(view)
    return view


def link_problems() -> tuple[str, ...]:
    """What the pasted link asked for that makes no sense; said until the view changes."""
    return tuple(st.session_state.get(_PROBLEMS, ()))


def complete(view: View, **names: Any) -> View:
    """Fill in names that the view left open; this is no change of the view."""
    whole = replace(view, **names)
    _write(whole)
    return whole


def to_query(view: View) -> dict[str, str]:
    """URL parameters of a view; what equals the default is left out."""
    plain = View()
    query = {
        name: getattr(view, name)
        for name in _TEXTS
        if getattr(view, name) != getattr(plain, name) and getattr(view, name)
    }
    if view.start is not None:
        query["start"] = f"{view.start:g}"
    usual = profile(view.profile).fusion
    for name in _FUSION:
        value = getattr(view.fusion, name)
        if value != getattr(usual, name):
            query[name] = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return query


def from_query(query: Mapping[str, str]) -> tuple[View, tuple[str, ...]]:
    """View of URL parameters, and what in them was refused (and is replaced by the default)."""
    texts = {name: query[name][:_LONGEST] for name in _TEXTS if name in query}
    problems = []
    if texts.get("profile", "default") not in PROFILES:
        problems.append(f"profile: there is no {texts.pop('profile')}")
    fusion = profile(texts.get("profile", "default")).fusion
    for name in (name for name in _FUSION if name in query):
        text = query[name]
        value: Any = text.split(",") if name == "method_weights" else text
        try:
            fusion = checked(FusionParams, {**fusion.model_dump(), name: value})
        except ParameterError as error:
            problems.append(f"{name}={text[:40]}: {error.problem}")
    start = None
    if "start" in query:
        try:
            start = float(query["start"])
        except ValueError:
            start = math.nan
        if not 0 <= start < 1e7:
            problems.append(f"start={query['start'][:40]}: is not a time in seconds")
            start = None
    return View(**texts, fusion=fusion, start=start), tuple(problems)


def _write(view: View) -> None:
    st.session_state[_KEY] = view
    query = to_query(view)
    if {key: st.query_params[key] for key in st.query_params} != query:
        st.query_params.from_dict(query)
