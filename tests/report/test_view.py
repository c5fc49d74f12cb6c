"""A saved chart works offline, embeds plotly.js once, and escapes hostile text."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from ecgxai_core.report import view_html

EVIL = "</script><script>alert(1)</script>"


def test_hostile_text_is_escaped():
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], name=EVIL))
    figure.update_layout(title={"text": EVIL})
    text = view_html(
        EVIL,
        [(EVIL, figure, EVIL)],
        facts={EVIL: EVIL},
        tables={EVIL: pd.DataFrame({EVIL: [EVIL]})},
    )
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_plotly_is_embedded_once_and_loading_is_forbidden():
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1]))
    one = view_html("a", [("first", figure, "a line")])
    two = view_html("a", [("first", figure, "a line"), ("second", figure, "a line")])
    assert len(one) > 1_000_000
    assert len(two) - len(one) < 50_000
    assert "default-src 'none'" in one
    assert "connect-src" not in one
    assert '<script src="http' not in one


def test_tables_are_shown_below_the_charts():
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 1]))
    frame = pd.DataFrame({"lead": ["II"], "share": [0.25]})
    text = view_html("a", [("", figure, "a line")], tables={"Leads": frame})
    assert "<td>II</td>" in text
    assert "0.250" in text
