"""The review queue: who comes first, and that the first are unlike each other."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import ParameterError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import profile
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.records.read import read_record
from ecgxai_core.store.cache import Store
from ecgxai_core.study import review_queue as module
from ecgxai_core.study.review_queue import (
    CRITERIA,
    Doubts,
    binary_entropy,
    diverse_order,
    doubts,
    margin,
    questioned,
    review_queue,
)
from ecgxai_core.types import Prediction
from tests.small import AF, write_data, write_model

CLASSES = ("a", "b")


def predictions(rows, warnings=(), classes=CLASSES) -> Predictions:
    infos = tuple(
        RecordInfo(Path("x"), f"R{i}", f"d{i}", 10.0, None, False,
                   tuple(f"w{k}" for k in range(dict(warnings).get(i, 0))))
        for i in range(len(rows))
    )  # fmt: skip
    values = tuple(
        Prediction(info.name, classes, np.array(row, np.float32), info.digest, "m")
        for info, row in zip(infos, rows, strict=True)
    )
    return Predictions(infos, values, classes, ())


def test_entropy_and_margin_by_hand():
    assert binary_entropy([0, 0.5, 1, 0.25]) == pytest.approx([0, 1, 0, 0.811278], abs=1e-6)
    assert margin([[0.2, 0.2, 0.6, 1.0, 0.0]], [0.2, 0.4, 0.2, 0.3, 0.3])[0] == pytest.approx(
        [0, 0.5, 0.5, 1, 1]
    )
    assert margin([[1.0, 0.5]], [1.0, 0.0])[0] == pytest.approx([0.0, 0.5])


def test_each_criterion_puts_its_own_record_first():
    rows = [[0.99, 0.01], [0.50, 0.02], [0.85, 0.02], [0.99, 0.03]]
    found, other = predictions(rows, {3: 2}.items()), predictions([[0.1, 0.0], *rows[1:]])
    first = {
        "entropy": "R1", "margin": "R2", "disagreement": "R0", "quality": "R3",
        "methods": "R3", "evidence": "R2",
    }  # fmt: skip
    maps = [None, Doubts("b", 0.1, np.nan), Doubts("b", 0.2, 0.7), Doubts("a", 0.3, 0.2)]
    for by in CRITERIA:
        table = review_queue(found, by, other=other, maps=maps, thresholds={"a": 0.84})
        assert table["record"][0] == first[by], by
        assert sorted(table["record"]) == ["R0", "R1", "R2", "R3"]
        assert list(table["place"]) == [1, 2, 3, 4]
    row = review_queue(found, "disagreement", other=other).set_index("record").loc["R0"]
    assert row["disagreement"] == pytest.approx(0.89, abs=1e-6)
    assert np.isnan(review_queue(found)["disagreement"]).all()
    table = review_queue(found, "evidence", maps=maps).set_index("record")
    assert (table["target"]["R2"], table["probability"]["R2"]) == ("b", pytest.approx(0.02))
    assert table["missing_evidence"]["R2"] == 0.7
    assert np.isnan(table["map_disagreement"]["R0"])
    assert list(table.index[-2:]) == ["R0", "R1"], "nothing known of them"
    only = review_queue(found, targets=["b"])
    assert set(only["target"]) == {"b"}
    assert only["record"][0] == "R3"


def test_the_first_ten_are_unlike_each_other():
    rng = np.random.default_rng(0)
    crowd = 0.5 + rng.normal(0, 1e-3, (40, 2))  # most uncertain, and all alike
    others = np.array([[0.4, 0.04 * k] for k in range(12)])
    p = np.concatenate([crowd, others])
    plain = np.argsort(-binary_entropy(p).max(axis=1), kind="stable")[:10]
    chosen = diverse_order(binary_entropy(p).max(axis=1), p)
    assert sorted(chosen) == list(range(len(p)))
    assert chosen[0] == plain[0]
    assert (plain < 40).sum() == 10
    assert (chosen[:10] < 40).sum() <= 3
    rest = binary_entropy(p).max(axis=1)[chosen[10:]]
    assert np.all(np.diff(rest) <= 0)
    assert list(diverse_order([], np.zeros((0, 2)))) == []
    assert sorted(diverse_order([0.0, 0.0], [[1.0], [1.0]])) == [0, 1]


def test_what_cannot_be_asked_is_named():
    found = predictions([[0.5, 0.5]])
    for values, said in (
        ({"by": "magic"}, "no criterion"),
        ({"by": "disagreement"}, "needs another model"),
        ({"targets": ["z"]}, "no such class"),
        ({"by": "evidence"}, "needs maps"),
        ({"other": predictions([[0.5]], classes=("z",))}, "both models"),
    ):
        with pytest.raises(ParameterError, match=said):
            review_queue(found, **values)
    assert len(review_queue(predictions([]))) == 0


def test_the_class_that_is_explained_is_called_and_described():
    classes = ("164889003", "NORM", "427084000")
    rows = [[0.6, 0.99, 0.7], [0.2, 0.99, 0.3], [0.9, 0.5, 0.8], [0.1, 0.5, 0.2]]
    found = predictions(rows, classes=classes)
    assert questioned(found) == ("427084000", "427084000", "164889003", "NORM")
    limits = {"427084000": 0.75, "164889003": 0.95}
    assert questioned(found, limits)[0] == "164889003", "least certain: nothing described is called"
    assert questioned(found, limits)[2] == "427084000"
    assert questioned(found, targets=classes[:1]) == (classes[0],) * 4


def test_doubts_are_told_by_the_maps_of_a_case(tmp_path):
    write_data(tmp_path / "data", 1)
    record = read_record(tmp_path / "data" / "T000.hea")
    case = Case(record, load_classifier(write_model(tmp_path / "models")), AF)
    store = Store(tmp_path / "cache", 10**8)
    chosen = profile("default").updated(methods=("lime", "timeshap"))
    found = doubts(case, chosen, store, threshold=0.0)
    assert found.target == AF
    maps = explained(case, chosen, store).attributions
    scaled = [np.abs(m.density()).max() and m.density() / np.abs(m.density()).max()
              for m in maps.values()]  # fmt: skip
    mass = sum(np.abs(one) for one in scaled) * maps["lime"].durations
    apart = np.prod(np.sign(scaled), axis=0) < 0
    assert 0 < apart.mean() < 1
    assert found.methods == pytest.approx(mass[apart].sum() / mass.sum(), abs=0.02)
    assert np.isnan(doubts(case, chosen, store, threshold=1.0).evidence), "not called"
    store.close()


@pytest.mark.parametrize(("on_evidence", "expected"), [(True, (0, 0.2)), (False, (0.5, 1.0))])
def test_evidence_is_missing_where_the_map_lies_elsewhere(
    tmp_path, monkeypatch, on_evidence, expected
):
    write_data(tmp_path / "data", 1)
    record = read_record(tmp_path / "data" / "T000.hea")
    case = Case(record, load_classifier(write_model(tmp_path / "models")), AF)
    leads = case.diagnosis.strict_leads
    real = module.explained

    def planted(*args, **more):
        maps = real(*args, **more)
        on = np.isin(maps.fused.leads, leads) == on_evidence
        weights = np.where(on[:, None], maps.fused.durations, 0).astype(np.float32)
        return replace(maps, fused=replace(maps.fused, weights=weights))

    monkeypatch.setattr(module, "explained", planted)
    with closing(Store(tmp_path / "cache", 10**8)) as store:
        found = doubts(case, profile("default"), store, threshold=0.0)
    assert expected[0] <= found.evidence <= expected[1]
