"""The view (what is shown): one frozen value, shared by every page and written in the URL.

Every widget that changes the view goes through :func:`update`; every page reads :func:`current`.
A page change clears the URL, so the session keeps the view too; a pasted or back-button URL wins
over the session.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import streamlit as st

from app.data.uploads import OWN
from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import METHODS
from ecgxai_core.params import (
    PROFILES,
    ExplainParams,
    FusionParams,
    Profile,
    checked,
    profile,
    profile_with,
)

FUSED = "fused"
"""Name of the fused map among the methods."""

_TEXTS = ("data", "model", "target", "record", "method", "profile", "part")
PICTURE = "view"
"""Parameter of the URL in which the ECG viewer keeps how it draws; the browser alone writes it."""
_PRIVATE = ("record", "target")
"""What stays out of the URL for uploaded records, beside where the window starts."""
_FUSION = tuple(FusionParams.model_fields)
_EXPLAIN = tuple(ExplainParams.model_fields)
_PREFIX = "explain."
"""Before the explanation parameters in the URL, so that no name can mean two things."""
_LONGEST = 200
_KEY, _PROBLEMS = "view", "view-problems"


@dataclass(frozen=True, slots=True)
class View:
    """What is being looked at.

    Attributes
    ----------
    data, model
        Names in :func:`app.data.services.data_sets` and
        :func:`app.data.services.models`; empty = the first.
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
    part
        The part of a page that has several, as :func:`slug` writes it; empty = the first.
    explain
        Explanation parameters that differ from the profile's, as (name, text) in order of the
        schema; they go to every method.
    methods
        Methods that are fused; empty = the profile's.
    """

    data: str = ""
    model: str = ""
    target: str = ""
    record: str = ""
    method: str = FUSED
    profile: str = "default"
    fusion: FusionParams = field(default_factory=FusionParams)
    start: float | None = None
    part: str = ""
    explain: tuple[tuple[str, str], ...] = ()
    methods: tuple[str, ...] = ()

    @property
    def parameters(self) -> Profile:
        """The profile with this view's methods, fusion settings and explanation parameters."""
        return _parameters(self.profile, self.fusion, self.explain, self.methods)


@lru_cache(maxsize=256)
def _parameters(
    name: str,
    fusion: FusionParams,
    explain: tuple[tuple[str, str], ...],
    methods: tuple[str, ...],
) -> Profile:
    """Cached, as a page needs it many times."""
    settings = [f"{field}={text}" for field, text in explain]
    chosen = profile_with(profile(name).updated(fusion=fusion), settings)
    return chosen.updated(methods=methods) if methods else chosen


def slug(title: str) -> str:
    """A title as written in the URL: ``Two models`` -> ``two-models``."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def current() -> View:
    """The view of this session, or of the URL if that differs."""
    asked = {key: st.query_params[key] for key in st.query_params}
    known = {key: value for key, value in asked.items() if _ours(key)}
    kept: View | None = st.session_state.get(_KEY)
    if known and (kept is None or known != to_query(kept)):
        asked_for, st.session_state[_PROBLEMS] = from_query(known)
        if kept is not None and kept.data == OWN == asked_for.data:
            own = {name: getattr(kept, name) for name in (*_PRIVATE, "start")}
            asked_for = replace(asked_for, **own)
        kept = asked_for
    view = kept or View()
    _write(view)
    return view


def update(**changes: Any) -> View:
    """Change the view: session and URL. A new profile brings its own fusion settings.

    Another data set or record also forgets ``start`` and the target, which follows the record (and
    another data set the record), unless they are given too.
    """
    kept = st.session_state.get(_KEY) or current()
    if "profile" in changes and changes["profile"] != kept.profile:
        changes.setdefault("fusion", profile(changes["profile"]).fusion)
        changes.setdefault("explain", ())
        changes.setdefault("methods", ())
    if changes.get("methods", kept.methods) != kept.methods:  # one weight a method
        fusion = changes.get("fusion", kept.fusion)
        changes["fusion"] = fusion.updated(method_weights=None)
    if "data" in changes and changes["data"] != kept.data:
        changes.setdefault("record", "")
    if changes.get("record", kept.record) != kept.record:
        changes.setdefault("start", None)
        changes.setdefault("target", "")
    view = replace(kept, **changes)
    if view != kept:
        st.session_state.pop(_PROBLEMS, None)
    _write(view)
    return view


def changed_settings(view: View) -> tuple[str, ...]:
    """Every setting that differs from the profile's, as ``name value``."""
    usual = profile(view.profile)
    changed = [f"{name} {text}" for name, text in view.explain]
    if view.methods:
        changed.append(f"methods {', '.join(view.methods)}")
    changed += [
        f"{name} {_text(value)}"
        for name in _FUSION
        if (value := getattr(view.fusion, name)) != getattr(usual.fusion, name)
    ]
    return (*changed, f"window from {view.start:g} s") if view.start is not None else tuple(changed)


