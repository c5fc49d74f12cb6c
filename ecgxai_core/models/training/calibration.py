"""How far probabilities can be taken at their word: temperature, reliability, calibration error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import BoolArray, FloatArray

__all__ = [
    "calibration_error",
    "fit_temperature",
    "reliability_curve",
    "with_temperature",
]

Probabilities = npt.NDArray[np.floating]

_EPS = 1e-7


def with_temperature(probabilities: Probabilities, temperature: float) -> FloatArray:
    """Probabilities whose logits are divided by ``temperature``."""
    p = np.clip(np.asarray(probabilities, np.float64), _EPS, 1 - _EPS)
    return np.asarray(1 / (1 + np.exp(-(np.log(p) - np.log1p(-p)) / temperature)))


def fit_temperature(truth: BoolArray, probabilities: Probabilities) -> float:
    """The one temperature for all classes that makes the truth most likely.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; here with one sigmoid per
    class instead of a softmax. It changes no ranking, so no AUROC.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        p = with_temperature(probabilities, float(np.exp(log_temperature)))
        p = np.clip(p, _EPS, 1 - _EPS)
        return float(-np.mean(np.where(truth, np.log(p), np.log1p(-p))))

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(found.x))


def reliability_curve(
    truth: BoolArray, probability: Probabilities, bins: int = 15
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Mean probability, share of positives and number of records in equally wide bins.

    Parameters
    ----------
    truth, probability
        ``bool[record]`` and ``float[record]`` of one class.

    Returns
    -------
    Three arrays ``[bin]``; the first two are NaN where a bin is empty.
    """
    p = np.asarray(probability, np.float64)
    place = np.clip((p * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    mean, share = np.full(bins, np.nan), np.full(bins, np.nan)
    mean[filled] = np.bincount(place, p, bins)[filled] / count[filled]
    share[filled] = np.bincount(place, truth.astype(np.float64), bins)[filled] / count[filled]
    return mean, share, count.astype(np.int64)


def calibration_error(truth: BoolArray, probabilities: Probabilities, bins: int = 15) -> FloatArray:
    """Expected calibration error ``float64[class]``: |mean probability - share of positives|,
    weighted by the records of each bin (Naeini et al., AAAI 2015)."""
    errors = []
    for c in range(truth.shape[1]):
        mean, share, count = reliability_curve(truth[:, c], probabilities[:, c], bins)
        errors.append(np.nansum(np.abs(mean - share) * count) / max(len(truth), 1))
    return np.array(errors, np.float64)
