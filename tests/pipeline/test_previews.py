"""Preliminary maps in the cache: apart from final ones, and gone when those are there."""

from __future__ import annotations

import pytest

from ecgxai_core.case import Case
from ecgxai_core.explainers import explain, hierarchical
from ecgxai_core.explainers.prepared import Shelf
from ecgxai_core.games.local.hierarchy import LocalQuads
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline import explain as cached
from ecgxai_core.pipeline.explain import cached_attributions, cached_previews, explain_case
from ecgxai_core.stopping import Stopped, stoppable
from ecgxai_core.store.cache import Store
from ecgxai_core.store.envelope import encode
from ecgxai_core.store.values import entry_of
from ecgxai_core.types import STANDARD_LEADS, Record, is_preview
from tests.small import AF, FS, beats, write_model

PARAMS = ExplainParams(
    segments="uniform", window_sec=0.6, level="owen", lead_group="all", target_error=0.001
)
ASKED = {"timeshap": PARAMS, "occlusion": PARAMS}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    model = load_classifier(write_model(tmp_path_factory.mktemp("model")))
    return Case(Record(name="T", signal=beats(75, 3), fs=FS, leads=STANDARD_LEADS), model, AF)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(hierarchical, "LEAST_ERROR", 0.0)  # the map of a tiny network is small
    monkeypatch.setattr(cached, "_SHELF", Shelf())
    with_cache = Store(tmp_path, int(1e7))
    yield with_cache
    with_cache.close()


def stopped_after(case, store, previews: int) -> None:
    shown = []
    with pytest.raises(Stopped), stoppable(lambda _passes: len(shown) >= previews):
        explain_case(case, ASKED, store, preview=shown.append)


def error(found) -> float:
    return found["timeshap"].diagnostics["relative_error"]


def test_what_was_found_before_a_stop_is_kept_and_is_no_final_map(case, store) -> None:
    stopped_after(case, store, 2)
    assert set(cached_attributions(case, ASKED, store)) == {"occlusion"}, "the quick one came first"
    (kept,) = cached_previews(case, ASKED, store).values()
    assert is_preview(kept)
    assert kept.diagnostics["relative_error"] > PARAMS.target_error
    made = explain_case(case, ASKED, store)
    assert list(made) == list(ASKED)
    assert not cached_previews(case, ASKED, store)
    for name, item in cached_attributions(case, ASKED, store).items():
        assert encode({}, *entry_of(item)) == encode({}, *entry_of(explain(case, name, PARAMS)))


def test_nothing_preliminary_is_kept_where_nobody_looks(case, store, monkeypatch) -> None:
    kinds = []
    put = Store.put
    monkeypatch.setattr(
        Store, "put", lambda self, key, *rest: kinds.append(key["kind"]) or put(self, key, *rest)
    )
    explain_case(case, ASKED, store)
    assert kinds == ["attribution", "attribution"]


def test_work_that_goes_on_evaluates_nothing_again(case, store, monkeypatch) -> None:
    rows = []
    following = LocalQuads._next
    monkeypatch.setattr(
        LocalQuads, "_next", lambda self, row: rows.append(row) or following(self, row)
    )
    stopped_after(case, store, 3)
    assert max(rows) > hierarchical.STAGES[0]
    stopped = len(rows)
    explain_case(case, ASKED, store)
    assert len(rows) > stopped
    assert len(rows) <= len(set(rows)) + 1, "but for what was interrupted"


def test_work_that_begins_anew_shows_nothing_worse(case, store, monkeypatch) -> None:
    stopped_after(case, store, 3)
    far = error(cached_previews(case, ASKED, store))
    monkeypatch.setattr(cached, "_SHELF", Shelf())  # another process
    stopped_after(case, store, 1)
    assert error(cached_previews(case, ASKED, store)) == far


def test_the_key_is_that_of_the_final_map_but_for_its_kind(case) -> None:
    final = cached._key(case, "timeshap", PARAMS)
    apart = cached._preview_key(case, "timeshap", PARAMS)
    assert final["kind"] != apart["kind"]
    assert {**final, "kind": ""} == {**apart, "kind": ""}
