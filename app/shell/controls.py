"""Forms generated from parameter groups: bounds, help and defaults come from the schema alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

import streamlit as st

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import Params, choices

P = TypeVar("P", bound=Params)

KEPT: dict[str, Any] = {"persist_state": "session"}
"""For widgets whose value outlives a visit to another page."""

_AUTOMATIC = "automatic"
_FEW, _SHORT = 4, 28
"""Options, and their letters, that stand side by side in a narrow column."""
_STEPS = {"beta": 0.05, "tau": 0.01, "window_sec": 0.05, "raster_sec": 0.01}
"""Steps of sliders where a hundredth of the range is not a round number."""


def pick(label: str, options: Sequence[Any], first: Any, key: str, **more: Any) -> Any:
    """One of a few options, shown side by side; ``first`` is the initial choice."""
    return st.segmented_control(label, options, default=first, required=True, key=key, **more)


def choose(
    label: str,
    options: Sequence[str],
    value: str,
    apply: Callable[[str], object],
    *,
    key: str,
    names: Mapping[str, str] | None = None,
    **more: Any,
) -> None:
    """A select box that shows ``value`` and passes a change to ``apply``.

    ``names`` are texts for people. With few options it becomes a segmented control
    (``kind="segmented"``).
    """
    kind = more.pop("kind", "select")
    widget = st.segmented_control if kind == "segmented" else st.selectbox
    if value not in options:
        value = options[0] if options else ""
    if kind == "segmented":
        more = {"required": True, **seeded(key, value, "default"), **more}
    else:
        place = options.index(value) if value in options else 0
        more = {**({"index": place} if seeded(key, value, "index") else {}), **more}

    def changed() -> None:
        if (picked := st.session_state.get(key)) is not None:
            apply(picked)

    widget(
        label,
        options,
        key=key,
        format_func=lambda option: (names or {}).get(option, option),
        on_change=changed,
        **more,
    )


def form_for(
    params: P,
    names: Sequence[str],
    key: str,
    apply: Callable[[P], object] | None = None,
    labels: Mapping[str, str] | None = None,
    idle: Mapping[str, str] | None = None,
    words: Mapping[str, Mapping[Any, str]] | None = None,
) -> P:
    """Widgets for some fields of a parameter group, showing the values of ``params``.

    A change is checked by the group itself and passed to ``apply`` before the page runs again;
    without ``apply`` the form keeps its own value in the session, starting at ``params``. ``idle``
    names fields that cannot change anything now, each with the reason; ``words`` name the values of
    fields that are choices.

    Returns
    -------
    The group as the form now stands.
    """
    kept = f"{key}.value"
    if apply is None:
        params = st.session_state.setdefault(kept, params)

        def apply(value: P) -> None:
            st.session_state[kept] = value

    for name in names:
        _field(
            params, name, f"{key}.{name}", apply, (labels or {}).get(name), (idle or {}).get(name),
            (words or {}).get(name, {}),
        )  # fmt: skip
    return params


def _field(
    params: P,
    name: str,
    key: str,
    apply: Callable[[P], object],
    label: str | None,
    idle: str | None,
    words: Mapping[Any, str],
) -> None:
    info = type(params).model_fields[name]
    value = getattr(params, name)
    kind, optional = _plain(info.annotation)

    def changed() -> None:
        picked = st.session_state.get(key)
        if picked is None and not optional:
            return
        if get_origin(kind) is tuple and picked is not None:
            picked = [part for part in picked.replace(",", " ").split() if part] or None
        try:
            apply(params.updated(**{name: picked}))
        except ParameterError as error:
            st.session_state[f"{key}.problem"] = f"{error.problem}"

    shared: dict[str, Any] = {
        "label": label or name.replace("_", " "),
        "help": info.description,
        "key": key,
        "on_change": changed,
        "disabled": idle is not None,
    }
    if options := choices(type(params), name):
        options = {value: words.get(value, title) for value, title in options.items()}
        _options(options, value, optional, shared)
    elif kind is bool:
        st.toggle(**seeded(key, value, "value"), **shared)
    elif kind in (int, float):
        _number(name, value, kind, _bounds(info.metadata), optional, shared)
    else:
        parts = value if isinstance(value, tuple) else (value,)
        text = ", ".join(str(part) for part in parts if part is not None)
        st.text_input(**seeded(key, text, "value"), **shared)
    if idle:
        st.caption(f"Not in use: {idle}.")
    problem = st.session_state.pop(f"{key}.problem", None)
    if problem:
        st.warning(problem)


def _plain(annotation: Any) -> tuple[Any, bool]:
    """A field's type without ``None``, and whether it may be ``None``."""
    parts = get_args(annotation)
    if type(None) not in parts:
        return annotation, False
    return next(part for part in parts if part is not type(None)), True


def _options(
    options: Mapping[Any, str], value: Any, optional: bool, shared: Mapping[str, Any]
) -> None:
    """A few short options are shown side by side; others, or optional ones, in a list."""
    key = shared["key"]
    shared = {**shared, "format_func": lambda option: options.get(option, str(option))}
    short = len(options) <= _FEW and sum(map(len, options.values())) <= _SHORT
    if short and not optional:
        given = seeded(key, value, "default")
        st.segmented_control(options=list(options), required=True, **given, **shared)
        return
    listed = list(options)
    place = listed.index(value) if value in listed else None
    given = {"index": place} if seeded(key, value, "index") else {}
    st.selectbox(options=listed, placeholder=_AUTOMATIC, **given, **shared)


def _number(
    name: str,
    value: Any,
    kind: Any,
    bounds: tuple[float, float],
    optional: bool,
    shared: dict[str, Any],
) -> None:
    """A slider if the range is small, else a number field; an optional value has a field."""
    low, high = bounds
    whole = kind is int
    form: Any = int if whole else float
    step: Any = 1 if whole else _STEPS.get(name, 0.01 if high - low <= 1 else 0.1)
    start = None if value is None else form(value)
    if optional:
        # Only a field with an empty default can be emptied by the user. So the value goes by the
        # session alone, and with every run: a browser that missed it would send the field back
        # empty with the next click, and the setting would be gone.
        st.session_state[shared["key"]] = start
        shared = {"value": None, **shared}
    else:
        shared = {**seeded(shared["key"], start, "value"), **shared}
    if not optional and high - low <= (50 if whole else 10):
        st.slider(min_value=form(low), max_value=form(high), step=step, **shared)
        return
    top = None if high == float("inf") else form(high)
    more = {"placeholder": _AUTOMATIC} if optional else {}
    if whole and not optional and form(low) >= 10:
        step = form(low)
    st.number_input(min_value=form(low), max_value=top, step=step, **more, **shared)


def _bounds(metadata: Sequence[Any]) -> tuple[float, float]:
    """Least and largest value of a pydantic field; open bounds move in by a thousandth."""
    low, high = 0.0, float("inf")
    for item in metadata:
        low = getattr(item, "ge", low)
        high = getattr(item, "le", high)
        low = item.gt + 0.001 if hasattr(item, "gt") else low
        high = item.lt - 0.001 if hasattr(item, "lt") else high
    return float(low), float(high)


def seeded(key: str, value: Any, argument: str) -> dict[str, Any]:
    """Arguments that make a widget show a value, without fighting the user who changes it.

    A value set only through the session reaches the browser with one message; if that one is
    overtaken by the next run, the widget would show its first option. So the value is also the
    widget's default (``argument``), except in the run that changes it, where streamlit takes one.
    """
    if key in st.session_state and st.session_state[key] != value:
        st.session_state[key] = value
        return {}
    return {argument: value}
