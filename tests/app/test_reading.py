"""Measured intervals and the median beat on the Explain page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS
from tests.app.evaluated import opened, texts, unfolded
from tests.small import AF, FS

pytestmark = pytest.mark.usefixtures("evaluated_folders")


def test_intervals_stand_over_the_paper_and_in_a_table():
    at = unfolded(opened("explain", record="T000", target=AF), "measured-intervals")
    line = next(item.value for item in at.markdown if "Measured:" in item.value)
    assert "QTcF: QTc by Fridericia" in next(
        item.help for item in at.markdown if "Measured:" in item.value
    )
    for name in ("Rate", "PR", "QRS", "QT", "QTcF", "Axis"):
        assert f"{name} **" in line.replace(":orange[", "")
    assert "**70 /min** ·" in line
    rows = next(d.value for d in at.dataframe if "confidence" in d.value)
    assert list(rows["interval"]) == ["Rate", "PR", "QRS", "QT", "QTcF", "Axis"]
    assert rows["confidence"].between(0, 1).all()
    assert rows["source"].iloc[0]


def test_what_cannot_be_measured_is_a_dash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    flat = np.zeros((12, 700), np.float32)
    write_record(tmp_path, "flat", flat, FS, STANDARD_LEADS, labels=(AF,), age=50, sex="male")
    monkeypatch.setenv("ECGXAI_DATA", str(tmp_path))
    at = unfolded(opened("explain", record="flat", target=AF), "measured-intervals")
    line = next(item.value for item in at.markdown if "Measured:" in item.value)
    assert line.count("**–**") == 6
    assert "50 years, male" in line
    assert "nan" not in line
    rows = next(d.value for d in at.dataframe if "confidence" in d.value)
    assert (rows["value"] == "–").all()
    assert (rows["beats"] == 0).all()


def test_the_median_beat_is_drawn_only_when_it_is_opened():
    at = opened("explain", record="T000", target=AF)
    assert len(at.get("plotly_chart")) == 0
    unfolded(at, "median-beat")
    assert len(at.get("plotly_chart")) == 1
    assert "aligned at their R peaks" in texts(at)
    rows = next(d.value for d in at.dataframe if "at_ms" in d.value)
    assert set(rows["lead"]) == set(STANDARD_LEADS)
    assert rows["beats"].max() >= 3


def test_too_few_beats_or_no_map_are_said(monkeypatch: pytest.MonkeyPatch):
    at = unfolded(opened("explain", record="T001", target=AF), "median-beat")
    assert "There is no map to put on a median beat" in texts(at)
    monkeypatch.setattr("app.panels.measurements.LEAST_BEATS", 99)
    at = opened("explain", record="T000", target=AF)
    unfolded(at, "median-beat")
    assert "beats were found in the part that the model sees" in texts(at)
