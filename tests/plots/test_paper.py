"""The ECG paper: scale, layouts, overlay, size of the figure."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from ecgxai_core.plots.layout import CABRERA, LAYOUTS, panels
from ecgxai_core.plots.overlay import ALPHA
from ecgxai_core.plots.paper import PaperStyle, ecg_figure, thinned
from ecgxai_core.plots.theme import DARK, LIGHT, veil
from ecgxai_core.types import STANDARD_LEADS, Attribution, FusedMap, Provenance, Record

FROM = Provenance("", "", {}, 0, "")
EDGES = np.arange(21) * 0.5


def record(seconds: float = 10.0, fs: float = 500.0) -> Record:
    rng = np.random.default_rng(1)
    signal = rng.normal(0, 0.3, (12, round(seconds * fs))).astype(np.float32)
    return Record("R1", signal, fs, STANDARD_LEADS)


def attribution(explored: slice = slice(None)) -> Attribution:
    weights = np.random.default_rng(2).normal(size=(12, 20)).astype(np.float32)
    known = np.zeros((12, 20), dtype=bool)
    known[:, explored] = True
    return Attribution("R1", "1", "lime", 0.9, STANDARD_LEADS, EDGES, weights, known, FROM)


def fused(item: Attribution) -> FusedMap:
    agreement = np.where(item.explored, 2, 0).astype(np.int8)
    agreement[3, 4] = -1
    return FusedMap(
        "R1", "1", ("lime", "timeshap"), 0.9, item.leads, EDGES, item.weights, item.explored,
        agreement, {}, (), {}, FROM,
    )  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("overlaid", [False, True])
def test_a_figure_is_small(layout: str, overlaid: bool) -> None:
    overlay = fused(attribution(slice(0, 20, 3))) if overlaid else None
    figure = ecg_figure(record(), PaperStyle(layout=layout), overlay=overlay)
    assert len(figure.to_json()) < 250_000


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [360, 850])
def test_plotly_accepts_every_property(layout: str, width: int) -> None:
    """Figures are built without validation, for speed; here they are validated."""
    style = PaperStyle(layout=layout, theme=DARK, width_px=width)
    item = fused(attribution(slice(0, 20, 3)))
    for figure in (
        ecg_figure(record(), style),
        ecg_figure(record(), style, overlay=item),
    ):
        again = go.Figure(figure.to_dict())
        assert json.loads(again.to_json()) == json.loads(figure.to_json())


@pytest.mark.parametrize(("speed", "gain"), [(25, 10), (50, 10), (25, 5), (50, 20)])
def test_a_small_box_is_one_millimetre_wide_and_high(speed: float, gain: float) -> None:
    figure = ecg_figure(record(), PaperStyle(speed_mm_s=speed, gain_mm_mv=gain))
    x, y = figure.layout.xaxis, figure.layout.yaxis
    assert x.minor.dtick == pytest.approx(1 / speed)
    assert y.minor.dtick == pytest.approx(0.1)  # 1 mm: the y axis is in mV at 10 mm/mV
    assert x.dtick == pytest.approx(5 * x.minor.dtick)
    assert y.dtick == pytest.approx(5 * y.minor.dtick)
    assert y.scaleanchor == "x"
    assert y.scaleratio * y.minor.dtick == pytest.approx(x.minor.dtick)


@pytest.mark.parametrize("gain", [5, 10, 20])
def test_pulse_is_one_millivolt_and_200_ms(gain: float) -> None:
    figure = ecg_figure(record(), PaperStyle(gain_mm_mv=gain, speed_mm_s=50))
    pulse = next(trace for trace in figure.data if "calibration" in (trace.name or ""))
    assert pulse.y[2] - pulse.y[1] == pytest.approx(gain / 10)
    assert pulse.x[3] - pulse.x[2] == pytest.approx(0.2)


def test_the_scale_text_is_anchored_to_the_paper() -> None:
    figure = ecg_figure(record(), PaperStyle(filter_text="display 0.05-40 Hz"))
    text = next(note for note in figure.layout.annotations if "mm/s" in note.text)
    assert "25 mm/s, 10 mm/mV" in text.text
    assert "display 0.05-40 Hz" in text.text
    assert (text.xref, text.yref) == ("x domain", "y domain")


def test_traces_are_to_scale_and_avr_is_inverted_in_cabrera_order() -> None:
    item = record(4.0, 100.0)
    style = PaperStyle(layout="12x1", cabrera=True, gain_mm_mv=20)
    figure = ecg_figure(item, style)
    places = panels("12x1", item.leads, 0.0, item.duration, cabrera=True)
    assert tuple(panel.label for panel in places) == CABRERA
    panel = places[2]
    trace = next(trace for trace in figure.data if trace.name == "-aVR")
    expected = -2 * item.signal[STANDARD_LEADS.index("aVR")] + panel.offset
    np.testing.assert_allclose(np.asarray(trace.y), expected, atol=1e-5)


def test_rows_of_3x4_split_the_time_and_end_with_a_rhythm_strip() -> None:
    places = panels("3x4+II", STANDARD_LEADS, 0.0, 10.0)
    assert len(places) == 13
    assert (places[-1].lead, places[-1].start, places[-1].stop) == ("II", 0.0, 10.0)
    assert [p.lead for p in places if p.start == 2.5] == ["aVR", "aVL", "aVF"]


def test_thinning_keeps_ends_and_extremes() -> None:
    signal = np.zeros((12, 50_000), np.float32)
    signal[1, 31_234], signal[1, 777] = 3.0, -2.0
    item = Record("R", signal, 500.0, STANDARD_LEADS)
    panel = next(p for p in panels("12x1", item.leads, 0, 100) if p.lead == "II")
    times, values = thinned(item, panel)
    assert len(times) <= 1200
    assert values.max() == 3.0
    assert values.min() == -2.0
    assert times[0] == 0
    assert times[-1] == pytest.approx(49_999 / 500)


def test_a_zoomed_part_shows_every_sample() -> None:
    item = record(100.0)
    panel = next(p for p in panels("12x1", item.leads, 40.0, 42.0) if p.lead == "V1")
    times, _ = thinned(item, panel)
    assert len(times) == 1000


def test_unexplored_cells_are_hatched_and_have_no_value() -> None:
    figure = ecg_figure(record(), PaperStyle(), overlay=attribution(slice(0, 5)))
    hatched = next(trace for trace in figure.data if trace.name == "not explored")
    assert hatched.fillpattern.shape == "/"
    assert min(x for x in hatched.x if x is not None) == pytest.approx(2.5)
    cells = next(trace for trace in figure.data if trace.name == "explanation")
    right = np.asarray(cells.x)[:-1] >= 2.5
    values = np.array(json.loads(json.dumps(list(map(list, cells.z)))), dtype=object)
    assert all(value is None for value in values[:, right].ravel())


def test_the_sign_is_also_shown_by_position() -> None:
    weights = np.zeros((12, 20), np.float32)
    weights[0, 0], weights[0, 1] = 1.0, -1.0
    item = Attribution(
        "R1", "1", "lime", 0.9, STANDARD_LEADS, EDGES, weights, np.ones((12, 20), bool), FROM
    )
    figure = ecg_figure(record(), PaperStyle(layout="12x1"), overlay=item)
    cells = next(trace for trace in figure.data if trace.name == "explanation")
    rows = [list(row) for row in cells.z]
    top = [row for row in rows if any(value and value > 0 for value in row)]
    low = [row for row in rows if any(value and value < 0 for value in row)]
    assert len(top) == len(low) == 1
    assert rows.index(top[0]) == rows.index(low[0]) + 1


def test_disagreements_have_a_mark_and_the_scale_is_symmetric() -> None:
    figure = ecg_figure(record(), PaperStyle(layout="12x1"), overlay=fused(attribution()))
    assert any(trace.name == "disagreement" for trace in figure.data)
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmid, axis.cmax) == (-1, 0, 1)
    assert "attribution" in axis.colorbar.title.text


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_overlay_is_never_opaque(theme) -> None:  # type: ignore[no-untyped-def]
    alphas = [float(str(colour).rstrip(")").split(",")[-1]) for _, colour in veil(theme)]
    assert max(alphas) <= ALPHA == 0.35
    assert alphas == alphas[::-1]
