"""Records and models that benchmarks measure on: real ones where they are, else simulated."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ecgxai_core.records.read import read_record
from ecgxai_core.settings import assets_dir
from ecgxai_core.simulation.dataset import write_set
from ecgxai_core.types import Record

__all__ = ["AF", "first_record", "model_path", "records_of"]

AF = "164889003"
FIRST = "A0003"


def model_path(name: str, data: Path) -> Path:
    """``default``: the shipped model; ``reference``: that of the published programme."""
    if name == "default":
        return assets_dir() / "models" / "ptbxl_resnet" / "ptbxl_resnet.keras"
    return data / "reference_model" / "cinc_resnet.keras"


def records_of(data: Path, count: int) -> list[Record]:
    """The first real records of the sample, or as many simulated ones."""
    real = sorted((data / "cinc2020_sample").rglob("*.hea"))[:count]
    if real:
        return [read_record(path) for path in real]
    with tempfile.TemporaryDirectory() as folder:
        write_set(Path(folder), count, 7)
        return [read_record(path) for path in sorted(Path(folder).rglob("*.hea"))[:count]]


def first_record(data: Path) -> Record:
    """The record that single figures are for."""
    path = next(iter((data / "cinc2020_sample").rglob(f"{FIRST}.hea")), None)
    return read_record(path) if path is not None else records_of(data, 1)[0]
