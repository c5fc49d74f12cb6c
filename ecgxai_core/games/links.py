"""The scale on which a coalition's value is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["LINKS", "LOGIT_EPS", "beyond_logit", "to_link"]

LOGIT_EPS = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""


def _logit(probability: FloatArray) -> FloatArray:
    clipped = np.clip(probability, LOGIT_EPS, 1.0 - LOGIT_EPS)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float64)


LINKS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "probability": lambda probability: probability,
    "logit": _logit,
}


def beyond_logit(probability: FloatArray) -> BoolArray:
    """Which probabilities are nearer to 0 or 1 than the logit follows; it is cut there."""
    return np.asarray((probability < LOGIT_EPS) | (probability > 1.0 - LOGIT_EPS), dtype=np.bool_)


def to_link(probability: FloatArray, link: str) -> FloatArray:
    """Probabilities on the scale ``link`` (``"probability"`` or ``"logit"``).

    Raises
    ------
    ParameterError
        There is no such link.
    """
    if link not in LINKS:
        raise ParameterError("link", link, "no such link", f"use one of {', '.join(LINKS)}")
    return LINKS[link](np.asarray(probability, dtype=np.float64))
