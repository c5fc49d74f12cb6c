"""Predictions that users bring along, and records that they may belong to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import ModelError
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.metadata_arrays import MetadataArrays, write_metadata_arrays
from ecgxai_core.pipeline.predict import (
    Predictions,
    list_paths,
    predict_data,
    predict_paths,
    told_apart,
)
from ecgxai_core.store.cache import open_store
from tests.records.catalogues.test_catalogue import ptbxl_folder
from tests.small import AF, SINUS, write_data


def with_arrays(data: Path, model: Path, folder: Path, *names: str) -> Predictions:
    """Predictions from arrays with one row a name; row k has the probabilities k/10 and 0.5."""
    rows = np.array([[k / 10, 0.5] for k in range(len(names))], np.float32)
    labels = np.array([[True, False]] * len(names))
    write_metadata_arrays(MetadataArrays(names, (AF, SINUS), rows, labels), folder)
    with open_store() as store:
        return predict_data(data, LazyClassifier(model), store, folder)


def test_rows_are_found_by_name_whatever_the_system(tiny_data, tiny_model, tmp_path):
    found = with_arrays(tiny_data, tiny_model, tmp_path, "C:\\ecg\\T001.mat", "other/T000.hea")
    assert [info.name for info in found.records] == ["T000", "T001"]
    assert [float(value.probabilities[0]) for value in found.values] == pytest.approx([0.1, 0])
    assert {info.labels for info in found.records} == {(AF,)}


def test_a_name_in_two_rows_is_refused(tiny_data, tiny_model, tmp_path):
    with pytest.raises(ModelError, match="ecg_filenames: has 'T000' in more than one folder"):
        with_arrays(tiny_data, tiny_model, tmp_path, "a/T000.mat", "b/T000.mat")


def test_a_row_for_two_records_is_refused(tiny_model, tmp_path):
    for name in ("a", "b"):
        write_data(tmp_path / "data" / name, 1)
    with pytest.raises(ModelError, match="--data: has 'T000' in more than one folder"):
        with_arrays(tmp_path / "data", tiny_model, tmp_path / "arrays", "T000")


def test_labels_in_the_table_of_a_data_set_count(tiny_model, tmp_path):
    """PTB-XL's headers have none."""
    data, classifier = ptbxl_folder(tmp_path), LazyClassifier(tiny_model)
    with open_store() as store:
        for found in (
            predict_data(data, classifier, store),
            predict_paths([data], classifier, store),
            list_paths([data], store),
        ):
            labels = {info.name: info.labels for info in found.records}
            assert labels == {"00001_lr": (SINUS, "NORM"), "00002_lr": (AF, "39732003", "MI")}
        (alone,) = predict_paths([found.records[0].path], classifier, store).records
    assert alone.labels is None, "a file alone is no data set"


def test_records_of_one_name_are_told_apart_by_their_files(tmp_path):
    for name in ("p1", "p2"):
        write_data(tmp_path / name, 1)
    write_data(tmp_path / "p2", 1, stem="Q")
    found = list_paths([tmp_path])
    apart = told_apart(found, tmp_path)
    assert [info.name for info in apart.records] == ["p1/T000.hea", "Q000", "p2/T000.hea"]
    assert [value.record for value in apart.values] == list(apart.places)
    assert [info.path for info in apart.records] == [info.path for info in found.records]
    assert told_apart(apart, tmp_path) is apart


def test_a_name_that_reads_like_another_record_s_file_gives_way(tmp_path):
    for name in ("p1", "p2"):
        write_data(tmp_path / name, 1)
    found = list_paths([tmp_path])
    odd = replace(found.records[0], name="p2/T000.hea", path=tmp_path / "odd.hea")
    more = replace(found, records=(odd, *found.records), values=(found.values[0], *found.values))
    names = [info.name for info in told_apart(more, tmp_path).records]
    assert names == ["odd.hea", "p1/T000.hea", "p2/T000.hea"]
