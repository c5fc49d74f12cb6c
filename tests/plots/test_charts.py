"""Charts of numbers draw the given values, their reference marks and readable names."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.metrics.faithfulness import Curves
from ecgxai_core.plots.charts import box_plots, grouped_bars, interval_plot, paired_plot
from ecgxai_core.plots.curves import curve_table, removal_curves
from ecgxai_core.plots.dose import Dose, dose_chart
from ecgxai_core.plots.maps import MapPanel, Trace, map_panels, sweep_map
from ecgxai_core.plots.theme import DARK, LIGHT


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target_name": ["a long name of a class"] * 4 + ["b"] * 4,
            "record": ["1", "1", "2", "2", "3", "3", "4", "4"],
            "method": ["lime", "fused"] * 4,
            "m": [0.1, 0.2, 0.3, 0.5, 0.6, 0.4, 0.7, 0.9],
            "m_random": 0.5,
            "m_empty": [0.4] * 4 + [None] * 4,
            "m_ceiling": float("nan"),
        }
    )


def test_box_plots_show_every_record_and_existing_marks():
    figure = box_plots(table(), "m", "Metric", DARK)
    boxes = [trace for trace in figure.data if trace.type == "box"]
    assert sorted(box.name for box in boxes) == ["fused", "lime"]
    assert sum(len(box.y) for box in boxes) == 8
    marks = {trace.name: trace for trace in figure.data if trace.type == "scatter"}
    assert set(marks) == {"random map", "empty map"}, "no mark for a missing value"
    assert list(marks["empty map"].y) == [0.4]
    assert figure.layout.paper_bgcolor == DARK.paper


def test_intervals_are_relative_to_the_mean():
    summary = pd.DataFrame(
        {
            "target_name": ["a", "a"],
            "method": ["lime", "fused"],
            "n": [5, 1],
            "mean": [0.5, 0.7],
            "ci_low": [0.4, math.nan],
            "ci_high": [0.7, math.nan],
            "random": [0.5, 0.5],
            "empty": [math.nan, math.nan],
            "ceiling": [0.9, 0.9],
        }
    )
    figure = interval_plot(summary, "Metric", LIGHT)
    lime = next(trace for trace in figure.data if trace.name == "lime")
    assert np.allclose([lime.error_x.array[0], lime.error_x.arrayminus[0]], [0.2, 0.1])
    fused = next(trace for trace in figure.data if trace.name == "fused")
    assert fused.error_x.array[0] == 0
    assert {t.name for t in figure.data} == {"lime", "fused", "random map", "best possible"}


def test_paired_plots_have_equal_axes():
    frame = pd.DataFrame({"target_name": ["a"], "record": ["r"], "lime": [0.2], "fused": [0.6]})
    figure = paired_plot(frame, "lime", "fused", "Metric", LIGHT)
    assert tuple(figure.layout.xaxis.range) == tuple(figure.layout.yaxis.range)
    assert figure.data[0].x[0] == 0.2
    assert figure.data[0].y[0] == 0.6


def test_bars_are_labelled_with_their_values():
    frame = pd.DataFrame({"map": ["x", "y"], "one": [0.5, math.nan], "two": [0.9, 0.8]})
    bars = {"one": "One", "two": "Two"}
    figure = grouped_bars(frame, "map", bars, LIGHT, title="t", chance=0.5)
    assert list(figure.data[0].text) == ["0.50", ""]
    assert figure.layout.shapes[0].y0 == 0.5


def test_removal_curves_reverse_the_random_band_for_insertion():
    line = np.linspace(1, 0, 5)
    curves = Curves(np.linspace(0, 1, 5), line, 1 - line, line - 0.1, line, line + 0.1)
    figure = removal_curves({"lime": curves, "fused": curves}, LIGHT)
    means = [trace for trace in figure.data if trace.name == "random order"]
    assert np.allclose(means[0].y, line)
    assert np.allclose(means[1].y, line[::-1])


def test_removal_curves_stand_beside_the_signal_alone_and_name_every_line():
    line = np.linspace(1, 0, 5)
    energy = (line**4, 1 - line**4)
    curves = Curves(np.linspace(0, 1, 5), line, 1 - line, line, line, line, {"energy": energy})
    other = replace(curves, deletion=line**9, insertion=line**9)
    figure = removal_curves({"LIME": curves, "Fused": other}, LIGHT, shown="LIME")
    drawn = [trace for trace in figure.data if trace.name == "signal's slope"]
    assert np.allclose([trace.y for trace in drawn], energy)
    assert not any(trace.showlegend for trace in figure.data)
    for axis in ("x", "x2"):
        names = [note.text for note in figure.layout.annotations[2:] if note.xref == axis]
        assert sorted(names) == ["<b>LIME</b>", "Fused", "random order", "signal's slope"]
    width = {t.name: t.line.width for t in figure.data if t.line.width}
    assert width["LIME"] > 2 * width["Fused"], "the map that the page is about"
    narrow = removal_curves({"LIME": curves}, LIGHT, narrow=True)
    assert narrow.layout.yaxis.domain[0] > narrow.layout.yaxis2.domain[1], "one below the other"
    table = curve_table({"LIME": curves})
    assert list(table["map"].unique()) == ["LIME", "LIME: signal's slope"]
    assert len(table) == 10


def test_maps_that_coincide_have_one_name():
    line = np.linspace(1, 0, 5)
    beside = {"amplitude": (line**4, 1 - line**4), "energy": (line**4.1, 1 - line**4.1)}
    curves = Curves(np.linspace(0, 1, 5), line, 1 - line, line, line, line, beside)
    near, apart = replace(curves, deletion=line - 0.01), replace(curves, deletion=line**2.5)
    figure = removal_curves({"A": near, "B": apart, "Fused": curves}, LIGHT, shown="Fused")
    names = {
        axis: {note.text for note in figure.layout.annotations[2:] if note.xref == axis}
        for axis in ("x", "x2")
    }
    beside_them = {"random order", "signal's slope, amplitude"}
    assert names["x"] == {"<b>Fused</b>, A", "B", *beside_them}
    assert names["x2"] == {"all maps", *beside_them}, "all insert alike"
    assert {t.name for t in figure.data} >= {"A", "B", "Fused"}, "each line is drawn"


def test_the_signal_alone_shares_the_name_of_maps_that_it_coincides_with():
    line = np.linspace(1, 0, 5)
    beside = {"amplitude": (line**4, 1 - line), "energy": (line**4, 1 - line)}
    curves = Curves(np.linspace(0, 1, 5), line, 1 - line, line**3, line**3, line**3, beside)
    figure = removal_curves(dict.fromkeys(("A", "B", "Fused"), curves), LIGHT, shown="Fused")
    names = {note.text for note in figure.layout.annotations[2:] if note.xref == "x2"}
    assert names == {"all maps and the signal alone", "random order"}


def test_the_name_of_coinciding_curves_stands_at_them_and_on_none_of_them():
    """They rise at once and stay high: beside the foot of that rise nothing is in the way, but
    there the name would stand at the random order."""
    share = np.linspace(0, 1, 11)
    rise = np.array([0.06, *[0.998] * 9, 0.975])
    random = np.array([0.06, 0.11, 0.34, 0.58, 0.79, 0.885, 0.93, 0.955, 0.965, 0.975, 0.975])
    low = np.minimum(rise, 0.97)
    beside = {"amplitude": (low[::-1], low), "energy": (low[::-1], low - 0.005)}
    drop = np.array([0.975, 0.06, *[0.003] * 8, 0.06])
    curves = Curves(share, drop, rise, random[::-1], random[::-1], random[::-1], beside)
    figure = removal_curves(dict.fromkeys(("A", "B", "Fused"), curves), LIGHT, shown="Fused")
    (note,) = (n for n in figure.layout.annotations[2:] if n.text.startswith("all maps and"))
    at = np.linspace(note.x - 0.19, note.x + 0.19, 50)  # 29 letters are 0.4 of the width
    lowest, half = np.interp(at, share, low - 0.005), 0.5 * 15 / 240
    assert np.all(note.y + half < lowest + 0.005), "below the curves, covering none"
    assert note.y > 0.85, "and near them"
    assert np.all(note.y - half > np.interp(at, share, random)), "above the random order"


def test_a_dose_chart_says_whose_threshold_it_is_and_what_its_upright_lines_are():
    sizes = np.array([-0.1, 0.0, 0.1, 0.2])
    curves = {"LBBB": np.array([0.9, 0.95, 0.9, 0.4]), "NSR": np.array([0.5, 0.5, 0.4, 0.3])}
    dose = Dose("ST level (mV)", sizes, 0.0, curves, 0.12, 0.2, [False, False, False, True])
    figure = dose_chart(dose, LIGHT)
    notes = {note.text: note for note in figure.layout.annotations}
    assert {"<b>LBBB</b>", "NSR", "LBBB: threshold 0.12", "as recorded", "now"} == set(notes)
    assert (notes["as recorded"].x, notes["now"].x) == (0.0, 0.2)
    grey = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(shape.x0, shape.x1) for shape in grey] == [(pytest.approx(0.15), 0.2)]
    assert "rare in PTB-XL" in figure.layout.xaxis.title.text
    still = dose_chart(Dose("x", sizes, 0.0, curves, 0.12, 0.0, [False] * 4), LIGHT)
    texts = [note.text for note in still.layout.annotations]
    assert "as recorded" in texts
    assert "now" not in texts, "it is the record as recorded"
    assert "rare" not in still.layout.xaxis.title.text, "no grey, no key to it"


def test_thresholds_are_ticks_that_no_curve_crosses_in_colours_that_differ():
    sizes, names = np.array([0.0, 0.5, 1.0]), ("AF", "STTC", "NORM", "NSR", "TAb", "CD")
    curves = {name: np.full(3, 0.1 * k) for k, name in enumerate(names, 1)}
    limits = {name: 0.14 * k for k, name in enumerate(names, 1) if name != "CD"}
    figure = dose_chart(
        Dose("x", sizes, 0.0, curves, limits["AF"], 1.0, [False] * 3, limits), LIGHT
    )
    ticks = [one for one in figure.layout.shapes if one.type == "line" and one.y0 == one.y1][::-1]
    assert [one.y0 for one in ticks] == [limits[name] for name in names[:-1]]
    assert all(one.x0 == sizes[-1] < one.x1 for one in ticks), "right of all curves"
    marks = {t.name: t.marker for t in figure.data if t.mode == "markers"}
    assert [one.line.color for one in ticks] == [marks[name].color for name in names[:-1]]
    assert ticks[0].line.width > max(one.line.width for one in ticks[1:]), "the target's"
    assert marks["AF"].size > max(marks[name].size for name in names[1:])
    assert len({mark.color for mark in marks.values()}) == len(names)
    blue = [name for name, mark in marks.items() if int(mark.color[5:], 16) > 180
            and int(mark.color[1:3], 16) < 120]  # fmt: skip
    assert blue == ["AF"], "no other class has a blue"


def test_a_class_is_drawn_solid_from_its_own_threshold_on():
    """A line from 0.2 at size 0 to 0.6 at size 4 crosses 0.3 at 1 and 0.5 at 3."""
    sizes, line = np.array([0.0, 4.0, 5.0, 6.0]), np.array([0.2, 0.6, np.nan, 0.6])
    curves, limits = {"A": line, "B": line}, {"A": 0.3, "B": 0.5}
    figure = dose_chart(Dose("x", sizes, 0.0, curves, 0.3, 0.0, [False] * 4, limits), LIGHT)
    for name, crossing in (("A", 1.0), ("B", 3.0)):
        own = {t.line.dash: t for t in figure.data if t.name == name and t.mode == "lines"}
        drawn = {
            dash: [(x, y) for x, y in zip(t.x, t.y, strict=True) if np.isfinite(y)]
            for dash, t in own.items()
        }
        assert drawn["dot"] == [(0.0, 0.2), (pytest.approx(crossing), limits[name])]
        assert drawn["solid"] == [(pytest.approx(crossing), limits[name]), (4.0, 0.6), (6.0, 0.6)]
        assert np.isnan(own["solid"].y[list(own["solid"].x).index(5.0)]), "no line over a gap"
        marks = next(t for t in figure.data if t.name == name and t.mode == "markers")
        assert [marks.marker.symbol[i] for i in (0, 1, 3)] == ["circle-open", "circle", "circle"]
        assert [marks.customdata[i] for i in (0, 1, 3)] == ["not called", "called", "called"]
    assert "called by its own threshold" in figure.layout.xaxis.title.text


def test_maps_hatch_exactly_the_unexplored_cells():
    values = np.array([[0.5, np.nan, np.nan], [np.nan, -1.0, 0.0]])
    panel = MapPanel("A", ("I", "II"), np.array([0.0, 1.0, 2.0, 4.0]), values)
    trace = Trace("Lead II", np.arange(5.0), np.zeros(5))
    figure = map_panels([panel, panel], LIGHT, traces=[trace])
    hatch = next(t for t in figure.data if t.name == "not explored")
    boxes = np.array([x for x in hatch.x if x is not None]).reshape(-1, 5)
    assert [(box.min(), box.max()) for box in boxes] == [(1, 4), (0, 1)]
    maps = [t for t in figure.data if t.type == "heatmap"]
    assert len(maps) == 2
    assert {t.coloraxis for t in maps} == {"coloraxis"}, "one scale"
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)
    axes = [figure.layout[name].matches for name in ("xaxis", "xaxis2")]
    assert axes == ["x3", "x3"], "all panels zoom together"


@pytest.mark.parametrize("chance", [0.5, math.nan])
def test_a_sweep_outlines_the_best_cell_and_crosses_those_at_chance(chance):
    values = np.array([[0.4, 0.6, np.nan], [0.5, 0.55, 0.7]])
    figure = sweep_map(
        ("beta", (0.0, 0.5, 1.0)), ("agg", ("min", "max")), values, "AttAUC", LIGHT,
        chance=chance, current=(0.5, "min"),
    )  # fmt: skip
    best, current = figure.layout.shapes
    assert ((best.x0 + best.x1) / 2, (best.y0 + best.y1) / 2) == pytest.approx((2, 1))
    assert ((current.x0 + current.x1) / 2, (current.y0 + current.y1) / 2) == pytest.approx((1, 0))
    crossed = [[str(cell).endswith("×") for cell in line] for line in figure.data[0].text]
    expected = [[True, False, False], [True, False, False]] if chance == 0.5 else [[False] * 3] * 2
    assert crossed == expected
    assert figure.data[0].text[0][2] == "–"
