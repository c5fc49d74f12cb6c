"""The guide speaks of every method and metric that there is."""

from __future__ import annotations

from ecgxai_core.explain import METHODS
from ecgxai_core.metrics import METRICS
from ecgxai_core.report import guide


def test_every_metric_stands_in_one_table():
    tables = {name: guide.metric_table(name) for name in guide.CATEGORIES}
    listed = [column for table in tables.values() for column in table["column"]]
    assert sorted(listed) == sorted(METRICS)


def test_every_method_says_what_it_does_not_say():
    table = guide.method_table()
    assert list(table["method"]) == [method.title for method in METHODS.values()]
    assert (table["what it does not say"] != "").all()


def test_every_word_of_the_program_is_explained():
    words = set(guide.glossary_table()["word"])
    assert {"record", "target", "segment", "cell", "baseline", "coalition", "attribution"} <= words
    assert {"fused map", "plausibility", "faithfulness", "stability", "profile", "run"} <= words
