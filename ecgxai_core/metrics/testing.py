"""Paired tests on the same records: between methods, and between a map and its reference maps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ecgxai_core.bootstrap import LEAST_RECORDS, all_equal, interval_of
from ecgxai_core.errors import ParameterError
from ecgxai_core.metrics.base import GATES
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import FloatArray, content_seed

__all__ = [
    "Against",
    "compare_methods",
    "compared_with_each",
    "holm",
    "paired_p",
    "refuse_repeated",
]

_EXACT_BELOW = 17  # 2**16 signs at most
_PERMUTATIONS = 20_000

Test = Literal["wilcoxon", "permutation"]


@dataclass(frozen=True, slots=True)
class Against:
    """A map beside one of its reference maps, over records.

    ``difference`` is the mean of the map's score minus the reference's, so that more is better,
    over ``n`` records in which both are defined; ``low``, ``high`` its interval, the value itself
    where all differences are equal, NaN below
    :data:`ecgxai_core.bootstrap.LEAST_RECORDS` records.
    """

    reference: str
    n: int
    difference: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low > 0


def compared_with_each(
    values: FloatArray,
    beside: Mapping[str, FloatArray],
    params: EvaluationParams,
    *purpose: Any,
    lower: bool = False,
) -> tuple[Against, ...]:
    """A map beside each of its reference maps, paired by record.

    A map is better only where it is better than each of them. That is an intersection-union test
    (Berger, Technometrics 1982;24:295-300): it needs no correction for their number, as all must be
    passed, and leaves no choice of the strongest reference afterwards.

    Parameters
    ----------
    values, beside
        ``float64[record]``: scores of the map, and of the reference maps by name. Only those of
        :data:`~ecgxai_core.metrics.base.GATES` are compared, and of them those that are defined on
        any record.
    params, purpose
        Level, size and seed of the interval.
    lower
        Whether lower scores are better.
    """
    found = []
    for name in (gate for gate in GATES if gate in beside):
        other = np.asarray(beside[name], np.float64)
        if not np.isfinite(other).any():
            continue
        gaps = (other - values) if lower else (values - other)
        gaps = gaps[np.isfinite(gaps)]
        mean = float(gaps.mean()) if len(gaps) else np.nan
        low, high = interval_of(gaps, params, *purpose, name)
        if len(gaps) >= LEAST_RECORDS and all_equal(gaps):
            low = high = mean
        found.append(Against(name, len(gaps), mean, low, high))
    return tuple(found)


def paired_p(differences: npt.ArrayLike, test: Test = "permutation", seed: int = 0) -> float:
    """Two-sided p of paired differences being around 0.

    Parameters
    ----------
    differences
        ``float64[record]``; NaN is left out.
    test
        ``"permutation"``: signs are flipped at random and means compared (Fisher 1935), all sign
        patterns with up to 16 records, else 20,000 seeded ones with the observed counted in.
        ``"wilcoxon"``: signed ranks (Wilcoxon 1945, zeros by Pratt 1959).
    seed
        Of the permutations.

    Returns
    -------
    In (0, 1]; 1 where all differences are 0, NaN with fewer than two.
    """
    values = np.asarray(differences, np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return np.nan
    if not np.any(values):
        return 1.0
    if test == "wilcoxon":
        from scipy import stats

        return float(stats.wilcoxon(values, zero_method="pratt").pvalue)
    return _sign_flip_p(values, seed)


def _sign_flip_p(values: FloatArray, seed: int) -> float:
    observed = abs(float(values.sum()))
    tiny = 1e-12 * float(np.abs(values).sum())
    if len(values) < _EXACT_BELOW:
        codes = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        sums = (1.0 - 2.0 * codes) @ values
        return float(np.mean(np.abs(sums) >= observed - tiny))
    rng = np.random.default_rng(content_seed("sign flip", seed))
    values = values[np.argsort(np.abs(values), kind="stable")]  # whatever the order of records
    hits = 0
    for _ in range(20):
        signs = rng.integers(0, 2, (_PERMUTATIONS // 20, len(values))) * 2.0 - 1.0
        hits += int(np.count_nonzero(np.abs(signs @ values) >= observed - tiny))
    return (hits + 1) / (_PERMUTATIONS + 1)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """p values corrected for their number (Holm, Scand J Stat 1979;6:65-70), in the given order.

    NaN stays and does not count.
    """
    p = np.asarray(p_values, np.float64)
    out = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    out[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return out


def compare_methods(
    frame: pd.DataFrame,
    metrics: Sequence[str],
    methods: Sequence[str] | None = None,
    *,
    by: str = "record",
    test: Test = "permutation",
    seed: int = 0,
) -> pd.DataFrame:
    """Every pair of methods on every metric, record by record.

    The targets of one record are not independent of each other: differences are averaged within
    the record first, so that the test counts records, not predictions.

    Parameters
    ----------
    frame, metrics
        One row per record, target and method; columns that are compared.
    methods
        By default all in the table, in its order.
    by
        Column that names the independent units: records, or for instance patients.
    test, seed
        As in :func:`paired_p`.

    Returns
    -------
    ``metric``, ``one``, ``other``, ``n`` (records with a difference), ``pairs`` (predictions that
    went into it), ``undefined`` (predictions left out, as one of the two values is NaN or
    missing), ``difference`` (mean over records of other minus one), ``p`` and ``p_holm``, corrected
    over all rows of the table.

    Raises
    ------
    ParameterError
        No such metric, method or column; a method twice for one record and target; or a record
        that belongs to two of ``by``.
    """
    known = list(dict.fromkeys(frame["method"])) if "method" in frame else []
    chosen = list(methods) if methods is not None else known
    unknown = [m for m in (*metrics, by) if m not in frame]
    unknown += [m for m in chosen if m not in known]
    if unknown:
        raise ParameterError("comparison", unknown[0], "is not in the table", "choose another")
    keys = ["target", "record", "method"]
    refuse_repeated(frame, keys, "is in the table twice")
    owners = frame[["record", by]].drop_duplicates() if by != "record" else frame[["record"]]
    if by != "record":
        refuse_repeated(owners, ["record"], f"has more than one {by}")
    owner = owners.drop_duplicates().set_index("record", drop=False)[by]
    rows: list[tuple[Any, ...]] = []
    for metric in metrics:
        wide = frame.set_index(keys)[metric].unstack("method").reindex(columns=chosen)
        groups = owner.loc[wide.index.get_level_values("record")].to_numpy()
        for one, other in itertools.combinations(chosen, 2):
            pairs = wide[other] - wide[one]
            known_pairs = pairs.notna().to_numpy()
            values = pairs[known_pairs].groupby(groups[known_pairs]).mean().to_numpy(np.float64)
            count, difference = (
                int(known_pairs.sum()),
                float(values.mean()) if len(values) else np.nan,
            )
            undefined, p = len(pairs) - count, paired_p(values, test, seed)
            rows.append((metric, one, other, len(values), count, undefined, difference, p))
    columns = ["metric", "one", "other", "n", "pairs", "undefined", "difference", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"].to_numpy(np.float64))
    return table


def refuse_repeated(frame: pd.DataFrame, keys: list[str], problem: str) -> None:
    """Refuse a table in which two rows have the same keys.

    Raises
    ------
    ParameterError
        Names the first of them.
    """
    twice = frame[frame.duplicated(keys)]
    if len(twice):
        named = ", ".join(str(value) for value in twice[keys].iloc[0])
        raise ParameterError("comparison", named, problem, "name each once")
