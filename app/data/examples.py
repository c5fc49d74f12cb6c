"""The record that is shown where none is chosen: an example worth looking at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import streamlit as st

from app.data import services
from app.shell.state import FUSED, View
from ecgxai_core.diagnoses import aliases, find_diagnosis
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.pipeline.predict import Predictions

_KEY = "example"
_TELLING = {
    name
    for code in ("164889003", "164909002", "713427006", "59118001")
    for name in (code, *aliases(code))
}
"""Fibrillation and bundle branch blocks: anyone who reads ECGs knows where to look."""
_MOST_LOOKED_AT = 12


@dataclass(frozen=True, slots=True)
class Example:
    """A record, and the diagnosis that it is an example of."""

    data: str
    record: str
    target: str
    probability: float

    def view(self, view: View) -> View:
        """The view with this record, its fused map and the window of the model's choice."""
        return replace(
            view, data=self.data, record=self.record, target=self.target, method=FUSED, start=None
        )


def example(view: View, found: Predictions) -> Example | None:
    """The most certain correct prediction, best of a diagnosis that is seen at a glance.

    Of the first dozen one that is explained already is taken. It stays the example of this session
    while data set, model and profile stay.
    """
    key = (services.predictions_key(view), view.profile)
    kept = st.session_state.get(_KEY)
    if kept is None or kept[0] != key:
        best = ranked(view, found)[:_MOST_LOOKED_AT]
        chosen = next((item for item in best if _explained(item.view(view))), None)
        kept = st.session_state[_KEY] = (key, chosen or next(iter(best), None))
    chosen = kept[1]
    return chosen if isinstance(chosen, Example) else None


def ranked(view: View, found: Predictions) -> list[Example]:
    """All examples, the best first."""
    return sorted(_candidates(view, found), key=_rank)


def _candidates(view: View, found: Predictions) -> Iterator[Example]:
    """Correct predictions of diagnoses whose evidence is tabulated; else any prediction."""
    correct = False
    for info, value in zip(found.records, found.values, strict=True):
        for code in found.classes:
            row, labels = find_diagnosis(code), set(info.labels or ())
            if row is not None and row.strict_leads and not labels.isdisjoint(aliases(code)):
                correct = True
                yield Example(view.data, info.name, code, value.probability(code))
    if correct or not found.classes:
        return
    for info, value in zip(found.records, found.values, strict=True):
        code = max(found.classes, key=value.probability)
        yield Example(view.data, info.name, code, value.probability(code))


def _rank(item: Example) -> tuple[bool, float]:
    return item.target not in _TELLING or item.probability < 0.5, -item.probability


def _explained(view: View) -> bool:
    """Whether the cache has every map that is fused."""
    methods = view.parameters.methods
    try:
        return len(services.attributions(view, services.record(view), methods)) == len(methods)
    except EcgXaiError:
        return False
