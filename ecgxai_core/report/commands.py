"""Command lines that reproduce a result from its metadata."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import PROFILES, Profile, SelectionParams, profile
from ecgxai_core.pipeline.run.request import EVERY, LIMIT_OPTIONS, MODES, SELECTION

__all__ = ["card_command", "changed_settings", "record_command", "run_command"]

_GROUPS = ("explain", "lime", "timeshap", "fusion", "evaluation", "stability")


def changed_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings (``--set``) that turn the named profile into these values (``Profile.as_key()``).

    A parameter whose value differs between groups, such as a seed, takes its value from the first
    group that differs; the digests show whether the result is fully reproduced.
    """
    name = values.get("name", "default")
    usual = profile(name if name in PROFILES else "default").as_key()
    changed: dict[str, str] = {}
    for group in _GROUPS:
        for field, value in dict(values.get(group) or {}).items():
            if value != usual[group].get(field, value) and field not in changed:
                changed[field] = _written(value)
    return changed


def record_command(
    record: str, model: str, target: str, chosen: Profile, start: float | None = None
) -> str:
    """``ecgxai report`` for one record; paths are file names without folders."""
    words = ["ecgxai", "report", record, "--model", model, "--target", target]
    words += _profile_words(chosen.as_key())
    words += [] if start is None else ["--start", f"{start:g}"]
    return shlex.join([*words, "--out", "report.html"])


def run_command(request: Mapping[str, Any]) -> str:
    """``ecgxai run`` for the ``request`` of a run's manifest."""
    words = ["ecgxai", "run", "--data", str(request.get("data", "DATA"))]
    words += ["--model", str(request.get("model", "MODEL"))]
    selection = dict(request.get("selection") or {})
    words += _selection_words(str(request.get("mode", "demo")), selection)
    for target in request.get("targets") or ():
        words += ["--target", str(target)]
    seed = selection.get("seed", 0)
    words += _method_words(request.get("profile")) + _map_words(request)
    try:
        words += _profile_words(dict(request.get("profile") or {}))
    except (ParameterError, TypeError, ValueError, AttributeError):
        words += ["--profile", "default"]
    words += ["--seed", str(seed)] if seed and "--seed" not in words else []
    words += _checksum_words(request)
    words += ["--arrays", "ARRAYS"] if request.get("predictions") == "arrays" else []
    return shlex.join([*words, "--out", "RUN"])


def _selection_words(mode: str, selection: Mapping[str, Any]) -> list[str]:
    """What decides the records of a run: a file, or the mode and the limits that differ from it."""
    if mode == SELECTION:
        return ["--selection", "SELECTION.csv"]
    usual = {**SelectionParams().as_key(), "k_per_class": MODES.get(mode)}
    words = ["--mode", mode]
    if mode == EVERY:
        usual, words = SelectionParams().as_key(), ["--all"]
    for name, option in LIMIT_OPTIONS.items():
        value = selection.get(name, usual[name])
        words += [] if value == usual[name] else [option, _written(value)]
    return words


def card_command(request: Mapping[str, Any]) -> str:
    """``ecgxai report-card`` for the ``request`` of a card."""
    words = ["ecgxai", "report-card", "--data", str(request["data"])]
    words += ["--model", str(request["model"])]
    for target in request.get("targets") or ():
        words += ["--target", str(target)]
    words += _method_words(request["profile"]) + _map_words(request)
    words += _profile_words(request["profile"])
    words += ["--n", str(request["selection"]["k_per_class"])]
    words += _checksum_words(request)
    return shlex.join([*words, "--out", "card.html"])


def _checksum_words(request: Mapping[str, Any]) -> list[str]:
    return ["--checksum", "error"] if request.get("checksum") == "error" else []


def _method_words(values: Any) -> list[str]:
    methods = values.get("methods") if isinstance(values, Mapping) else None
    usual = list(profile("default").methods)
    if not isinstance(methods, list | tuple) or list(methods) == usual:
        return []
    return [word for name in methods for word in ("--method", str(name))]


def _map_words(request: Mapping[str, Any]) -> list[str]:
    """Folders of maps by another program; a request keeps their names and digests, no paths."""
    maps = request.get("maps")
    named = list(maps) if isinstance(maps, Mapping) else []
    return [word for name in named for word in ("--method", f"{name}:FOLDER")]


def _profile_words(values: Mapping[str, Any]) -> list[str]:
    words = ["--profile", str(values.get("name", "default"))]
    for name, value in changed_settings(values).items():
        words += ["--seed", value] if name == "seed" else ["--set", f"{name}={value}"]
    return words


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ",".join(_written(part) for part in value)
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)
