"""Printed pages are to scale."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from ecgxai_core.errors import ParameterError
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.pdf import (
    MOST_PAGES,
    PAGE_MM,
    Caption,
    ecg_pages,
    ecg_pdf,
    ecg_png,
    ecg_svg,
    page_windows,
)
from ecgxai_core.plots.theme import LIGHT
from ecgxai_core.simulation import simulate
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record

FS = 500


@pytest.fixture
def record() -> Record:
    """10 s; lead II is at 1 mV from 2 s to 4 s, the others are flat."""
    signal = np.zeros((12, 10 * FS), np.float32)
    signal[1, 2 * FS : 4 * FS] = 1.0
    return Record("ruler", signal, FS, STANDARD_LEADS)


def lines(page):
    """Lines of a page by gid, in mm measured in pixels, independently of the page scale."""
    figure, axes = page.figure, page.figure.axes[0]
    found = {}
    for line in axes.lines:
        pixels = axes.transData.transform(np.column_stack(line.get_data()))
        found.setdefault(line.get_gid(), pixels / figure.dpi * 25.4)
    return found


@pytest.mark.parametrize(("speed", "gain"), [(25, 10), (50, 10), (25, 5), (25, 20)])
def test_seconds_and_millivolts_are_to_scale(record, speed, gain):
    style = PaperStyle(layout="12x1", speed_mm_s=speed, gain_mm_mv=gain)
    page = ecg_pages(record, style, Caption("x"))[0]
    trace = lines(page)["II"]
    rise = trace[np.argmax(np.diff(trace[:, 1]))]
    fall = trace[np.argmin(np.diff(trace[:, 1]))]
    assert np.ptp(trace[:, 1]) == pytest.approx(gain, abs=0.01)
    assert fall[0] - rise[0] == pytest.approx(2 * speed, abs=0.2)


@pytest.mark.parametrize("layout", ["12x1", "6x2", "3x4+II"])
def test_the_calibration_pulse_is_1_mv_and_200_ms(record, layout):
    page = ecg_pages(record, PaperStyle(layout=layout), Caption("x"))[0]
    pulses = {gid: line for gid, line in lines(page).items() if str(gid).startswith("calibration")}
    assert len(pulses) == {"12x1": 12, "6x2": 6, "3x4+II": 4}[layout]
    for pulse in pulses.values():
        assert np.ptp(pulse[:, 1]) == pytest.approx(10, abs=0.01)
        top = pulse[pulse[:, 1] > pulse[:, 1].mean()]
        assert np.ptp(top[:, 0]) == pytest.approx(5, abs=0.01)


def test_grid_boxes_are_1_and_5_mm_and_start_with_the_trace(record):
    page = ecg_pages(record, PaperStyle(), Caption("x"))[0]
    small, large = page.figure.axes[0].collections[:2]
    for grid, step in ((small, 1.0), (large, 5.0)):
        down = sorted({s[0][0] for s in grid.get_segments() if s[0][0] == s[1][0]})
        assert np.allclose(np.diff(down), step)
        assert any(abs(x - page.x_mm(0.0)) < 1e-9 for x in down)


def test_traces_stay_on_the_page(record):
    for layout in ("12x1", "6x2", "3x4+II"):
        for line in lines(ecg_pages(record, PaperStyle(layout=layout), Caption("x"))[0]).values():
            assert line[:, 0].min() > 5
            assert line[:, 0].max() < PAGE_MM[0] - 5


def test_the_pdf_page_is_a4_landscape(record):
    data = ecg_pdf(record, PaperStyle(), Caption("x"))
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", data)
    assert box is not None
    assert float(box[1]) / 72 * 25.4 == pytest.approx(297, abs=0.01)
    assert float(box[2]) / 72 * 25.4 == pytest.approx(210, abs=0.01)


def test_the_same_input_gives_the_same_bytes(record):
    first, second = (ecg_pdf(record, PaperStyle(), Caption("x")) for _ in range(2))
    assert first == second
    assert ecg_svg(record, PaperStyle(), Caption("x")) == ecg_svg(
        record, PaperStyle(), Caption("x")
    )


def test_a_long_record_takes_several_pages():
    assert page_windows(0, 10, 25) == [(0, 10)]
    assert page_windows(0, 25, 25) == [(0, 10), (10, 20), (20, 25)]
    assert page_windows(0, 10, 50) == [(0, 5), (5, 10)]
    with pytest.raises(ParameterError, match="pages"):
        page_windows(0, 10 * MOST_PAGES + 1, 25)


def test_formulas_and_tags_in_names_are_plain_text(record):
    data = ecg_pdf(record, PaperStyle(), Caption("$\\frac{", ("<script>$x$",), ("a\nb\x00c",)))
    assert data.startswith(b"%PDF")


@pytest.mark.parametrize("explored", [0.0, 0.5, 1.0])
def test_cells_lie_over_their_time_and_row(record, explored):
    rng = np.random.default_rng(0)
    seen = rng.random((12, 20)) < explored
    weights = np.abs(rng.normal(size=(12, 20))).astype(np.float32)
    overlay = Attribution(
        "ruler", "164889003", "lime", 0.9, STANDARD_LEADS, np.linspace(0, 10, 21), weights, seen,
        Provenance(record.digest, "m", {}, 0, "v"),
    )  # fmt: skip
    page = ecg_pages(record, PaperStyle(layout="12x1"), Caption("x"), overlay=overlay)[0]
    marks = {c.get_gid(): c for c in page.figure.axes[0].collections if c.get_gid()}
    cells = [path.vertices for path in marks["explanation"].get_paths()]
    assert len(cells) == int(seen.sum())
    for corners in cells:
        assert np.ptp(corners[:, 0]) == pytest.approx(12.5)  # half a second
        assert any(abs(corners[:, 1].min() - y) < 1e-9 for y in page.rows_mm.values())
    hatched = sum(np.ptp(path.vertices[:, 0]) for path in marks["not-explored"].get_paths())
    assert hatched == pytest.approx(12.5 * int((~seen).sum()))


def test_the_size_of_a_png_follows_its_resolution(record):
    data = ecg_png(record, PaperStyle(), Caption("x"), dpi=50)
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    assert abs(width - 297 / 25.4 * 50) <= 1
    assert abs(height - 210 / 25.4 * 50) <= 1


@pytest.mark.parametrize("layout", ["12x1", "6x2", "3x4+II"])
def test_no_trace_runs_through_the_name_of_a_lead(layout):
    record = simulate("left_ventricular_hypertrophy", seed=3).record  # large and colliding
    page = ecg_pages(record, PaperStyle(layout=layout), Caption("x"))[0]
    figure = page.figure
    FigureCanvasAgg(figure)
    renderer = figure.canvas.get_renderer()
    traces = lines(page)
    names = {t.get_gid(): t for t in figure.axes[0].texts if str(t.get_gid()).startswith("label-")}
    assert len(names) == 12
    for gid, text in names.items():
        box = text.get_window_extent(renderer)
        x0, y0, x1, y1 = (edge / figure.dpi * 25.4 for edge in box.extents)
        own = traces[gid.removeprefix("label-")]
        inside = (own[:, 0] > x0) & (own[:, 0] < x1) & (own[:, 1] > y0) & (own[:, 1] < y1)
        assert not inside.any(), gid


def test_rows_get_the_height_that_their_amplitudes_need():
    record = simulate("left_bundle_branch_block", seed=2).record
    page = ecg_pages(record, PaperStyle(layout="12x1"), Caption("x"))[0]
    zeros = np.array([page.rows_mm[key] for key in sorted(page.rows_mm, reverse=True)])
    apart = dict(zip(STANDARD_LEADS, -np.diff(zeros), strict=False))
    assert min(apart.values()) >= 11, "pulses of neighbours do not meet"
    depth = dict(zip(STANDARD_LEADS, -record.signal.min(axis=1), strict=True))
    assert max(apart, key=lambda lead: apart[lead]) in {"V1", "V2", "V3"}
    assert depth["V2"] > depth["aVL"]
    for low, high in page.bands.values():
        assert 23 <= low < high <= 183


def test_the_strongest_cell_has_the_full_colour_of_its_sign(record):
    weights = np.zeros((12, 10), np.float32)
    weights[6, 3], weights[7, 3], weights[8, 3] = 2.0, -2.0, 0.2
    overlay = Attribution(
        "ruler", "164889003", "lime", 0.9, STANDARD_LEADS, np.linspace(0, 10, 11), weights,
        np.ones((12, 10), bool), Provenance(record.digest, "m", {}, 0, "v"),
    )  # fmt: skip
    page = ecg_pages(record, PaperStyle(layout="12x1"), Caption("x"), overlay=overlay)[0]
    cells = next(c for c in page.figure.axes[0].collections if c.get_gid() == "explanation")
    strong, against, weak = (tuple(colour[:3]) for colour in cells.get_facecolors())
    assert strong == pytest.approx(to_rgb(LIGHT.in_favour), abs=1e-6)
    assert against == pytest.approx(to_rgb(LIGHT.against), abs=1e-6)
    assert min(weak) > 0.85
