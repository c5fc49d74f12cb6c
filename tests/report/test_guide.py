"""The guide covers every method and metric."""

from __future__ import annotations

from ecgxai_core.explainers import METHODS
from ecgxai_core.metrics import METRICS
from ecgxai_core.report import guide


def test_every_metric_is_in_one_table():
    tables = {name: guide.metric_table(name) for name in guide.CATEGORIES}
    listed = [column for table in tables.values() for column in table["column"]]
    assert sorted(listed) == sorted(METRICS)


def test_every_method_states_its_limitation():
    table = guide.method_table()
    assert list(table["method"]) == [method.title for method in METHODS.values()]
    assert (table["what it does not say"] != "").all()


def test_the_glossary_has_the_terms_of_the_program():
    words = set(guide.glossary_table()["word"])
    assert {"record", "target", "segment", "cell", "baseline", "coalition", "attribution"} <= words
    assert {"fused map", "plausibility", "faithfulness", "stability", "profile", "run"} <= words
