"""Value types: read-only, checked, and with digests that depend on content alone."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.types import (
    STANDARD_LEADS,
    Attribution,
    Provenance,
    Record,
    Segmentation,
    array_digest,
    content_seed,
    frozen_array,
    probability_text,
    told_apart,
)

NOWHERE = Provenance("r", "m", {}, 0, "test")


def record(signal, **changes):
    values = {"name": "a", "signal": signal, "fs": 500.0, "leads": STANDARD_LEADS, **changes}
    return Record(**values)


def test_arrays_are_read_only_copies():
    mine = np.zeros((12, 10), np.float32)
    made = record(mine)
    mine[0, 0] = 5
    assert made.signal[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        made.signal[0, 0] = 1


def test_the_digest_covers_what_can_change_a_prediction_and_nothing_else():
    signal = np.arange(120, dtype=np.float32).reshape(12, 10)
    base = record(signal)
    assert base.digest == record(signal, name="b", age=50.0, labels=("1",)).digest
    assert base.digest != record(signal, fs=250.0).digest
    assert base.digest != record(signal, adc_gain=(1.0,) * 12).digest
    assert base.digest != record(signal + 1).digest


def test_a_digest_tells_shapes_and_types_apart():
    flat = np.zeros(12, np.float32)
    assert array_digest(flat) != array_digest(flat.reshape(3, 4))
    assert array_digest(flat) != array_digest(flat.astype(np.float64))
    assert array_digest(flat) == array_digest(flat.astype(">f4").astype("<f4"))


def test_a_seed_depends_on_its_parts_only():
    assert content_seed("a", 1) == content_seed("a", 1)
    assert content_seed("a", 1) != content_seed("a", 2)
    assert 0 <= content_seed("anything") < 2**63


def test_a_record_must_fit_its_leads():
    with pytest.raises(ValueError, match="does not fit"):
        record(np.zeros((3, 10), np.float32))


def test_edges_must_rise():
    with pytest.raises(ValueError, match="rise"):
        Segmentation("uniform", np.array([0, 5, 5]), 100.0, 0.0)


def test_segment_times_lie_on_the_axis_of_the_record():
    cut = Segmentation("uniform", np.array([0, 50, 100]), 100.0, 2.0)
    assert cut.edges_sec.tolist() == [2.0, 2.5, 3.0]
    assert cut.durations.tolist() == [0.5, 0.5]


def attribution(weights, explored):
    edges = np.arange(weights.shape[1] + 1) / 2
    return Attribution("a", "1", "lime", 0.9, STANDARD_LEADS[:2], edges, weights, explored, NOWHERE)


def test_cells_that_were_not_explored_have_no_number():
    weights = np.ones((2, 3), np.float32)
    explored = np.array([[True, False, True], [False, False, True]])
    made = attribution(weights, explored)
    assert np.isnan(made.weights[~explored]).all()
    assert made.density()[0, 0] == 2.0


def test_an_explored_cell_must_have_a_number():
    weights = np.full((2, 3), np.nan, np.float32)
    with pytest.raises(ValueError, match="finite"):
        attribution(weights, np.ones((2, 3), bool))


def test_a_grid_must_fit():
    with pytest.raises(ValueError, match="does not fit the grid"):
        attribution(np.ones((2, 3), np.float32), np.ones((2, 2), bool))


def test_frozen_array_keeps_what_is_frozen_already():
    first = frozen_array([1, 2], np.float32)
    assert frozen_array(first, np.float32) is first


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9951, "> 0.99"), (0.995, "0.99"), (0.5, "0.50"), (0.005, "0.01"), (0.0049, "< 0.01")],
)
def test_no_probability_is_written_as_certain(value: float, text: str) -> None:
    assert probability_text(value) == text


@pytest.mark.parametrize(
    ("probability", "threshold", "text"),
    [
        (0.97, 0.54, ("0.97", "0.54")),
        (0.271, 0.268, ("0.271", "0.268")),
        (0.4998, 0.5, ("0.4998", "0.5000")),
        (0.004, 0.003, ("0.004", "0.003")),
        (0.5, 0.5, ("0.50", "0.50")),
        (0.999, 0.12, ("> 0.99", "0.12")),
    ],
)
def test_on_which_side_of_its_threshold_a_probability_lies_can_be_seen(
    probability: float, threshold: float, text: tuple[str, str]
) -> None:
    assert told_apart(probability, threshold) == text
