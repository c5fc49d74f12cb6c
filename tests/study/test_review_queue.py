"""The review queue: who comes first, and that the first are unlike each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.study.review_queue import (
    CRITERIA,
    binary_entropy,
    diverse_order,
    margin,
    review_queue,
)
from ecgxai_core.types import Prediction

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
    }  # fmt: skip
    for by in CRITERIA:
        table = review_queue(found, by, other=other, thresholds={"a": 0.84})
        assert table["record"][0] == first[by], by
        assert sorted(table["record"]) == ["R0", "R1", "R2", "R3"]
        assert list(table["place"]) == [1, 2, 3, 4]
    row = review_queue(found, "disagreement", other=other).set_index("record").loc["R0"]
    assert row["disagreement"] == pytest.approx(0.89, abs=1e-6)
    assert np.isnan(review_queue(found)["disagreement"]).all()
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
        ({"other": predictions([[0.5]], classes=("z",))}, "both models"),
    ):
        with pytest.raises(ParameterError, match=said):
            review_queue(found, **values)
    assert len(review_queue(predictions([]))) == 0
