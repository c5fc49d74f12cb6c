"""A written set reads back, marked synthetic, with its truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError, RecordError
from ecgxai_core.records import read_record
from ecgxai_core.simulation import read_truth, simulate_set, write_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("set") / "new"
    write_set(dest, 4, 1)
    return dest


def test_records_read_back_with_synthetic_flag_labels_and_signal(folder: Path) -> None:
    headers = sorted(folder.glob("*.hea"))
    assert len(headers) == 4
    for header, s in zip(headers, simulate_set(4, 1), strict=True):
        record = read_record(header)
        assert record.name == s.record.name
        assert record.synthetic
        assert record.labels == s.record.labels
        assert (record.age, record.sex) == (s.record.age, s.record.sex)
        np.testing.assert_allclose(record.signal, s.record.signal, atol=0.00051)
        assert "#Synthetic: true" in header.read_text()


def test_truth_reads_back(folder: Path) -> None:
    for s in simulate_set(4, 1):
        truth = read_truth(folder / f"{s.record.name}.truth.json")
        assert np.mean(truth.mask != s.truth.mask) < 1e-3  # borders are rounded to 1 us
        assert len(truth.intervals) == len(s.truth.intervals)
        document = json.loads((folder / f"{s.record.name}.truth.json").read_text())
        peaks = document["waves"]["r_peak"]
        np.testing.assert_allclose(peaks, s.r_peaks_sec, atol=1e-6)
        assert document["synthetic"] is True
        absent = [v is None for v in document["waves"]["p_onset"]]
        assert absent == np.isnan(s.waves.p_onset).tolist()


def test_the_same_call_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_set(tmp_path, 4, 1, progress=lambda done, n: seen.append((done, n)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for file in sorted(tmp_path.iterdir()):
        assert file.read_bytes() == (folder / file.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == len(list(folder.iterdir()))


def test_populations_do_not_overwrite_each_other(folder: Path, tmp_path: Path) -> None:
    names = {p.name for p in write_set(tmp_path, 2, 1, "training")}
    assert not names & {p.name for p in folder.iterdir()}


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="cannot be written"):
        write_set(tmp_path / "file", 1, 1)


def _broken(document: dict[str, Any], field: str, value: Any) -> str:
    changed = json.loads(json.dumps(document))
    if field in changed:
        changed[field] = value
    else:
        changed["intervals"][0][field] = value
    return json.dumps(changed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2), ("fs", "x"), ("fs", float("nan")), ("fs", 0), ("samples", -1),
        ("samples", 10**12), ("intervals", 7), ("asked", None), ("leads", ["V9"]),
        ("start", -1.0), ("stop", 1e9), ("start", float("nan")), ("role", "maybe"),
        ("leads", None),
    ],
)  # fmt: skip
def test_truth_that_violates_the_format_is_refused(
    folder: Path, tmp_path: Path, field: str, value: Any
) -> None:
    document = json.loads(next(folder.glob("*.truth.json")).read_text())
    file = tmp_path / "a.truth.json"
    file.write_text(_broken(document, field, value))
    with pytest.raises(RecordError) as caught:
        read_truth(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", "{", "[" * 100_000, "\x00"])
def test_a_file_that_is_not_a_truth_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.truth.json"
    file.write_text(text)
    with pytest.raises(RecordError):
        read_truth(file)


def test_missing_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.truth\.json"):
        read_truth(tmp_path / "none.truth.json")
