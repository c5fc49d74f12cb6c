"""The memory-mapped data set and its batches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.records.catalogues.catalogue import Catalogue, Entry
from ecgxai_core.records.write import write_record
from ecgxai_core.training.arrays import (
    EcgArrays,
    microvolts,
    open_arrays,
    prepare_arrays,
    write_arrays,
)
from ecgxai_core.training.batches import TrainingBatches, balanced_chances
from ecgxai_core.training.trainer import class_weights
from ecgxai_core.types import STANDARD_LEADS
from tests.small import beats
from tests.training.small_data import CLASSES, FS, SAMPLES, records, small_params


def batches(arrays: EcgArrays, **changes: object) -> TrainingBatches:
    rows = arrays.in_folds([1, 2, 3, 4])
    return TrainingBatches(arrays, rows, arrays.truth(CLASSES, rows), small_params(**changes))


def test_written_records_are_read_back_memory_mapped(arrays: EcgArrays) -> None:
    assert isinstance(arrays.signals, np.memmap)
    for i, record in enumerate(records(len(arrays))):
        assert np.array_equal(arrays.signals[i], record.signal)
        assert arrays.labels[i] == record.labels
        assert np.array_equal(arrays.ages[i], record.age, equal_nan=True)


def test_an_interrupted_write_leaves_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="3 records were given, not 5"):
        write_arrays(records(3), 5, SAMPLES, FS, "x", tmp_path)
    with pytest.raises(RunError, match="contains no data set"):
        open_arrays(tmp_path)


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    write_arrays(records(4), 4, SAMPLES, FS, "x", tmp_path)
    about = json.loads((tmp_path / "arrays.json").read_text())
    about["names"] = about["names"][:2]
    (tmp_path / "arrays.json").write_text(json.dumps(about))
    with pytest.raises(RunError):
        open_arrays(tmp_path)


def test_every_epoch_uses_each_record_once_in_a_different_order(arrays: EcgArrays) -> None:
    made = batches(arrays)
    first, second = made.order(0), made.order(1)
    assert sorted(first) == sorted(second) == list(range(len(made.rows)))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, made.order(0))


def test_a_batch_does_not_depend_on_those_before_it(arrays: EcgArrays) -> None:
    made = batches(arrays)
    one = made.batch(1, 3, made.order(1))
    whole = list(made.epoch(1))
    late = list(made.epoch(1, 3))
    assert len(whole) == made.steps == 8
    for got in (whole[3], late[0]):
        assert np.array_equal(one[0], got[0].numpy())
        assert np.array_equal(one[1], got[1].numpy())


def test_windows_grow_from_crops_to_whole_records(arrays: EcgArrays) -> None:
    data = {"train_folds": [1], "tune_folds": [5], "crops": [[32, 2], [64, 1], [999, 1]]}
    made = batches(arrays, data=data)
    assert [made.length(epoch) for epoch in range(6)] == [32, 32, 64, SAMPLES, SAMPLES, SAMPLES]


def test_the_balanced_sampler_favours_rare_classes() -> None:
    truth = np.zeros((100, 2), bool)
    truth[:, 0] = True
    truth[:4, 1] = True
    chances = balanced_chances(truth)
    assert chances.sum() == pytest.approx(1)
    assert chances[0] / chances[50] == pytest.approx(np.sqrt(100 / 4))


def test_class_weights_match_hand_computation() -> None:
    truth = np.zeros((100, 2), bool)
    truth[:20, 0], truth[:50, 1] = True, True
    assert class_weights(truth, "none").tolist() == [1, 1]
    assert class_weights(truth, "sqrt") == pytest.approx([2, 1])
    assert class_weights(truth, "inverse") == pytest.approx([4, 1])


def test_microvolts_round_and_saturate() -> None:
    signal = np.array([[0.0014, -0.0016, 100.0, -100.0]], np.float32)
    assert microvolts(signal).tolist() == [[1], [-2], [32767], [-32767]]


def test_records_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    signal = beats(60, 1)[:, :600]
    write_record(tmp_path, "a", signal, 100.0, STANDARD_LEADS)
    entry = Entry("a", tmp_path / "a.hea", "p", labels=("NORM",), fold=1)
    made = Catalogue("x", (entry,), fs=100.0)
    arrays = open_arrays(prepare_arrays(made, tmp_path / "ok", seconds=6))
    assert np.allclose(arrays.signals[0].T / 1000, signal, atol=0.0011)
    with pytest.raises(RunError, match="600 samples"):
        prepare_arrays(made, tmp_path / "long", seconds=10)
    with pytest.raises(RunError, match="not known"):
        prepare_arrays(Catalogue("x", (entry,)), tmp_path / "none")
