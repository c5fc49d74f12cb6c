"""The Stability page alone: the experiment on a record, on a run, and empty states."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from app.panels import stability
from ecgxai_core.params import profile
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Score
from tests.app.evaluated import EXPLAINED, finished_run, opened, settled, texts
from tests.small import AF

pytestmark = pytest.mark.usefixtures("evaluated_folders")


def test_a_cached_experiment_is_shown_at_once():
    at = opened("stability", record="T000", target=AF)
    assert not at.metric, "no cards whose arrows read as change over time"
    said = texts(at).replace("\\", "")
    assert "Fused map: " in said
    verdict = re.search(
        r"\*\*Fused map: when one beat is doubled, the order is (?:not )?stable \(rank agreement "
        r"(-?[\d.]+), random -?[\d.]+\), .*?strongest regions.*? \(overlap ([\d.]+), "
        r"random [\d.]+\)\.(?: A stable map can still be wrong\.)?\*\*",
        said,
    )
    assert verdict, "order and strongest regions, each with a verdict"
    assert "top leads stay" in said
    assert ("can still be wrong" in said) == ("order is stable" in said), "in bold, or not at all"
    counted = re.search(r"(\d+) beats: (\d+) compared", said)
    assert counted, said
    rows = next(d.value for d in at.dataframe if "random" in d.value).set_index("score")
    assert {"TimeSHAP", "Integrated gradients", "Occlusion", "Fused"} <= set(rows.columns)
    assert rows.loc["Beats compared", "Fused"] == f"{counted[2]} of {counted[1]}"
    assert 0 < float(rows.loc["Same strongest regions (Jaccard@k)", "random"]) < 1
    shown = [rows.loc[name, "Fused"] for name in ("Rank agreement (Spearman)",
             "Same strongest regions (Jaccard@k)")]  # fmt: skip
    assert shown == [*verdict.groups()], "the numbers of the table"


def test_the_maps_stand_before_the_scores_with_the_lead_of_most_evidence():
    at = opened("stability", record="T000", target=AF)
    kinds = [item.type for item in at.main]
    assert kinds.index("plotly_chart") < kinds.index("dataframe"), kinds
    drawn = json.loads(at.get("plotly_chart")[0].proto.spec)
    titles = [note["text"] for note in drawn["layout"]["annotations"]]
    assert any("With the added beat" in text for text in titles)
    alt = at.get("plotly_chart")[0].proto.alt
    first = re.search(r"strongest in lead (\w+)", alt)
    assert first
    assert f"<b>{first[1]}</b>" in titles


def test_the_experiment_runs_from_here():
    at = opened("stability", record="T002", target=AF)
    assert "has not been run" in texts(at)
    next(b for b in at.button if b.label == "Run the experiment").click().run()
    settled(at)
    assert any("random" in table.value for table in at.dataframe)


def test_a_run_is_summed_up(monkeypatch):
    monkeypatch.setenv("ECGXAI_RUNS", str(finished_run()))
    at = opened("stability", part="a-finished-run")
    assert not at.exception
    means = next(d.value for d in at.dataframe if "ci_low" in d.value)
    assert set(means["metric"]) == {"spearman"}


def test_a_change_of_the_prediction_is_said_by_the_threshold_of_the_class(monkeypatch):
    one, other = (
        Attribution(
            "R", AF, "lime", probability, STANDARD_LEADS, np.arange(4.0), np.ones((12, 3)),
            np.ones((12, 3), bool), Provenance("r", "m", {}, 0, "0"),
        )
        for probability in (0.3, 0.1)
    )  # fmt: skip
    found = SimpleNamespace(
        original={"lime": one}, changed={"lime": other},
        scores=lambda params: {"lime": [Score("spearman", 0.9, 0.0), Score("jaccard_at_k", 0.9)]},
        fates=lambda method: ("compared", "compared"),
    )  # fmt: skip
    view = SimpleNamespace(parameters=profile("default"), fusion=SimpleNamespace(topk=2))
    changed = "the extra beat changed the prediction"
    for limits, said in ((None, False), ({AF: 0.2}, True)):
        manifest = SimpleNamespace(thresholds=limits)
        monkeypatch.setattr(
            stability.services, "classifier", lambda view, m=manifest: SimpleNamespace(manifest=m)
        )
        assert (changed in stability.answer(found, view, "lime")[0]) == said


def test_no_run_and_no_record():
    assert opened("stability").session_state["view"].record in EXPLAINED, "an example"
    assert "There is no finished run" in texts(opened("stability", part="a-finished-run"))
