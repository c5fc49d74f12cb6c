"""Tables as CSV and as Parquet: the same rows, the same bytes for the same table.

Parquet keeps types, is a tenth of the size, and is written and read in groups of rows. Texts stand
in it as they are: no spreadsheet runs a cell of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgxai_core.store.atomic import csv_bytes, open_atomic, write_csv_atomic

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GROUP_ROWS", "parquet_beside", "write_parts", "write_table"]

GROUP_ROWS = 4096
"""Rows of one group of a Parquet file."""


def parquet_beside(path: Path) -> Path:
    """The Parquet file beside a CSV file."""
    return path.with_suffix(".parquet")


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV and, beside it, as Parquet.

    Raises
    ------
    RunError
        A file cannot be written.
    """
    write_csv_atomic(path, frame)
    groups = range(0, max(len(frame), 1), GROUP_ROWS)
    _write_parquet(parquet_beside(path), (frame.iloc[at : at + GROUP_ROWS] for at in groups), frame)


def write_parts(path: str | os.PathLike[str], parts: Iterable[pd.DataFrame]) -> None:
    """Write a table part by part, as Parquet (one group of rows per part) where the name ends so,
    else as CSV; all parts have the same columns, and there is one at least.

    Raises
    ------
    RunError
        The file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        _write_parquet(path, parts)
        return
    with open_atomic(path) as file:
        for number, part in enumerate(parts):
            file.write(csv_bytes(part, header=number == 0))


def _write_parquet(
    path: Path, parts: Iterable[pd.DataFrame], whole: pd.DataFrame | None = None
) -> None:
    """Write groups of rows; types are those of ``whole``, else of the first part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = None if whole is None else _schema(pa, whole)
    writer = None
    with open_atomic(path) as file, ExitStack() as closing:
        for part in parts:
            schema = schema or _schema(pa, part)
            if writer is None:
                opened = pq.ParquetWriter(file, schema, compression="zstd")
                writer = closing.enter_context(opened)
            writer.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))


def _schema(pa: Any, frame: pd.DataFrame) -> Any:
    """Types without what names a version of pandas; a column without any value is one of texts."""
    found = pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()
    return pa.schema(
        field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in found
    )
