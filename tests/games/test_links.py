"""Scales of a coalition's value."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.games.links import LOGIT_EPS, to_link


def test_probability_is_left_alone():
    assert to_link(np.array([0.0, 0.3, 1.0]), "probability").tolist() == [0.0, 0.3, 1.0]


def test_logit_and_its_ends():
    values = to_link(np.array([0.0, 0.25, 0.5, 1.0]), "logit")
    end = np.log((1 - LOGIT_EPS) / LOGIT_EPS)
    assert np.allclose(values, [-end, -np.log(3), 0.0, end])


def test_unknown_link_is_refused():
    with pytest.raises(ParameterError, match="no such link"):
        to_link(np.array([0.5]), "probit")
