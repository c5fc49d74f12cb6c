"""The median beat on ECG paper is drawn to scale, with its map, band and text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import pytest

from ecgxai_core.plots.beat import beat_figure
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.theme import DARK, LIGHT
from ecgxai_core.plots.words import beat_in_words, beat_leads, beat_table
from ecgxai_core.types import STANDARD_LEADS, FloatArray, IntArray

BINS = 80
NAN = float("nan")


@dataclass
class Beat:
    time_sec: FloatArray
    leads: tuple[str, ...]
    signal: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    n: IntArray
    n_beats: int = 9
    confidence: float = 0.95
    segment_sec: float = 0.5


@pytest.fixture
def beat() -> Beat:
    """Evidence for the target in V1 at 205 ms and against it in II at 5 ms (band includes 0).

    aVF was not explored, and the last ten bins of every lead belong to the next beat.
    """
    time = -0.3 + 0.01 * (np.arange(BINS) + 0.5)
    signal = (
        np.tile(np.exp(-0.5 * (time / 0.02) ** 2), (12, 1)) * np.linspace(0.5, 2.2, 12)[:, None]
    )
    mean = np.zeros((12, BINS))
    mean[6, 50], mean[1, 30] = 2.0, -1.0
    low, high = mean - 0.5, mean + 0.5
    high[1, 30] = 0.2
    n = np.full((12, BINS), 9)
    for values in (mean, low, high):
        values[5] = NAN
        values[:, 70:] = NAN
    signal[:, 70:] = NAN
    n[5], n[:, 70:] = 0, 0
    return Beat(time, STANDARD_LEADS, signal, mean, low, high, n)


def named(figure: go.Figure, name: str) -> go.Figure:
    return next(trace for trace in figure.data if trace.name == name)


def heights(trace: go.Figure) -> list[float]:
    return [y for y in trace.y if y is not None]


@pytest.mark.parametrize(("width", "theme"), [(850, LIGHT), (360, DARK)])
def test_all_leads_are_drawn_to_scale(beat, width, theme):
    figure = beat_figure(beat, PaperStyle(width_px=width, theme=theme))
    assert go.Figure(figure.to_dict()) == figure, "built without validation"
    traces = [t for t in figure.data if t.name in STANDARD_LEADS]
    assert [t.name for t in traces] == list(STANDARD_LEADS)
    layout = figure.layout
    assert layout.yaxis.scaleratio == pytest.approx(0.4)
    assert layout.xaxis.dtick == pytest.approx(0.2)
    assert layout.yaxis.dtick == 0.5
    for trace in traces:  # R peaks lie on large grid lines
        known = [(x, y) for x, y in zip(trace.x, trace.y, strict=True) if y is not None]
        assert len(known) == 70
        top = max(known, key=lambda point: point[1])[0]
        assert abs(top / 0.2 - round(top / 0.2)) < 0.06
    last = beat.signal[-1][np.isfinite(beat.signal[-1])]
    assert np.ptp(heights(traces[-1])) == pytest.approx(np.ptp(last), abs=1e-3)
    words = " ".join(note.text for note in layout.annotations)
    assert "25 mm/s, 10 mm/mV; pulse 1 mV, 200 ms" in words
    for lead in STANDARD_LEADS:
        assert f"<b>{lead}</b>" in words


def test_rows_never_overlap(beat):
    figure = beat_figure(beat, PaperStyle(width_px=850))
    band = named(figure, "95% band over beats")
    strips = np.array(heights(band))
    for trace in (t for t in figure.data if t.name in STANDARD_LEADS[:6]):
        assert not np.any((strips > min(heights(trace))) & (strips < max(heights(trace))))


def test_the_overlay_shows_both_signs_and_unexplored_leads(beat):
    figure = beat_figure(beat, PaperStyle(width_px=850))
    cells = next(t for t in figure.data if t.type == "heatmap")
    values = np.array([[NAN if v is None else v for v in row] for row in cells.z], float)
    assert np.nanmax(values) == 1.0
    assert np.nanmin(values) == -0.5
    assert np.isfinite(values).sum() == 2
    assert len(cells.x) == values.shape[1] + 1
    assert len(cells.y) == values.shape[0] + 1
    hatched = named(figure, "not explored")
    assert sum(x is None for x in hatched.x) == 1, "only aVF, not the bins of the next beat"
    assert hatched.fillpattern.shape == "/"


def test_text_and_tables_agree(beat):
    words = beat_in_words(beat, "AF", "R1")
    assert "mean over 9 beats" in words
    assert "lead V1 205 ± 250 ms from the R peak (for, 95% band excludes 0)" in words
    assert "lead II 5 ± 250 ms from the R peak (against, 95% band includes 0)" in words
    rows = beat_leads(beat)
    assert [row["lead"] for row in rows[:2]] == ["V1", "II"]
    assert rows[-1]["lead"] == "aVF"
    assert rows[-1]["beats"] == 0
    assert rows[-1]["direction"] == ""
    table = beat_table(beat)
    assert len(table) == 12 * BINS
    assert table[table["lead"] == "V1"]["mean_per_sec"].max() == 2.0


def test_a_map_without_evidence_is_drawn_and_described(beat):
    beat.mean[np.isfinite(beat.mean)] = 0
    assert "no evidence anywhere" in beat_in_words(beat, "AF", "R1")
    assert beat_figure(beat, PaperStyle()).data
