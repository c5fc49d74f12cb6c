"""The index of files: what is known counts only while the files are as they were."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.pipeline import file_index, predict
from ecgxai_core.pipeline.file_index import file_facts, open_index
from ecgxai_core.pipeline.predict import Predictions, list_paths, predict_paths
from ecgxai_core.store.cache import INDEX_NAME, Store, open_store
from tests.small import write_data


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch):
    monkeypatch.setattr(file_index, "SETTLED_SEC", 0)


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the records whose signals are read."""
    found: list[str] = []
    real = predict.read_record
    monkeypatch.setattr(
        predict, "read_record", lambda path, **k: (found.append(path.stem), real(path, **k))[1]
    )
    return found


def listed(data, model) -> Predictions:
    with open_store() as store:
        return predict_paths([data], LazyClassifier(model), store)


def test_a_folder_is_read_once_and_then_only_what_changed(tiny_model, tmp_path, reads):
    data = write_data(tmp_path / "data", 3)
    first = listed(data, tiny_model)
    assert reads == ["T000", "T001", "T002"]
    reads.clear()
    assert listed(data, tiny_model).frame().equals(first.frame())
    assert listed(data, tiny_model).records == first.records
    assert reads == []
    # the signal of one, the labels of another, one that is new and one that is gone
    other = write_data(tmp_path / "other", 1, scale=2.0)
    shutil.copyfile(other / "T000.mat", data / "T000.mat")
    shutil.copyfile(other / "T000.hea", data / "T000.hea")
    header = data / "T001.hea"
    header.write_text(header.read_text("utf-8").replace("426783006", "164889003"), "utf-8")
    shutil.copyfile(data / "T002.mat", data / "T009.mat")
    (data / "T009.hea").write_text((data / "T002.hea").read_text("utf-8").replace("T002", "T009"))
    (data / "T002.hea").unlink()
    (data / "T002.mat").unlink()
    changed = listed(data, tiny_model)
    assert sorted(reads) == ["T000", "T001", "T009"]
    shutil.rmtree(tmp_path / "cache")
    assert changed.records == listed(data, tiny_model).records, "as without an index"


def test_the_policy_for_checksums_has_rows_of_its_own(tiny_data, tiny_model, reads):
    listed(tiny_data, tiny_model)
    reads.clear()
    with open_store() as store:
        predict_paths([tiny_data], LazyClassifier(tiny_model), store, checksum="error")
    assert len(reads) == 4


def test_another_model_reads_the_signals_that_it_needs(tiny_data, tiny_model, tmp_path, reads):
    from tests.small import write_model

    listed(tiny_data, tiny_model)
    reads.clear()
    other = write_model(tmp_path / "other", seed=5)
    assert [info.name for info in listed(tiny_data, other).records] == [f"T00{i}" for i in range(4)]
    assert len(reads) == 4


@pytest.mark.parametrize("damage", ["bytes", "row", "table"])
def test_a_damaged_index_costs_time_only(tiny_data, tiny_model, own_cache, reads, damage):
    first = listed(tiny_data, tiny_model)
    file = own_cache / INDEX_NAME
    if damage == "bytes":
        file.write_bytes(b"no database" * 1000)
    else:
        with sqlite3.connect(file) as con:
            changed = "UPDATE files SET body = replace(body, 'T000', 'T999')"
            con.execute(changed if damage == "row" else "DROP TABLE files")
        con.close()
    reads.clear()
    assert listed(tiny_data, tiny_model).records == first.records
    assert "T000" in reads
    reads.clear()
    listed(tiny_data, tiny_model)
    listed(tiny_data, tiny_model)
    assert len(reads) <= 4, "it is whole again"


def test_a_file_that_changed_just_now_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(file_index, "SETTLED_SEC", 1e6)
    data = write_data(tmp_path / "data", 1)
    header = data / "T000.hea"
    with open_index(tmp_path, "x") as index:
        index.add(header, file_facts(header), {"a": 1})
    with open_index(tmp_path, "x") as index:
        assert index.known([header]) == {}


def test_a_list_without_a_model_is_read_once_too(tiny_data, tmp_path, reads):
    assert len(list_paths([tiny_data]).records) == 4, "nothing is kept without a cache"
    store = Store(tmp_path / "own", 1 << 20)
    first = list_paths([tiny_data], store)
    reads.clear()
    assert list_paths([tiny_data], store).records == first.records
    assert reads == []


def test_clearing_the_cache_clears_the_index(tiny_data, tiny_model, own_cache):
    listed(tiny_data, tiny_model)
    assert (own_cache / INDEX_NAME).is_file()
    with open_store() as store:
        store.clear()
    assert not (own_cache / INDEX_NAME).exists()
