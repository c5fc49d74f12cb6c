"""A finished run directory, checked and read: for reports, imports and the dashboard."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecgxai_core.errors import RunError
from ecgxai_core.pipeline.run.tables import EVALUATION, FAILURES, STABILITY, SUMMARY, TEXTS
from ecgxai_core.store.csv_cells import read_csv

__all__ = ["FinishedRun", "read_finished_run"]

SCHEMA = "ecgxai-run/1"
_MOST_BYTES = 64 << 20
"""Largest manifest."""
_MOST_TABLE = 1 << 30
"""Largest table; it needs some times its size in memory."""
_BLOCK = 1 << 20
_TABLES = (EVALUATION, STABILITY, SUMMARY, FAILURES)


@dataclass(frozen=True)
class FinishedRun:
    """A run: its manifest, its tables by file name, and the tables that are not as it left them."""

    path: Path
    manifest: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    altered: tuple[str, ...]

    @property
    def request(self) -> Mapping[str, Any]:
        return dict(self.manifest.get("request") or {})

    @property
    def synthetic(self) -> bool:
        return bool(self.manifest.get("synthetic"))


def read_finished_run(path: Path) -> FinishedRun:
    """Read a run directory; its tables are compared with the digests in its manifest.

    Raises
    ------
    RunError
        The folder holds no finished run, or a table is missing, damaged or too large.
    """
    manifest = _manifest(path)
    digests = manifest.get("tables")
    if not isinstance(digests, dict):
        raise RunError(path.name, "manifest.json", "names no tables", "repeat the run")
    tables, altered = {}, []
    for name in _TABLES:
        tables[name], digest = _table(path, name)
        if digest != digests.get(name):
            altered.append(name)
    return FinishedRun(path, manifest, tables, tuple(altered))


def _manifest(path: Path) -> dict[str, Any]:
    if not (path / "manifest.json").is_file():
        raise RunError(path.name, "", "holds no finished run", "finish it with 'ecgxai run'")
    try:
        values = json.loads(_bytes(path, "manifest.json"))
    except (ValueError, RecursionError):
        raise RunError(path.name, "manifest.json", "is no JSON", "repeat the run") from None
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise RunError(path.name, "manifest.json", "is not that of a run", "give a run directory")
    return values


def _bytes(path: Path, name: str) -> bytes:
    file = path / name
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise RunError(path.name, name, "is larger than 64 MB", "give a run directory")
        return file.read_bytes()
    except OSError:
        raise RunError(path.name, name, "is missing", "repeat the run") from None


def _table(path: Path, name: str) -> tuple[pd.DataFrame, str]:
    """A table and the SHA-256 of its file, which is read block by block, never held whole."""
    try:
        with (path / name).open("rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_TABLE:
                fix = f"read columns of {Path(name).with_suffix('.parquet')} with pandas"
                raise RunError(path.name, name, "is larger than 1 GB", fix)
            sha = hashlib.sha256()
            while block := file.read(_BLOCK):
                sha.update(block)
            file.seek(0)
            return read_csv(file, converters=TEXTS), sha.hexdigest()
    except OSError:
        raise RunError(path.name, name, "is missing", "repeat the run") from None
    except (ValueError, pd.errors.ParserError):
        raise RunError(path.name, name, "is no table", "repeat the run") from None