def link_problems() -> tuple[str, ...]:
    """What was invalid in the pasted link; reported until the view changes."""
    return tuple(st.session_state.get(_PROBLEMS, ()))


def complete(view: View, **names: Any) -> View:
    """Fill in names that the view left open; this is no change of the view."""
    whole = replace(view, **names)
    _write(whole)
    return whole


def to_query(view: View) -> dict[str, str]:
    """URL parameters of a view; what equals the default is left out.

    Name, target and window of own records are left out; only the session keeps them.
    """
    plain = View()
    query = {
        name: getattr(view, name)
        for name in _TEXTS
        if getattr(view, name) != getattr(plain, name) and getattr(view, name)
    }
    if view.data == OWN:  # names of own records are not for logs, histories and bookmarks
        query = {name: text for name, text in query.items() if name not in _PRIVATE}
    elif view.start is not None:
        query["start"] = f"{view.start:g}"
    if view.methods:
        query["methods"] = ",".join(view.methods)
    usual = profile(view.profile).fusion
    for name in _FUSION:
        value = getattr(view.fusion, name)
        if value != getattr(usual, name):
            query[name] = _text(value)
    return query | {f"{_PREFIX}{name}": text for name, text in view.explain}


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
    asked = [name for name in query.get("methods", "").split(",") if name]
    methods = tuple(dict.fromkeys(name for name in asked if name in METHODS))
    problems += [f"methods: there is no {name[:40]}" for name in asked if name not in METHODS]
    usual = profile(texts.get("profile", "default")).methods
    if fusion.method_weights and len(fusion.method_weights) != len(methods or usual):
        problems.append("method_weights: one weight a method is needed")
        fusion = fusion.updated(method_weights=None)
    view = View(**texts, fusion=fusion, start=start, methods=() if methods == usual else methods)
    for name in (name for name in _EXPLAIN if f"{_PREFIX}{name}" in query):
        text = query[f"{_PREFIX}{name}"][:_LONGEST]
        try:
            view = replace(view, explain=with_explain(view, {name: text}))
        except ParameterError as error:
            problems.append(f"{name}={text[:40]}: {error.problem}")
    return view, tuple(problems)


def with_explain(view: View, changes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """``view.explain`` with some parameters changed; what equals the profile's own is left out.

    Raises
    ------
    ParameterError
        A value out of bounds.
    """
    texts = {**dict(view.explain), **{name: _text(value) for name, value in changes.items()}}
    usual = profile(view.profile)
    chosen = profile_with(usual, [f"{name}={text}" for name, text in texts.items()])
    pairs = [
        (one, other)
        for group in Profile.model_fields
        if isinstance(one := getattr(usual, group), ExplainParams)
        and isinstance(other := getattr(chosen, group), ExplainParams)
    ]
    return tuple(
        (name, _text(getattr(chosen.explain, name)))
        for name in _EXPLAIN
        if name in texts and any(getattr(a, name) != getattr(b, name) for a, b in pairs)
    )


def _text(value: Any) -> str:
    """A value as written in the URL and on the command line."""
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _ours(key: str) -> bool:
    """Whether a parameter of the URL is part of the view."""
    if key.startswith(_PREFIX):
        return key.removeprefix(_PREFIX) in _EXPLAIN
    return key in (*_TEXTS, *_FUSION, "start", "methods")


def _write(view: View) -> None:
    st.session_state[_KEY] = view
    query, there = to_query(view), {key: st.query_params[key] for key in st.query_params}
    if PICTURE in there:
        query[PICTURE] = there[PICTURE]
    if there != query:
        st.query_params.from_dict(query)
