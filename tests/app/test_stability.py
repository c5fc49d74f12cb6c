"""The Stability page alone: the experiment on a record, on a run, and empty states."""

from __future__ import annotations

import pytest

from tests.app.evaluated import EXPLAINED, finished_run, opened, settled, texts
from tests.small import AF

pytestmark = pytest.mark.usefixtures("evaluated_folders")


def test_a_cached_experiment_is_shown_at_once():
    at = opened("stability", record="T000", target=AF)
    assert [card.label for card in at.metric][:2] == ["Spearman", "Jaccard@k"]
    said = texts(at).replace("\\", "")
    assert "Fused map: " in said
    assert "when one beat is doubled (Spearman" in said
    assert "beats were compared; the others are hatched" in said
    rows = next(d.value for d in at.dataframe if "random" in d.value)
    assert set(rows["map"]) == {"TimeSHAP", "Integrated gradients", "Occlusion", "Fused"}
    assert rows[rows["metric"] == "Jaccard@k"]["random"].between(0, 1).all()


def test_the_experiment_runs_from_here():
    at = opened("stability", record="T002", target=AF)
    assert "has not been run" in texts(at)
    next(b for b in at.button if b.label == "Run the experiment").click().run()
    settled(at)
    assert len(at.metric) == 6


def test_a_run_is_summed_up(monkeypatch):
    monkeypatch.setenv("ECGXAI_RUNS", str(finished_run()))
    at = opened("stability", part="a-finished-run")
    assert not at.exception
    means = next(d.value for d in at.dataframe if "ci_low" in d.value)
    assert set(means["metric"]) == {"spearman"}


def test_no_run_and_no_record():
    assert opened("stability").session_state["view"].record in EXPLAINED, "an example"
    assert "There is no finished run" in texts(opened("stability", part="a-finished-run"))
