"""Estimated cost of a request in forward passes, and a ceiling for it.

The estimates of the methods are :mod:`ecgxai_core.explainers.cost`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import find_method, params_for
from ecgxai_core.explainers.cost import Cost, Size
from ecgxai_core.games.local.engine import engine_of
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams, Profile
from ecgxai_core.signal.segments import SEGMENT_SEC

__all__ = [
    "OPTIMISTIC_FIELD",
    "card_cost",
    "check_cost",
    "explain_cost",
    "field_of",
    "total",
    "unit_cost",
]

OPTIMISTIC_FIELD = 0.05
"""Receptive field as a share of the record, assumed until the network has been analysed."""

_CARD = 3.0
"""A card explains each record several times: disturbed, and with random weights."""

_EXTRA_BEAT = 2.0
"""A unit explains the record, and the record with a beat doubled."""


def explain_cost(
    params: Mapping[str, ExplainParams],
    manifest: Manifest,
    target: str,
    field_sec: float | None,
) -> Cost:
    """Forward passes of an explanation with several methods, by the parameter that drives them.

    Parameters
    ----------
    params
        Method name -> parameters.
    manifest, target
        What the model sees, and what is explained.
    field_sec
        What one position of the network sees (:func:`field_of`); ``None`` = it is not local.
    """
    row = find_diagnosis(target)
    segment_sec = row.segment_sec if row is not None else SEGMENT_SEC
    seconds = manifest.samples / manifest.fs
    found: dict[str, float] = {}
    for name, choice in params.items():
        size = Size.of(choice, seconds, segment_sec, len(manifest.leads), field_sec)
        twice = 2.0 if choice.contrast is not None else 1.0
        for parameter, passes in find_method(name).cost(choice, size).items():
            found[parameter] = found.get(parameter, 0.0) + twice * passes
    return found


def unit_cost(profile: Profile, manifest: Manifest, target: str, field_sec: float | None) -> Cost:
    """Forward passes of one record explained, evaluated, and explained with an extra beat."""
    params = params_for(profile, profile.methods)
    once = explain_cost(params, manifest, target, field_sec)
    evaluation = profile.evaluation
    maps = len(profile.methods) + 1
    curves = 2.0 * evaluation.deletion_steps * (evaluation.n_random + maps)
    more = 2.0 * evaluation.n_random + 128 + 8 * maps
    scaled = {name: _EXTRA_BEAT * passes for name, passes in once.items()}
    return scaled | {"n_random": curves + more}


def card_cost(
    profile: Profile, manifest: Manifest, records: int, targets: int, field_sec: float | None
) -> Cost:
    """Forward passes of a report card: each record several times explained, and evaluated."""
    each = total(unit_cost(profile, manifest, "", field_sec))
    return {"records per diagnosis": _CARD * each * records * targets}


def field_of(classifier: Classifier) -> float | None:
    """Seconds that one position of a network sees; ``None`` where it is not local.

    Loads the network.
    """
    part = engine_of(classifier).part
    return None if part is None else part.local.field / classifier.manifest.fs


def total(cost: Cost) -> float:
    """All of it."""
    return float(sum(cost.values()))


def check_cost(cost: Cost, most: float | None, what: str) -> None:
    """Refuse a request (``what``) that costs more than a ceiling; ``None`` = no ceiling.

    Raises
    ------
    ParameterError
        It costs more; the error names the parameter to lower.
    """
    if most is None or total(cost) <= most:
        return
    largest = max(cost, key=lambda name: (cost[name], name))
    fix = f"lower {largest} first" if largest else "ask for fewer methods or records"
    passes = f"takes about {_rounded(total(cost))} forward passes"
    problem = f"{passes}; {_rounded(most)} may be asked for on a page of this server"
    fix = f"{fix} ({_rounded(cost[largest])} of them), or use the command line"
    raise ParameterError(what, "cost", problem, fix)


def _rounded(passes: float) -> str:
    """Two digits are more than an estimate has."""
    return f"{float(f'{passes:.2g}'):,.0f}"
