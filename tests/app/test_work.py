"""What worker processes do beside what was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.data import work
from ecgxai_core.case import Case
from ecgxai_core.errors import ModelError
from ecgxai_core.explainers import explain_each
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.manifest import manifest_path
from ecgxai_core.params import ExplainParams, profile
from ecgxai_core.pipeline import explain as cached
from ecgxai_core.pipeline.explain import cached_attributions
from ecgxai_core.progress import no_progress
from ecgxai_core.records.read import read_record
from ecgxai_core.simulation.dataset import write_set
from ecgxai_core.stopping import Stopped, stoppable
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Attribution
from tests.small import AF, SINUS, write_model

LBBB, RBBB = "164909002", "59118001"
CLASSES = (AF, SINUS, LBBB, RBBB)


@pytest.fixture
def asked(tmp_path: Path) -> work.CaseFile:
    """A simulated record, and a model that calls all of its classes but one."""
    (path,) = write_set(tmp_path / "data", 1, 0)
    model = write_model(tmp_path / "model", classes=CLASSES)
    place = manifest_path(model)
    limits = {AF: 0.0, SINUS: 0.0, LBBB: 0.0, RBBB: 1.0}
    place.write_text(json.dumps({**json.loads(place.read_text()), "thresholds": limits}))
    kept = work.Place(tmp_path / "cache", 10**8)
    return work.CaseFile(path, read_record(path).digest, model, AF, None, kept)


def explained(asked: work.CaseFile, params: ExplainParams) -> set[str]:
    """The classes that have a map after the job."""
    work.explanation(asked, {"occlusion": params}, progress=no_progress)
    record, classifier = read_record(asked.record), LazyClassifier(asked.model)
    store = Store(asked.place.folder, asked.place.limit_bytes)
    found = {
        code for code in CLASSES
        if cached_attributions(Case(record, classifier, code), {"occlusion": params}, store)
    }  # fmt: skip
    store.close()
    return found


def test_what_else_the_model_calls_is_explained_along(asked, monkeypatch):
    params = ExplainParams(segments="wave")
    assert explained(asked, params) == {AF, SINUS, LBBB}
    values = Case(read_record(asked.record), LazyClassifier(asked.model), AF)
    likely = values.classifier.predict(values.model_input().values[None])[0]
    monkeypatch.setattr(work, "ALSO_EXPLAINED", 1)
    (only,) = work._also_called(values, {"occlusion": params})
    assert only == max((SINUS, LBBB), key=lambda code: likely[CLASSES.index(code)])


def test_nothing_else_is_explained_where_that_would_cost_as_much_again(asked, monkeypatch):
    assert explained(asked, ExplainParams(segments="uniform")) == {AF}, "cut by the diagnosis"
    monkeypatch.setattr(work, "field_of", lambda _classifier: None)
    case = Case(read_record(asked.record), LazyClassifier(asked.model), AF)
    assert work._also_called(case, {"occlusion": ExplainParams(segments="wave")}) == []


def test_a_resting_worker_has_nothing_prepared(asked):
    explained(asked, ExplainParams(segments="wave"))
    assert len(cached._SHELF)
    work.rest()
    assert len(cached._SHELF) == 0


def test_rehearsing_explains_with_the_default_methods_and_stops_when_a_job_comes(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Attribution] = []

    def watched(case: Case, params: Mapping[str, ExplainParams]) -> Iterator[Attribution]:
        for item in explain_each(case, params):
            made.append(item)
            yield item

    monkeypatch.setattr(work, "default_model", lambda: tiny / "models" / "tiny.keras")
    monkeypatch.setattr(work, "explain_each", watched)
    with stoppable(lambda _passes: True), pytest.raises(Stopped):
        work.rehearse()
    assert not made
    work.rehearse()
    assert {item.method for item in made} == set(profile("default").methods)


def test_without_a_shipped_model_there_is_nothing_to_rehearse(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone() -> Path:
        raise ModelError("assets/models", "default", "there is none", "install it again")

    monkeypatch.setattr(work, "default_model", gone)
    work.rehearse()
    assert "there is none" in caplog.text
