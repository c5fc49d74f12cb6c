"""The picture of the extra-beat test: one scale, the same lead twice, and what was not compared."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.plots.extra_beat import Side, extra_beat_figure
from ecgxai_core.plots.ramp import ramp_colour
from ecgxai_core.plots.sheet import PaperStyle

LEADS = ("I", "V1")
SECONDS = np.arange(500) / 100
SHARE = np.array([[0.02, 0.0, np.nan, 0.0, 0.0], [1.0, -0.5, np.nan, 0.04, 0.0]])


def side(title: str) -> Side:
    edges = np.arange(6.0)
    return Side(title, SECONDS, 0.5 * np.sin(7 * SECONDS), LEADS, edges, SHARE)


def figure(**more):
    return extra_beat_figure(
        [side("as recorded"), side("changed")], "V1", PaperStyle(width_px=1000),
        inserted_sec=(2.0, 3.0), compared_sec=np.array([[0.5, 2.0], [3.0, 4.0]]), **more,
    )  # fmt: skip


def spans(drawn, name: str, axis: str) -> set[tuple[float, float]]:
    found = [t for t in drawn.data if t.name == name and t.yaxis == axis]
    values = [x for t in found for x in t.x if x is not None]
    boxes = np.array(values).reshape(-1, 5)
    return {(float(box.min()), float(box.max())) for box in boxes}


def test_cells_of_the_lead_have_the_viewer_s_colours_and_hang_by_their_sign() -> None:
    drawn = figure(least=0.05)
    bands = [t for t in drawn.data if t.name == "evidence" and t.yaxis == "y"]
    fills = {(min(t.x), max(t.x), t.fillcolor): t for t in bands}
    strong = fills[0.0, 1.0, ramp_colour(1.0, PaperStyle().theme)]
    weak = fills[1.0, 2.0, ramp_colour(-0.5, PaperStyle().theme)]
    low, high = drawn.layout.yaxis.range
    assert (min(strong.y), max(strong.y)) == pytest.approx((low, high)), "the largest fills the row"
    assert min(weak.y) == pytest.approx(low), "against stands on the bottom"
    assert max(weak.y) == pytest.approx(low + 0.65 * (high - low))
    assert not [key for key in fills if key[0] == 3.0], "below the least share"


def test_both_records_share_scale_lead_and_time() -> None:
    drawn = figure()
    traces = [t for t in drawn.data if t.name == "V1"]
    assert [t.yaxis for t in traces] == ["y", "y3"]
    maps = [t for t in drawn.data if t.type == "heatmap"]
    assert {t.coloraxis for t in maps} == {"coloraxis"}
    assert {t.xaxis for t in drawn.data} == {"x"}
    assert drawn.layout.yaxis.range == drawn.layout.yaxis3.range
    assert drawn.layout.yaxis.scaleanchor == "x", "the paper's aspect is locked"
    assert drawn.layout.yaxis.scaleratio == pytest.approx(10 / 25)


def test_what_was_not_compared_and_not_explored_is_hatched_once() -> None:
    drawn = figure()
    assert not [t for t in drawn.data if t.name == "not explored" and t.yaxis in ("y", "y2")], (
        "the room for the added beat is nothing that could have been explored"
    )
    assert spans(drawn, "not explored", "y4") == {(2.0, 3.0)}
    assert spans(drawn, "not compared", "y2") == {(0.0, 0.5), (4.0, 5.0)}
    assert spans(drawn, "not compared", "y") == {(0.0, 0.5), (4.0, 5.0)}, "on the paper too"


def test_the_beat_that_was_doubled_is_named_on_the_original() -> None:
    """The added beat, from 2 to 3 s, is a copy of the second before it."""
    (note,) = (n for n in figure().layout.annotations if n.text == "doubled")
    low, high = figure().layout.yaxis.domain
    assert (note.x, note.xref) == (1.5, "x")
    assert low <= note.y < high
    cut = figure(span_sec=(1.8, 4.0)).layout.annotations
    assert not [n for n in cut if n.text == "doubled"], "it is not in the picture"


def test_a_narrow_screen_shows_a_part() -> None:
    drawn = figure(span_sec=(1.0, 4.0))
    assert drawn.layout.xaxis.range[1] == pytest.approx(4.05)
    assert drawn.layout.xaxis.range[0] < 1.0


def test_a_tall_trace_is_drawn_at_half_gain() -> None:
    tall = Side("tall", SECONDS, 3 * np.sin(7 * SECONDS), LEADS, np.arange(6.0), SHARE)
    drawn = extra_beat_figure(
        [tall, tall], "V1", PaperStyle(), inserted_sec=(2.0, 3.0), compared_sec=np.array([[0.0, 5]])
    )
    (trace, _) = (t for t in drawn.data if t.name == "V1")
    assert np.allclose(trace.y, tall.trace / 2, atol=1e-5)
    assert "5 mm/mV" in drawn.layout.annotations[-1].text


def test_what_carries_no_evidence_is_named_where_it_is() -> None:
    drawn = figure()
    axes = {"y2": [], "y4": []}
    for note in drawn.layout.annotations:
        if note.yref in axes:
            axes[note.yref].append((note.x, note.text))
    assert sorted(axes["y2"]) == [
        (0.25, "not compared"), (2.5, "room for the added beat"), (4.5, "not compared"),
    ]  # fmt: skip
    assert sorted(axes["y4"]) == [
        (0.25, "not compared"), (2.5, "not explored"), (4.5, "not compared"),
    ]  # fmt: skip


def test_the_added_beat_is_named_and_what_the_model_does_not_get_is_faded() -> None:
    share, edges = np.nan_to_num(SHARE), np.linspace(0.0, 4.5, 6)
    one = Side("a", SECONDS, 0.5 * np.sin(7 * SECONDS), LEADS, edges, share)
    drawn = extra_beat_figure(
        [one, one], "V1", PaperStyle(width_px=1000),
        inserted_sec=(2.0, 3.0), compared_sec=np.array([[0.0, 2.0], [3.0, 4.5]]),
    )  # fmt: skip
    names = {(note.yref, note.text) for note in drawn.layout.annotations if note.yref != "paper"}
    outside = "outside the model's input"
    assert names == {
        ("y2", "not compared"), ("y2", outside),
        ("y4", "added beat, not compared"), ("y4", outside),
    }  # fmt: skip
    faded = [s for s in drawn.layout.shapes if s.yref in ("y", "y3")]
    assert [(s.x0, s.yref) for s in faded] == [(4.5, "y"), (4.5, "y3")]
    assert all(s.x1 == pytest.approx(4.99) for s in faded)
    assert not [s for s in figure().layout.shapes if s.yref in ("y", "y3")], "it gets all of it"
