"""The record that is shown where none is chosen: an example worth looking at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from app.data import services
from app.shell.state import FUSED, View
from ecgxai_core.diagnoses import aliases, find_diagnosis
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.types import BoolArray

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
        best = ranked(view, found)
        chosen = next((item for item in best if _explained(item.view(view))), None)
        kept = st.session_state[_KEY] = (key, chosen or next(iter(best), None))
    chosen = kept[1]
    return chosen if isinstance(chosen, Example) else None


def ranked(view: View, found: Predictions, most: int = _MOST_LOOKED_AT) -> list[Example]:
    """The best examples, the best first: correct predictions of diagnoses whose evidence is
    tabulated; else any prediction. Diagnoses that are seen at a glance and called go first."""
    if not found.classes or not found.records:
        return []
    p = found.probabilities
    fits = np.stack([_correct(found, code) for code in found.classes], axis=1)
    if not fits.any():
        fits = np.arange(p.shape[1]) == p.argmax(axis=1)[:, None]
    rows, columns = np.nonzero(fits)
    values = p[rows, columns].astype(np.float64)
    plain = np.array([code not in _TELLING for code in found.classes])
    best = np.lexsort((-values, plain[columns] | (values < 0.5)))[:most]
    return [
        Example(view.data, found.records[rows[i]].name, found.classes[columns[i]], float(values[i]))
        for i in best
    ]


def _correct(found: Predictions, code: str) -> BoolArray:
    """``bool[record]``: which are labelled with a diagnosis whose evidence is tabulated."""
    row, has = find_diagnosis(code), np.zeros(len(found.records), np.bool_)
    if row is not None and row.strict_leads:
        for name in aliases(code):
            has |= found.labelled.get(name, False)
    return has


def _explained(view: View) -> bool:
    """Whether the cache has every map that is fused."""
    methods = view.parameters.methods
    try:
        record = services.unopened_record(view)  # it is only looked up, not shown
        return len(services.attributions(view, record, methods)) == len(methods)
    except EcgXaiError:
        return False
