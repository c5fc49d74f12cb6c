"""Metrics describe themselves; scores become columns."""

from __future__ import annotations

import math

import pytest

from ecgxai_core.metrics import METRICS, score_columns
from ecgxai_core.metrics.base import Metric, by_name
from ecgxai_core.types import Score


def test_descriptions_are_complete() -> None:
    assert len(METRICS) > 30
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.title
        assert metric.chance
        assert metric.undefined
        assert metric.cost
        assert metric.direction in {"higher", "lower", "none"}


def test_a_name_is_given_once() -> None:
    metric = Metric("x", "X", "higher", "stability", "0", "never")
    with pytest.raises(ValueError, match="two metrics"):
        by_name((metric, metric))


def test_columns_stand_beside_their_chance() -> None:
    found = score_columns([Score("auc", 0.7, random=0.5, empty=0.5)])
    assert list(found) == ["auc", "auc_random", "auc_empty", "auc_ceiling"]
    assert found["auc"] == 0.7
    assert math.isnan(found["auc_ceiling"])
    known = score_columns([Score("coverage", 0.7, ceiling=1.0)])
    assert known == {"coverage": 0.7, "coverage_ceiling": 1.0}
