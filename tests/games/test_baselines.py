"""What replaces a masked cell."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.games import BASELINES, baseline_signal
from ecgxai_core.types import Segmentation
from tests.analytic import model_input

CUT = Segmentation("uniform", np.array([0, 100, 250, 400]), 100.0, 0.0)


def test_zero_is_the_value_of_0_mv():
    given = model_input(500, (0, 400))
    assert np.array_equal(baseline_signal("zero", given, CUT), np.full((500, 12), 0.25, np.float32))


def test_mean_ignores_padding():
    given = model_input(500, (0, 400))
    signal = baseline_signal("mean", given, CUT)
    expected = given.values[:400].astype(np.float64).mean(axis=0)
    assert np.allclose(signal, expected, atol=1e-6)
    assert not np.allclose(expected, given.values.mean(axis=0), atol=1e-3)


def test_linear_joins_the_cells_own_edge_samples():
    given = model_input(500, (0, 400))
    signal = baseline_signal("linear", given, CUT)
    for start, stop in ((0, 100), (100, 250), (250, 400)):
        for end in (start, stop - 1):
            assert np.allclose(signal[end], given.values[end], atol=1e-6)
        assert np.abs(np.diff(signal[start:stop], n=2, axis=0)).max() < 1e-5
    assert np.array_equal(signal[400:], given.values[400:])


@pytest.mark.parametrize("kind", list(BASELINES))
def test_shape_type_and_read_only(kind):
    signal = baseline_signal(kind, model_input(500, (0, 400)), CUT)
    assert signal.shape == (500, 12)
    assert signal.dtype == np.float32
    assert not signal.flags.writeable


def test_one_sample_segment_keeps_its_sample_under_linear():
    cut = Segmentation("uniform", np.array([0, 1, 400]), 100.0, 0.0)
    given = model_input(500, (0, 400))
    assert np.allclose(baseline_signal("linear", given, cut)[0], given.values[0])


def test_unknown_baseline_is_refused():
    with pytest.raises(ParameterError, match="no such baseline"):
        baseline_signal("noise?", model_input(), CUT)
