"""The form for explanation parameters, and that new methods and parameters show up in it."""

from __future__ import annotations

import time
from dataclasses import replace
from types import MappingProxyType

import pytest

from app.data import services
from app.panels.explain import used_by
from ecgxai_core.explainers import METHODS
from ecgxai_core.params import ExplainParams
from tests.app.evaluated import EXPLAINED, opened, settled, texts, unfolded, viewers
from tests.app.evaluated import METHODS as USUAL
from tests.small import AF, SINUS

pytestmark = pytest.mark.usefixtures("evaluated_folders")


PARAMETERS = "explain-parameters"


def explain(**query: str):
    """The page with its panel of parameters open."""
    return unfolded(opened("explain", **{"record": "T000", "target": AF, **query}), PARAMETERS)


def test_every_parameter_that_a_method_uses_has_a_widget():
    for method in ("lime", "timeshap", "integrated_gradients", "occlusion"):
        at = explain(method=method)
        for name in METHODS[method].uses:
            assert f"explain.{name}" in at.session_state, (method, name)
        claimed = {name for other in METHODS.values() for name in other.uses}
        others = set(ExplainParams.model_fields) & claimed - set(METHODS[method].uses)
        for name in others:
            assert f"explain.{name}" not in at.session_state, (method, name)


def test_the_answer_says_what_else_is_called(monkeypatch: pytest.MonkeyPatch):
    limits = {AF: 0.0}
    monkeypatch.setattr("app.data.services.threshold", lambda _, code: limits.get(code, 1.1))
    assert "also called" not in texts(opened("explain", record="T000", target=AF))
    limits |= {SINUS: 0.0}
    at = opened("explain", record="T000", target=AF)
    rows = next(table.value for table in at.dataframe if "threshold" in table.value)
    (other,) = rows[rows["present"] & (rows["code"] != AF)].to_dict("records")
    said = f"{other['diagnosis']} ({other['probability_text']})"
    assert f"; also called: {said}" in texts(at).replace("\\", "")
    assert "Evaluated" not in texts(at), "nobody has evaluated it"


def test_parameters_are_built_only_while_their_panel_is_open():
    at = opened("explain", record="T000", target=AF)
    assert "explain.window_sec" not in at.session_state
    assert "explain.window_sec" in unfolded(at, PARAMETERS).session_state


def test_the_start_page_shows_an_explained_example():
    at = opened("start")
    (shown,) = viewers(at)
    assert shown["record"]["id"] in EXPLAINED
    assert [item["id"] for item in shown["maps"]] == ["fused", *USUAL]
    assert shown["sentence"].startswith("Evidence ")
    assert shown["sentence"].split(". ")[0] in texts(at).replace("\\", "")
    assert {"Read an ECG", "Tune and evaluate", "Present"} <= {b.label for b in at.button}
    assert at.session_state["view"].record == "", "looking at the example chooses nothing"


def test_a_setting_of_the_link_goes_to_the_browser_with_every_run():
    """A message that a later run overtakes is lost, and its field would come back empty."""
    at = explain(**{"explain.window_sec": "0.25", "explain.n_coalitions": "32"})
    for _ in range(2):
        at.run()
        for name, value in (("window_sec", 0.25), ("n_coalitions", 32)):
            sent = at.number_input(key=f"explain.{name}").proto
            assert value in ((sent.value,) if sent.set_value else (sent.default,)), name


def test_a_change_goes_to_the_link_and_asks_for_another_explanation():
    at = explain()
    assert not any(b.label.startswith("Explain with") for b in at.button)
    at.number_input(key="explain.n_coalitions").set_value(32).run()
    assert not at.exception
    assert at.query_params["explain.n_coalitions"] in ("32", ["32"])
    assert "n\\_coalitions 32" in texts(at)
    assert any(b.label.startswith("Explain with") for b in at.button)
    at.number_input(key="explain.window_sec").set_value(0.25).run()
    assert at.session_state["view"].explain == (("window_sec", "0.25"), ("n_coalitions", "32"))
    at.button(key="explain-reset").click().run()
    assert at.session_state["view"].explain == ()
    assert "explain.n_coalitions" not in at.query_params
    assert not any(b.label.startswith("Explain with") for b in at.button)


def test_an_optional_parameter_can_be_emptied_again():
    at = explain(**{"explain.window_sec": "0.25"})
    assert at.number_input(key="explain.window_sec").value == 0.25
    at.number_input(key="explain.window_sec").set_value(None).run()
    assert not at.exception
    assert at.session_state["view"].explain == ()


def test_the_explanation_is_made_with_the_parameters_of_the_link():
    quick = {"explain.n_coalitions": "32", "explain.n_lead_coalitions": "16",
             "explain.top_events": "2"}  # fmt: skip
    at = explain(**quick)
    next(b for b in at.button if b.label.startswith("Explain with")).click().run()
    settled(at)
    for _ in range(20):
        if "Leads by weight" in texts(at):
            break
        time.sleep(0.2)
        settled(at.run())
    assert not at.exception
    assert "Leads by weight" in texts(at)
    again = explain(**quick)
    assert not any(b.label.startswith("Explain with") for b in again.button)


def test_a_new_method_shows_up_by_itself(monkeypatch: pytest.MonkeyPatch):
    added = replace(METHODS["lime"], name="newcomer", title="Newcomer", uses=("baseline", "seed"))
    every = MappingProxyType({**METHODS, "newcomer": added})
    for module in ("app.panels.explain", "app.panels.record_maps", "ecgxai_core.explainers"):
        monkeypatch.setattr(f"{module}.METHODS", every)
    found = used_by(["newcomer"])
    claimed = {name for other in METHODS.values() for name in other.uses}
    assert {name for name in found if name in claimed} == {"baseline", "seed"}
    at = explain(method="newcomer")
    assert not at.exception
    assert any(b.label == "Explain with Newcomer" for b in at.button)
    assert "explain.baseline" in at.session_state
    assert "explain.n_coalitions" not in at.session_state


def test_the_example_of_the_demonstration_is_explained_without_a_click(monkeypatch):
    """Opened by its address the page shows a record that nobody chose, so nobody has to ask."""
    asked, sets = [], services.data_sets
    monkeypatch.setattr("app.data.services.explain_job", lambda view, *_: asked.append(view))
    settings = {"explain.window_sec": "0.3"}  # no map was made with these
    opened("explain", **settings)
    assert asked == [], "people's own records cost nothing without a click"
    monkeypatch.setattr(
        services, "data_sets", lambda: tuple(replace(one, synthetic=True) for one in sets())
    )
    shown = opened("explain", **settings).session_state["view"]
    (view,) = asked
    assert (view.record, view.target) == (shown.record, shown.target)
    opened("explain", record=shown.record, **settings)
    opened("stability", **settings)
    assert len(asked) == 1, "a record that somebody chose, and a page without maps"
    opened("explain", method="grad_cam")
    assert asked[1].method == "grad_cam", "what the page shows"
