"""Paired tests between methods on the same records, corrected for how many are made."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ParameterError
from ecgxai_core.types import FloatArray, content_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_methods", "holm", "paired_p"]

_NAN = float("nan")
_EXACT_BELOW = 17  # 2**16 signs at most
_PERMUTATIONS = 20_000

Test = Literal["wilcoxon", "permutation"]


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
        return _NAN
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
    values = values[np.argsort(np.abs(values), kind="stable")]  # the order of records has no say
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

    What several targets of one record say is not independent: differences are averaged within the
    record first, so that the test counts records and not predictions.

    Parameters
    ----------
    frame
        One row a record, target and method.
    metrics
        Columns that are compared.
    methods
        Which; by default all in the table, in its order.
    by
        Column of what is independent of each other: the record, or for instance the patient.
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
    import pandas as pd

    known = list(dict.fromkeys(frame["method"])) if "method" in frame else []
    chosen = list(methods) if methods is not None else known
    unknown = [m for m in (*metrics, by) if m not in frame]
    unknown += [m for m in chosen if m not in known]
    if unknown:
        raise ParameterError("comparison", unknown[0], "is not in the table", "choose another")
    keys = ["target", "record", "method"]
    _refuse_repeated(frame, keys, "is in the table twice")
    owners = frame[["record", by]].drop_duplicates() if by != "record" else frame[["record"]]
    if by != "record":
        _refuse_repeated(owners, ["record"], f"has more than one {by}")
    owner = owners.drop_duplicates().set_index("record", drop=False)[by]
    rows: list[dict[str, Any]] = []
    for metric in metrics:
        wide = frame.set_index(keys)[metric].unstack("method").reindex(columns=chosen)
        groups = owner.loc[wide.index.get_level_values("record")].to_numpy()
        for one, other in itertools.combinations(chosen, 2):
            pairs = wide[other] - wide[one]
            known_pairs = pairs.notna().to_numpy()
            values = pairs[known_pairs].groupby(groups[known_pairs]).mean().to_numpy(np.float64)
            rows.append(
                {
                    "metric": metric,
                    "one": one,
                    "other": other,
                    "n": len(values),
                    "pairs": int(known_pairs.sum()),
                    "undefined": int((~known_pairs).sum()),
                    "difference": float(values.mean()) if len(values) else _NAN,
                    "p": paired_p(values, test, seed),
                }
            )
    columns = ["metric", "one", "other", "n", "pairs", "undefined", "difference", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table["p"].to_numpy(np.float64))
    return table


def _refuse_repeated(frame: pd.DataFrame, keys: list[str], problem: str) -> None:
    twice = frame[frame.duplicated(keys)]
    if len(twice):
        named = ", ".join(str(value) for value in twice[keys].iloc[0])
        raise ParameterError("comparison", named, problem, "name each once")
