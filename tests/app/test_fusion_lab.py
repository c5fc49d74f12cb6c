"""The Fusion lab alone: live scores, pinning, presets, sweeps, and what it says when empty."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from app.panels import fusion_lab
from app.panels.sweep import cautions
from ecgxai_core.params import FusionParams
from ecgxai_core.pipeline.sweep import Sweep, default_axis
from ecgxai_core.simulation.demonstration import demonstration_folder
from tests.app.evaluated import EXPLAINED, environment, opened, settled, texts
from tests.small import AF, SINUS

pytestmark = pytest.mark.usefixtures("evaluated_folders")


def lab(**query: str):
    return opened("fusion_lab", **{"record": "T000", "target": AF, **query})


def colour(card) -> str:
    return card.proto.MetricColor.Name(card.proto.color)


def test_every_parameter_has_a_widget_and_scores_stand_beside_chance():
    at = lab()
    for name in FusionParams.model_fields:
        key = "lab-weight-occlusion" if name == "method_weights" else f"lab.{name}"
        assert key in at.session_state, name
    assert len(at.metric) == 3
    assert all(card.delta.endswith(("vs chance", "same as chance")) for card in at.metric)
    assert {colour(card) for card in at.metric} == {"GRAY"}, "how far chance reaches is not known"


def test_the_answer_and_the_methods_stand_first():
    at = lab()
    said = texts(at).replace("\\", "")
    assert "called present" in said or "called absent" in said
    assert "probability **" in said
    wanted = at.multiselect(key="lab-methods")
    controls = [item.key for item in at.main if getattr(item, "key", None)]
    first = [key for key in controls if key.startswith(("lab-methods", "lab."))]
    assert first[0] == wanted.key
    wanted.set_value(["timeshap", "occlusion"]).run()
    assert not at.exception
    assert at.session_state["view"].parameters.methods == ("timeshap", "occlusion")
    assert "Weight of TimeSHAP; the rest is" in " ".join(item.label for item in at.slider)


def test_values_of_choices_are_words():
    at = lab()
    shown = {item.key: item for item in at.get("button_group")}
    assert list(shown["lab.sign_policy"].options) == ["reduce", "remove", "ignore sign"]
    assert list(shown["lab.scale"].options) == ["whole map", "each lead"]


def test_a_slider_changes_the_scores_and_the_link():
    at = lab()
    before = [card.value for card in at.metric]
    at.slider(key="lab.beta").set_value(0.0).run()
    assert not at.exception
    assert at.query_params["beta"] == "0.0"
    at.slider(key="lab-weight-occlusion").set_value(0.0).run()
    assert at.query_params["method_weights"] == "1.0,1.0,0.0"
    assert [card.value for card in at.metric] != before
    assert not at.exception


def test_what_cannot_act_says_why():
    at = lab()
    assert at.slider(key="lab.found").disabled
    assert "acts while beta is below 1" in texts(at)
    at.slider(key="lab.beta").set_value(0.5).run()
    assert not at.slider(key="lab.found").disabled
    at = lab(methods="timeshap")
    assert at.slider(key="lab.beta").disabled
    assert "only TimeSHAP is fused" in texts(at)


def test_a_link_restores_the_settings():
    at = lab(beta="0.35", agg="min")
    assert at.slider(key="lab.beta").value == 0.35
    assert at.session_state["view"].fusion.agg == "min"


def test_presets_and_reset():
    at = lab()
    preset = at.selectbox(key="lab-preset")
    assert preset.value == "Settings of the profile"
    preset.set_value(next(name for name in preset.options if name.startswith("Cautious"))).run()
    chosen = at.session_state["view"].fusion
    assert (chosen.agg, chosen.beta, chosen.sign_policy) == ("min", 0.0, "drop")
    reset = next(button for button in at.button if button.label == "Reset to the profile")
    reset.click().run()
    assert at.session_state["view"].fusion == FusionParams()


def test_pin_a_change_b_and_see_the_difference():
    at = lab()
    next(b for b in at.button if b.label == "Pin as A").click().run()
    assert " 0% of the map changed" in texts(at)
    at.slider(key="lab-weight-timeshap").set_value(0.0).run()
    assert not at.exception
    assert " 0% of the map changed" not in texts(at)
    assert all(card.delta.endswith((" vs A", "same as A")) for card in at.metric)
    assert any(card.delta.endswith(" vs A") for card in at.metric)
    for card in at.metric:
        far = 0.0 if card.delta == "same as A" else float(card.delta.split()[0])
        assert (colour(card) == "GRAY") == (abs(far) < 0.02), card.delta
    next(b for b in at.button if b.label == "Back to A").click().run()
    assert at.session_state["view"].fusion == FusionParams()
    next(b for b in at.button if b.label == "Unpin A").click().run()
    assert "lab-pinned" not in at.session_state


def test_the_page_follows_what_is_chosen_but_no_step_of_a_slider(monkeypatch):
    """Its header names the settings that differ from the profile; drawing it takes long."""
    usual = FusionParams()
    now = SimpleNamespace(fusion=usual)
    monkeypatch.setattr(fusion_lab.st, "session_state", {})
    monkeypatch.setattr(fusion_lab.state, "current", lambda: now)
    monkeypatch.setattr(fusion_lab.state, "update", lambda **_: None)
    followed = {}
    for changes in ({"beta": 0.5}, {"topk": 3}, {"agg": "max"}, {"beta": 0.0, "agg": "min"}):
        fusion_lab.apply(usual.updated(**changes))
        followed[tuple(changes)] = fusion_lab.page_is_due()
    steps = {("beta",): False, ("topk",): False}
    assert followed == {**steps, ("agg",): True, ("beta", "agg"): True}
    fusion_lab.apply_choice(usual)
    assert fusion_lab.page_is_due(), "a button"


def test_a_sweep_says_when_its_best_means_little():
    axes = default_axis("beta", 2), default_axis("agg", 2)

    def found(values: list[float], records: int) -> Sweep:
        rows = pd.DataFrame({"measure": "attauc_strict", "mean": values, "chance": 0.5})
        return Sweep(axes[0], replace(axes[1], values=("min", "max")), rows, records)

    said = cautions(found([0.518, 0.543, 0.52, 0.53], 1), "attauc_strict")
    assert "within 0.025 of each other: hardly a difference" in said
    assert "This is one record" in said
    assert cautions(found([0.5, 0.7, 0.52, 0.53], 12), "attauc_strict") == ""


@pytest.mark.parametrize("scope", ["This record", "All explained records of the class"])
def test_a_sweep_ends_in_settings_and_a_command(scope):
    at = lab(part="sweep")
    at.session_state["sweep-scope"] = scope
    at.run()
    assert "has not been run yet" in texts(at)
    next(b for b in at.button if b.label == "Run the sweep").click().run()
    settled(at)
    number = 1 if scope == "This record" else 2
    assert f"{number} record" in texts(at)
    assert ("This is one record" in texts(at)) == (number == 1)
    job_measures = at.multiselect(key="sweep-measures").options
    assert "AttAUC (strict)" in job_measures
    assert "Stability: Spearman" in job_measures
    take = at.button(key="sweep-take")
    if not take.disabled:
        take.click().run()
    assert not at.exception
    assert "ecgxai run" in at.code[0].value
    assert "--target" in at.code[0].value


def test_what_is_not_explained_can_be_explained_from_here():
    at = opened("fusion_lab", record="T001", target=AF)
    assert "not computed yet" in texts(at)
    assert any(b.label.startswith("Explain with") for b in at.button)


def test_the_demonstration_is_explained_without_a_click(monkeypatch):
    with environment(monkeypatch, ECGXAI_DATA="") as root:
        shutil.copytree(root / "data", demonstration_folder())
        (demonstration_folder() / ".complete").touch()
        at = opened("fusion_lab", record="T001", target=AF)
        assert not any(b.label.startswith("Explain with") for b in at.button)
        assert len(at.metric) == 3


def test_no_record_no_model_no_such_record(monkeypatch, tmp_path):
    at = opened("fusion_lab")
    assert at.session_state["view"].record in EXPLAINED, "an example that is explained"
    assert "not in this data set" in texts(opened("fusion_lab", record="nobody", target=SINUS))
    with environment(monkeypatch, ECGXAI_MODELS=str(tmp_path)):
        monkeypatch.setattr("app.data.services.assets_dir", lambda: tmp_path)
        assert "There is no model" in texts(opened("fusion_lab", record="T000"))


def test_two_methods_share_one_slider():
    at = lab(methods="lime,timeshap")
    next(b for b in at.button if b.label.startswith("Explain with")).click().run()
    settled(at)
    at.slider(key="lab-weight").set_value(1.0).run()
    assert at.query_params["method_weights"] == "1.0,0.0"
    assert not at.exception
