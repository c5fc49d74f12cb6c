"""The view as a URL, and what pages may not do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from app.shell.jobs import escaped
from app.shell.state import View, from_query, slug, to_query, with_explain
from ecgxai_core.aggregations import AGGREGATIONS
from ecgxai_core.params import FusionParams, profile
from tests.app.conftest import REPO

TEXT = some.text(min_size=1, max_size=30)


@given(
    data=TEXT,
    record=TEXT,
    beta=some.floats(0, 1),
    agg=some.sampled_from(list(AGGREGATIONS)),
    share=some.none() | some.floats(0.1, 1),
    name=some.sampled_from(["default", "reference"]),
    start=some.none() | some.integers(0, 1000).map(float),
    part=some.sampled_from(["", "two-models"]),
    explain=some.fixed_dictionaries(
        {},
        optional={
            "n_coalitions": some.integers(16, 1000),
            "window_sec": some.none() | some.floats(0.02, 10),
            "baseline": some.sampled_from(["zero", "mean", "linear"]),
            "lead_priors": some.booleans(),
        },
    ),
)
def test_a_link_restores_the_view(
    data: str,
    record: str,
    beta: float,
    agg: Any,
    share: float | None,
    name: str,
    start: float | None,
    part: str,
    explain: dict[str, Any],
) -> None:
    n = len(profile(name).methods)
    weights = None if share is None else (share, *[1.0] * (n - 1))
    fusion = profile(name).fusion.updated(beta=beta, agg=agg, method_weights=weights)
    view = View(data=data, record=record, profile=name, fusion=fusion, start=start, part=part)
    view = replace(view, explain=with_explain(view, explain))
    for field, value in explain.items():
        assert getattr(view.parameters.lime, field) == value
        assert getattr(view.parameters.explain, field) == value
    again, problems = from_query(to_query(view))
    assert problems == ()
    assert again == view


@given(some.dictionaries(some.sampled_from([*FusionParams.model_fields, "start", "profile"]), TEXT))
def test_any_link_gives_a_view(query: dict[str, str]) -> None:
    view, _ = from_query(query)
    assert from_query(to_query(view))[0] == view


def test_a_plain_view_needs_no_url() -> None:
    assert to_query(View()) == {}


def test_what_equals_the_profile_stays_out_of_the_url() -> None:
    usual = profile("reference").lime
    view = View(profile="reference")
    assert with_explain(view, {"n_coalitions": usual.n_coalitions, "seed": usual.seed}) == ()
    changed = replace(view, explain=with_explain(view, {"link": "logit"}))
    assert to_query(changed)["explain.link"] == "logit"  # LIME's is the probability
    assert changed.parameters.lime.link == "logit"


def test_a_bad_explanation_parameter_is_refused_and_the_others_stay() -> None:
    view, problems = from_query({"explain.n_coalitions": "3", "explain.window_sec": "0.2"})
    assert view.explain == (("window_sec", "0.2"),)
    assert len(problems) == 1
    assert "n_coalitions" in problems[0]


def test_slug() -> None:
    assert slug("Selection (sel_df)") == "selection-sel-df"


@given(some.text())
def test_escaped_text_keeps_every_character(text: str) -> None:
    shown = escaped(text)
    assert shown.replace("\\", "") == text.replace("\\", "")
    for place, sign in enumerate(shown):
        if sign in "<[*_`":
            assert shown[place - 1] == "\\"


def test_the_frame_does_not_load_tensorflow() -> None:
    code = (
        "import sys, app.shell.frame, app.panels.explain, app.panels.ecg\n"
        "import app.panels.records, app.panels.explain\n"
        "assert not {'tensorflow', 'keras', 'shap', 'lime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True, timeout=120)


def test_no_page_writes_html_or_css() -> None:
    for path in (*REPO.glob("pages/*.py"), *REPO.glob("app/*.py")):
        text = path.read_text("utf-8")
        assert "unsafe_allow_html" not in text, path.name
        assert "st.html(" not in text, path.name
        if path.parent.name == "pages":
            assert len(text.splitlines()) < 115, path.name
            assert "import numpy" not in text, path.name
