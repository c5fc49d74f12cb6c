"""Other targets of a record cost little, and are the same as alone."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain_many
from ecgxai_core.explainers.prepared import Shelf
from ecgxai_core.games.local.hierarchy import LocalQuads
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import STANDARD_LEADS, Record, canonical_json
from tests.small import AF, FS, SINUS, beats, write_model

PARAMS = ExplainParams(window_sec=0.6, level="owen", lead_group="independent")
METHODS = {
    "timeshap": PARAMS,
    "occlusion": PARAMS,
    "lime": PARAMS.updated(link="probability", top_events=2),
}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load_classifier(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def ecg():
    return Record(name="T", signal=beats(75, 3), fs=FS, leads=STANDARD_LEADS)


def as_bytes(item):
    arrays = [getattr(item, f.name) for f in fields(item)]
    arrays = [array.tobytes() for array in arrays if isinstance(array, np.ndarray)]
    return arrays, canonical_json(dict(item.diagnostics)), item.provenance.as_dict()


def on(shelf, case, methods):
    with shelf.prepared(case) as prepared:
        return explain_many(case, methods, prepared=prepared)


def test_other_targets_need_no_passes_and_are_the_same_as_alone(classifier, ecg, monkeypatch):
    shelf = Shelf()
    rows = []
    evaluated = LocalQuads._evaluated
    monkeypatch.setattr(
        LocalQuads, "_evaluated", lambda self, row: rows.append(row) or evaluated(self, row)
    )
    on(shelf, Case(ecg, classifier, AF), METHODS)
    assert rows
    rows.clear()
    contrast = {"timeshap": PARAMS.updated(contrast=AF)}
    for methods in (METHODS, contrast):
        shared = on(shelf, Case(ecg, classifier, SINUS), methods)
        assert len(rows) == 0, "all quads that this map needs are known"
        alone = explain_many(Case(ecg, classifier, SINUS), methods)
        rows.clear()
        for name, item in alone.items():
            assert as_bytes(shared[name]) == as_bytes(item)


def test_a_cleared_shelf_holds_nothing(classifier, ecg):
    shelf = Shelf()
    with shelf.prepared(Case(ecg, classifier, AF)):
        pass
    assert len(shelf) == 1
    shelf.clear()
    assert len(shelf) == 0


def test_a_shelf_keeps_a_few_records_within_its_limit(classifier, ecg):
    shelf = Shelf(most=2)
    cases = [Case(ecg, classifier, AF, start) for start in (0.0, 0.2, 0.4)]
    prepared = []
    for case in (*cases, cases[2], cases[0]):
        with shelf.prepared(case) as found:
            prepared.append(found)
    assert len(shelf) == 2
    assert prepared[2] is prepared[3], "known"
    assert prepared[0] is not prepared[4], "forgotten"
    small = Shelf(limit_bytes=1000)
    with small.prepared(cases[0]):
        pass
    assert len(small) == 0


def test_two_at_a_time_share_nothing(classifier, ecg):
    shelf, case = Shelf(), Case(ecg, classifier, AF)
    with shelf.prepared(case) as one, shelf.prepared(case) as two:
        assert one is not two


def test_what_was_computed_before_an_error_is_kept(classifier, ecg):
    shelf, case = Shelf(), Case(ecg, classifier, AF)
    with pytest.raises(KeyError), shelf.prepared(case) as one:
        raise KeyError
    with shelf.prepared(case) as two:
        assert one is two
