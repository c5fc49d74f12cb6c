"""Tables in two forms with the same content, written whole or part by part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.pipeline.run import tables
from ecgxai_core.store.atomic import csv_bytes
from ecgxai_core.store.csv_cells import read_csv
from ecgxai_core.store.tables import GROUP_ROWS, parquet_beside, write_parts, write_table


def frame(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "record": [f"=R{i}" for i in range(n)],
            "p": np.linspace(0, 1, n).astype(np.float32),
            "score": [np.nan if i % 3 else i / 7 for i in range(n)],
            "converged": [None if i % 2 else True for i in range(n)],
            "nothing": [None] * n,
            "n": np.arange(n),
        }
    )


def test_both_forms_hold_the_same_table(tmp_path):
    path, whole = tmp_path / "t.csv", frame(GROUP_ROWS + 5)
    write_table(path, whole)
    parquet = pq.ParquetFile(parquet_beside(path))
    assert parquet.num_row_groups == 2
    assert b"pandas" not in (parquet.schema_arrow.metadata or {})
    found = parquet.read().to_pandas()
    csv = read_csv(path, float_precision="round_trip")
    for name in ("record", "score", "n"):
        assert found[name].equals(csv[name]), name
    assert np.array_equal(found["p"].to_numpy(), whole["p"].to_numpy())
    assert found["converged"].iloc[:2].tolist() == [True, None]
    first = parquet_beside(path).read_bytes()
    write_table(path, frame(GROUP_ROWS + 5))
    assert parquet_beside(path).read_bytes() == first


def test_a_table_without_rows_has_its_columns(tmp_path):
    write_table(tmp_path / "t.csv", frame(0))
    assert pq.read_table(tmp_path / "t.parquet").column_names == list(frame(0).columns)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_parts_are_one_table(tmp_path, name):
    whole = frame(10)[["record", "p", "n"]]
    write_parts(tmp_path / name, (whole.iloc[a:b] for a, b in ((0, 4), (4, 9), (9, 10))))
    if name == "t.csv":
        write_table(tmp_path / "whole.csv", whole)
        assert (tmp_path / name).read_bytes() == (tmp_path / "whole.csv").read_bytes()
        return
    parquet = pq.ParquetFile(tmp_path / name)
    assert parquet.num_row_groups == 3
    assert parquet.read().to_pandas().equals(whole)


def test_a_part_that_fails_leaves_nothing(tmp_path):
    def parts():
        yield frame(2)[["record", "p"]]
        raise RunError("parts", "", "are damaged", "run again")

    for name in ("t.csv", "t.parquet"):
        with pytest.raises(RunError):
            write_parts(tmp_path / name, parts())
    assert [*tmp_path.iterdir()] == []


def test_rows_kept_as_columns_are_the_same_table(monkeypatch):
    """However many rows are turned into columns at once."""
    rows = [
        {"target": "1", "target_name": "a", "record": f"R{i}", "method": "lime", "warnings": "",
         "probability": i / 9, "converged": None if i % 2 else True,
         **({"attauc_strict": i / 3} if i > 4 else {})}
        for i in range(9)
    ]  # fmt: skip
    made = []
    for most in (1 << 16, 2, 1):
        monkeypatch.setattr(tables._Rows, "_MOST", most)
        kept = tables._Rows()
        for row in rows:
            kept.add([row], [])
        made.append(csv_bytes(kept.frames()[0]))
    assert made[0] == made[1] == made[2]
