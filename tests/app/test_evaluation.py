"""The Evaluation page alone: one record, a finished run, what priors do, and empty states."""

from __future__ import annotations

import json
import re

import pytest

from tests.app.evaluated import EXPLAINED, finished_run, opened, settled, texts
from tests.small import AF

pytestmark = pytest.mark.usefixtures("evaluated_folders")


def of_run(monkeypatch: pytest.MonkeyPatch, **query: str):
    monkeypatch.setenv("ECGXAI_RUNS", str(finished_run()))
    return opened("evaluation", part="a-finished-run", **query)


def test_a_record_is_evaluated_in_the_background():
    at = opened("evaluation", record="T000", target=AF, beta="0.5")
    assert "has not been evaluated yet" in texts(at)
    next(b for b in at.button if b.label == "Evaluate this record").click().run()
    settled(at)
    said = texts(at).replace("\\", "")
    verdict = re.search(r"\*\*(Fused map: .*?)\*\*", said)
    assert verdict, "the verdicts stand first, in bold"
    assert re.search(r"better than a random map( by|;)", verdict[1])
    assert re.search(r"better than the signal alone( by|;|\.)", verdict[1])
    assert re.search(r"alone is better by|no single method is clearly better", verdict[1])
    assert re.search(r"weights (do not )?sum to the model's output", said), "what they add up to"
    assert re.search(r"closer to the expected evidence than chance", verdict[1]), "both verdicts"
    assert re.search(
        r"When one beat is doubled, the order is (not )?stable \(rank agreement .*overlap", said
    ), "order and regions, each with its verdict"
    assert said.count("same cells in random order") == 1, "one definition of random"
    assert "a map of its amplitude, or of its squared slope" in said, "what the signal alone is"
    drawn = json.loads(at.get("plotly_chart")[0].proto.spec)
    lines = {line.get("name"): line for line in drawn["data"]}
    assert {"Fused", "TimeSHAP", "random order", "signal's amplitude", "signal's slope"} <= set(
        lines
    )
    assert not any(line.get("showlegend") for line in drawn["data"]), "names stand at the lines"
    numbers = next(d.value for d in at.dataframe if "deletion_random" in d.value)
    assert "Fused: signal's slope" in set(numbers["map"])
    table = next(d.value for d in at.dataframe if "empty map" in d.value)
    assert list(table["map"]) == ["TimeSHAP", "Integrated gradients", "Occlusion", "Fused"]
    assert {"random map", "empty map", "best possible"} <= set(table.columns)
    again = opened("evaluation", record="T000", target=AF, beta="0.5")
    assert "has not been evaluated yet" not in texts(again), "the cache has it"
    said = texts(opened("explain", record="T000", target=AF, beta="0.5")).replace("\\", "")
    assert re.search(r"Evaluated: (partly |hardly |not )?better than random; ", said)
    said = texts(opened("explain", record="T000", target=AF, beta="0.6")).replace("\\", "")
    assert "Evaluated: " not in said


def test_the_priors_trap_shows_that_an_empty_map_scores_high():
    at = opened("evaluation", record="T000", target=AF)
    assert "answer key" not in texts(at)
    at.toggle(key="priors-on").set_value(True).run()
    assert not at.exception
    assert "answer key" in at.warning[0].value
    shown = next(d.value for d in at.dataframe if "with_priors" in d.value)
    empty = shown[shown["map"] == "empty map"].iloc[0]
    assert empty["without"] == pytest.approx(0.5)
    assert empty["with_priors"] > 0.6
    assert "random map" in set(shown["map"])


def test_a_run_has_classes_records_and_pairs(monkeypatch):
    at = of_run(monkeypatch)
    assert not at.exception
    said = texts(at)
    assert "profile default" in said.replace("\\", "")
    assert "Fused map, " in said, "the answer in one sentence"
    assert "too few for a test" in said
    assert "is better" in said, "pairwise comparison in words"
    means = next(d.value for d in at.dataframe if "ci_low" in d.value)
    assert {"random", "empty", "ceiling", "energy", "time_shifted", "n_undefined"} <= set(means)
    assert "fewer than 10 records" in said, "too few to call a map better"
    assert means["ci_low"].isna().all()
    assert means["values"].str.contains(r"\d").all(), "the single values stand there instead"
    records = next(d.value for d in at.dataframe if "attauc_strict_random" in d.value)
    assert set(records["method"]) == {"TimeSHAP", "Integrated gradients", "Occlusion", "Fused"}


def test_methods_of_a_pair_can_be_chosen(monkeypatch):
    at = of_run(monkeypatch)
    at.selectbox(key="pair-one").set_value("timeshap").run()
    assert not at.exception
    assert "TimeSHAP" in texts(at)


def test_without_runs_the_page_says_how_to_get_one():
    at = opened("evaluation", part="a-finished-run")
    assert "There is no finished run" in texts(at)
    assert "ECGXAI" in texts(at)


def test_a_damaged_run_is_named_and_an_altered_one_says_so(monkeypatch, tmp_path):
    import shutil

    shutil.copytree(finished_run() / "first", tmp_path / "changed")
    table = tmp_path / "changed" / "summary_per_class.csv"
    table.write_text(table.read_text("utf-8").replace("timeshap", "TIMESHAP", 1), "utf-8")
    monkeypatch.setenv("ECGXAI_RUNS", str(tmp_path))
    at = opened("evaluation", part="a-finished-run")
    assert "not as the run wrote it" in texts(at)
    table.unlink()
    manifest = tmp_path / "changed" / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8") + "\n", "utf-8")
    at.run()
    assert not at.exception
    assert "is missing" in at.error[0].value


def test_without_a_record_an_explained_example_is_shown():
    assert opened("evaluation").session_state["view"].record in EXPLAINED
