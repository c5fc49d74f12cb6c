"""Agreement between raters: Fleiss' kappa and Krippendorff's alpha.

Cohen's kappa is scikit-learn's; alpha is the package ``krippendorff`` (extra ``study``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import FloatArray

__all__ = ["alpha", "cohen_kappa", "counts", "fleiss_kappa"]


def counts(ratings: npt.ArrayLike, categories: Sequence[Any]) -> FloatArray:
    """``float64[unit, category]``: how often a unit was given each category.

    ``ratings`` is ``object[rater, unit]``; ``None`` and NaN count for none.
    """
    given = np.asarray(ratings, object)
    found = np.array([(given == name).sum(axis=0) for name in categories], np.float64)
    return found.reshape(len(categories), given.shape[1]).T


def fleiss_kappa(table: npt.ArrayLike) -> float:
    """Agreement of several raters on categories beyond chance (Fleiss, Psychol Bull 1971;76:378).

    With ``n`` raters a unit, the agreement on a unit is the share of rater pairs that agree, and
    chance is the sum of squared shares of the categories: (P - P_e) / (1 - P_e).

    Parameters
    ----------
    table
        ``float64[unit, category]``: counts; units of fewer raters than the largest are left out.

    Returns
    -------
    At most 1; NaN without a unit of two raters, or with one category only.
    """
    counted = np.asarray(table, np.float64)
    n = counted.sum(axis=1)
    raters = float(n.max(initial=0))
    counted = counted[n == raters]
    if raters < 2 or not len(counted):
        return float("nan")
    agreed = ((counted**2).sum(axis=1) - raters) / (raters * (raters - 1))
    chance = float(((counted.sum(axis=0) / counted.sum()) ** 2).sum())
    return float((agreed.mean() - chance) / (1 - chance)) if chance < 1 else float("nan")


def cohen_kappa(one: Sequence[Any], other: Sequence[Any]) -> float:
    """Agreement of two raters beyond chance (Cohen, Educ Psychol Meas 1960;20:37).

    NaN where both use one and the same category throughout, or without a unit.
    """
    if not len(one) or len({*one, *other}) < 2:
        return float("nan")
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score([*map(str, one)], [*map(str, other)]))


def alpha(ratings: npt.ArrayLike, level: Literal["nominal", "ordinal", "interval"]) -> float:
    """Krippendorff's alpha (Krippendorff, Content Analysis, 4th ed. 2019, chapter 12).

    Parameters
    ----------
    ratings
        ``float64[rater, unit]``, NaN = not rated; categories as numbers.
    level
        Scale of the ratings.

    Returns
    -------
    At most 1; NaN where no unit has two ratings or all are the same.

    Raises
    ------
    ParameterError
        The package is not installed.
    """
    values = np.asarray(ratings, np.float64)
    paired = values[:, np.isfinite(values).sum(axis=0) >= 2] if values.size else values
    known = paired[np.isfinite(paired)]
    if len(np.unique(known)) < 2:
        return float("nan")
    try:
        import krippendorff
    except ImportError:
        raise ParameterError(
            "krippendorff", "", "is not installed", "pip install 'ecgxai_core[study]'"
        ) from None
    return float(krippendorff.alpha(reliability_data=paired, level_of_measurement=level))
