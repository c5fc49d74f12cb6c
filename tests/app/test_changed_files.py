"""Files and labels that change while the dashboard runs: never an old answer beside a new ECG."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS
from tests.app.conftest import open_page, settle, texts
from tests.small import FS, beats, write_data

Folders = Callable[..., Path]


def traces(app: Any) -> list[str]:
    """The samples that the viewers of a page were sent."""
    sent = [json.loads(item.proto.json) for item in app.get("bidi_component")]
    return [one["signal"]["counts"] for one in sent if "signal" in one]


def read_again() -> None:
    """The button of the Records page."""
    page = open_page("records")
    next(b for b in page.button if b.label == "Read the folder again").click().run()
    settle(page)


def test_a_replaced_file_is_never_shown_with_its_old_probability(
    folders: Folders, tmp_path: Path
) -> None:
    data, other = write_data(tmp_path / "data", 1), write_data(tmp_path / "other", 1, scale=1.5)
    folders(path=data)
    before = open_page("explain", record="T000")
    assert "probability" in texts(before)
    for file in other.iterdir():
        shutil.copyfile(file, data / file.name)
    after = settle(before.run())
    assert "has changed since its folder was read" in texts(after).replace("\\", "")
    assert "Read the folder again" in texts(after).replace("\\", "")
    assert "probability" not in texts(after)
    assert not traces(after)
    read_again()
    assert "called" in texts(open_page("explain", record="T000"))


@pytest.mark.parametrize("fmt", ["dat", "mat"])
def test_a_replaced_data_file_is_drawn_anew(
    folders: Folders, tmp_path: Path, fmt: Literal["dat", "mat"]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    header = write_record(data, "T000", beats(70, seed=0), FS, STANDARD_LEADS, fmt=fmt)
    folders(path=data)
    before = traces(open_page("explain", record="T000"))
    file, times = header.with_suffix(f".{fmt}"), header.stat()
    content = bytearray(file.read_bytes())
    content[-400:] = bytes(400)
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # as `cp -p` and `rsync -t` do
    read_again()
    page = open_page("explain", record="T000")
    assert "called" in texts(page)
    assert len(traces(page)) == 1
    assert traces(page) != before
