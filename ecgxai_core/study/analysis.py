"""What a blinded study found: accuracy, reliance, agreement, repeatability, time, marks and maps.

Every function takes the table of :func:`ecgxai_core.study.answers.frame_of` and leaves second
showings of repeated cases out, except :func:`repeatability`. Intervals resample whole cases with
all that was said of them: they speak of other cases, not of other raters. There is none from fewer
than ten cases, or where all values are the same.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from ecgxai_core.bootstrap import (
    LEAST_RECORDS,
    Interval,
    all_equal,
    bootstrap_clusters,
    interval_of,
)
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.metrics.plausibility import evidence_masks, localisation
from ecgxai_core.metrics.raster import RasterMap, mask_from_intervals, raster_for, rasterise
from ecgxai_core.metrics.testing import compare_methods
from ecgxai_core.params import EvaluationParams
from ecgxai_core.study.agreement import alpha, cohen_kappa, counts, fleiss_kappa
from ecgxai_core.study.answers import READINGS, SCORES, STAGES
from ecgxai_core.study.frozen import Study
from ecgxai_core.types import FloatArray, IntArray, content_seed

__all__ = [
    "Analysis", "accuracy", "agreement", "analyse", "arm_effects", "changes", "marked_evidence",
    "ratings_by_arm", "reliance", "repeatability", "times",
]  # fmt: skip

ALL, EXPECTED = "all", "table of diagnoses"
_STEPS = (("ecg", "prediction"), ("prediction", "map"), ("ecg", "map"))
_USUAL = EvaluationParams()


@dataclass(frozen=True, slots=True)
class Analysis:
    """Every table of a study by its title, and the table of answers that they were made from."""

    answers: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]


def analyse(study: Study, answers: pd.DataFrame, params: EvaluationParams = _USUAL) -> Analysis:
    """Every table of a study.

    Parameters
    ----------
    study
        What was shown; its case files are read for the marked regions.
    answers
        From :meth:`ecgxai_core.study.answers.Answers.frame`.
    params
        ``confidence``, ``n_bootstrap``, ``seed`` of intervals; ``raster_sec``, ``precision_k``.
    """
    tables = {
        "Accuracy and confidence by stage and arm": accuracy(answers, params),
        "Changed diagnoses": changes(answers, params),
        "Reliance on the model": reliance(answers, params),
        "Ratings by arm": ratings_by_arm(answers, params),
        "Differences between arms": arm_effects(answers, params),
        "Agreement between raters": agreement(answers, params),
        "Repeated cases": repeatability(answers, params),
        "Time": times(answers),
        "Maps on the evidence that raters marked": marked_evidence(study, answers, params),
    }
    return Analysis(answers, tables)


def accuracy(answers: pd.DataFrame, params: EvaluationParams = _USUAL) -> pd.DataFrame:
    """Share of right diagnoses and mean confidence, by stage and arm.

    Returns
    -------
    ``stage, arm, n, cases, raters, accuracy, low, high, confidence, confidence_low,
    confidence_high``; arm ``all`` = whatever was shown. Accuracy counts cases whose reference is
    known.
    """
    once = _once(answers)
    rows = []
    for stage in READINGS:
        for arm, part in _by_arm(once):
            right = part.dropna(subset=[f"correct_{stage}"])
            sure = part.dropna(subset=[f"confidence_{stage}"])
            mean, between = _mean(right, f"correct_{stage}", params)
            certain, certain_between = _mean(sure, f"confidence_{stage}", params)
            rows.append((
                stage, arm, len(right), right["case"].nunique(), right["rater"].nunique(), mean,
                *between, certain, *certain_between,
            ))  # fmt: skip
    names = ["stage", "arm", "n", "cases", "raters", "accuracy", "low", "high", "confidence",
             "confidence_low", "confidence_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def changes(answers: pd.DataFrame, params: EvaluationParams = _USUAL) -> pd.DataFrame:
    """How often a diagnosis became right or wrong from one stage to a later one.

    Returns
    -------
    ``from, to, arm, n`` (reference known), ``to_right``, ``to_wrong`` (counts), ``gain`` (change
    of accuracy) with ``low``, ``high``.
    """
    rows = []
    for one, other in _STEPS:
        for arm, part in _by_arm(_once(answers)):
            known = part.dropna(subset=[f"correct_{one}", f"correct_{other}"])
            moved = (known[f"correct_{other}"] - known[f"correct_{one}"]).rename("gain")
            gain, between = _mean(known.assign(gain=moved), "gain", params)
            up, down = int((moved > 0).sum()), int((moved < 0).sum())
            rows.append((one, other, arm, len(known), up, down, gain, *between))
    names = ["from", "to", "arm", "n", "to_right", "to_wrong", "gain", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def reliance(answers: pd.DataFrame, params: EvaluationParams = _USUAL) -> pd.DataFrame:
    """Whether raters follow the model when it is wrong, and when it is right.

    Over-reliance: of the cases that a rater had right and the model wrong, the share in which the
    rater ends with the model's answer. Under-reliance: of those that the rater had wrong and the
    model right, the share in which the rater does not; a wrong diagnosis that says the same of the
    target as the model does (neither sees it) has nothing to take over, and is left out. They are
    one minus the relative reliance on oneself and on the model of Schemmer et al. (IUI 2023, arXiv
    2302.02187).

    Returns
    -------
    ``kind, stage, arm, n, share, low, high``.
    """
    rows = []
    for stage in READINGS[1:]:
        for arm, part in _by_arm(_once(answers)):
            known = part.dropna(subset=["correct_ecg", f"diagnosis_{stage}", "model_right"])
            first, as_model = (
                (known[f"diagnosis_{step}"] == known["target"]) == known["called"]
                for step in (READINGS[0], stage)
            )
            right, model = known["correct_ecg"] == 1, known["model_right"].astype(bool)
            over = known.assign(share=as_model.astype(float))[right & ~model]
            under = known.assign(share=1 - as_model.astype(float))[~right & ~first & model]
            for kind, chosen in (("over-reliance", over), ("under-reliance", under)):
                share, between = _mean(chosen, "share", params)
                rows.append((kind, stage, arm, len(chosen), share, *between))
    return pd.DataFrame(rows, columns=["kind", "stage", "arm", "n", "share", "low", "high"])


def ratings_by_arm(answers: pd.DataFrame, params: EvaluationParams = _USUAL) -> pd.DataFrame:
    """Mean of each rating by arm with its interval, and how often harm was seen.

    Returns
    -------
    ``rating, arm, n, mean, low, high``; for ``harm`` the mean is a share.
    """
    once = _once(answers)
    rows = []
    for name in (*SCORES, "harm"):
        for arm, part in _by_arm(once.dropna(subset=[name])):
            mean, between = _mean(part, name, params)
            rows.append((name, arm, len(part), mean, *between))
    return pd.DataFrame(rows, columns=["rating", "arm", "n", "mean", "low", "high"])


def arm_effects(
    answers: pd.DataFrame, params: EvaluationParams = _USUAL, by: Literal["case", "rater"] = "case"
) -> pd.DataFrame:
    """Every pair of arms on what the map changes: paired tests, corrected for their number.

    What is compared: change of accuracy (``gain``) and of confidence from the prediction to the
    map, and the ratings. Ratings and confidence are taken less the rater's own mean, since raters
    use a scale in ways of their own.

    Parameters
    ----------
    answers, params
        As above.
    by
        What is paired: a case in two arms (averaged over raters), or a rater's two arms.

    Returns
    -------
    That of :func:`ecgxai_core.metrics.testing.compare_methods`, whose ``one`` and ``other`` are
    arms, with the ``low`` and ``high`` of the mean difference.
    """
    once = _once(answers)
    table = pd.DataFrame({
        "record": once[by].astype(str), "target": "", "method": once["arm"], "rater": once["rater"],
        "gain": once["correct_map"] - once["correct_prediction"],
        "confidence": (once["confidence_map"] - once["confidence_prediction"]).astype(float),
        **{name: once[name].astype(float) for name in SCORES},
    })  # fmt: skip
    metrics = ("gain", "confidence", *SCORES)
    for name in metrics[1:]:
        table[name] -= table.groupby("rater")[name].transform("mean")
    mean = (
        table.drop(columns="rater").groupby(["record", "target", "method"], as_index=False).mean()
    )
    arms = [arm for arm in dict.fromkeys(answers["arm"]) if arm in set(mean["method"])]
    found = compare_methods(mean, metrics, arms, seed=params.seed)
    limits = []
    for row in found.itertuples():
        wide = mean.pivot(index="record", columns="method", values=str(row.metric))
        pairs = (wide[row.other] - wide[row.one]).dropna().to_numpy(np.float64)
        limits.append(interval_of(pairs, params, "study arms", row.metric, row.one, row.other))
    found["low"], found["high"] = [i.low for i in limits], [i.high for i in limits]
    return found.drop(columns=["pairs", "undefined"])


def agreement(answers: pd.DataFrame, params: EvaluationParams = _USUAL) -> pd.DataFrame:
    """Agreement between raters on the diagnosis, by stage, and on ratings.

    Cohen's kappa is the mean over pairs of raters, with the least and the largest; Fleiss' kappa
    needs cases of one number of raters and takes those of the most; the others take what two have
    read. Diagnoses are nominal, ratings ordinal and compared only where two raters saw a case in
    the same arm.

    Returns
    -------
    ``what, measure, n`` (cases used), ``value, low, high``; for Cohen's kappa the limits are the
    least and the largest pair, else intervals.
    """
    once, rows = _once(answers), []
    for stage in READINGS if len(once) else ():
        wide = once.pivot(index="rater", columns="case", values=f"diagnosis_{stage}")
        said = wide.astype(object).to_numpy()
        names = sorted({str(x) for x in said.ravel() if isinstance(x, str)})
        pairs = [
            cohen_kappa(*_both(said[i], said[j]))
            for i, j in itertools.combinations(range(len(said)), 2)
        ]
        known = [value for value in pairs if np.isfinite(value)]
        nothing = float("nan")
        low, high = (min(known), max(known)) if known else (nothing, nothing)
        middle = float(np.mean(known)) if known else nothing
        number = {name: float(place) for place, name in enumerate(names)}
        coded = np.array([[number.get(x, np.nan) for x in row] for row in said]).reshape(said.shape)
        table = counts(said, names)
        read = table.sum(axis=1)
        most = table[read == max(2, read.max(initial=0))]  # one number of raters in any resample
        paired = coded[:, read >= 2]
        what = f"diagnosis, {stage}"
        rows.append((what, "Cohen's kappa", paired.shape[1], middle, low, high))

        def kappa(drawn: IntArray, most: Any = most) -> FloatArray:
            return np.array([fleiss_kappa(most[drawn])])

        def nominal(drawn: IntArray, paired: Any = paired) -> FloatArray:
            return np.array([alpha(paired[:, drawn], "nominal")])

        n = len(most)
        rows.append((what, "Fleiss' kappa", n, *_resampled(kappa, range(n), params)))
        n = paired.shape[1]
        rows.append((what, "Krippendorff's alpha", n, *_resampled(nominal, range(n), params)))
    for score in SCORES:
        wide = once.pivot_table(index="rater", columns=["case", "arm"], values=score)
        if not wide.size:
            continue
        wide = wide.loc[:, wide.notna().sum() >= 2]
        given, cases = wide.to_numpy(np.float64), wide.columns.get_level_values("case")

        def ordinal(drawn: IntArray, given: Any = given) -> FloatArray:
            return np.array([alpha(given[:, drawn], "ordinal")])

        found = _resampled(ordinal, cases, params)
        rows.append((score, "Krippendorff's alpha", cases.nunique(), *found))
    return pd.DataFrame(rows, columns=["what", "measure", "n", "value", "low", "high"])


def repeatability(answers: pd.DataFrame, params: EvaluationParams = _USUAL) -> pd.DataFrame:
    """How alike a rater's answers to the two showings of a case are.

    Returns
    -------
    ``what, n`` (pairs), ``measure``: for diagnoses the share that stayed the same (with ``low``,
    ``high``) and Cohen's kappa; for ratings and confidence the standard deviation within a rater,
    the root of half the mean squared difference (Bland and Altman, BMJ 1996;312:1654).
    """
    keys = ["rater", "case"]
    first, second = _once(answers), answers[answers["again"].astype(bool)]
    both = first.merge(second, on=keys, suffixes=("", "_2"))
    rows = []
    for stage in READINGS:
        name = f"diagnosis_{stage}"
        pairs = both.dropna(subset=[name, f"{name}_2"])
        same = pairs.assign(same=(pairs[name] == pairs[f"{name}_2"]).astype(float))
        share, between = _mean(same, "same", params)
        kappa = cohen_kappa(list(pairs[name]), list(pairs[f"{name}_2"]))
        what = f"diagnosis, {stage}"
        rows.append((what, len(pairs), "share that stayed the same", share, *between))
        rows.append((what, len(pairs), "Cohen's kappa", kappa, np.nan, np.nan))
    for name in ("confidence_ecg", *SCORES):
        values = (both[name].astype(float) - both[f"{name}_2"].astype(float)).dropna()
        spread = float(np.sqrt((values**2).mean() / 2)) if len(values) else float("nan")
        rows.append((name, len(values), "SD within a rater", spread, np.nan, np.nan))
    return pd.DataFrame(rows, columns=["what", "n", "measure", "value", "low", "high"])


def times(answers: pd.DataFrame) -> pd.DataFrame:
    """Seconds by stage and arm: median and quartiles of stages that were not interrupted."""
    once, rows = _once(answers), []
    for stage in STAGES:
        for arm, part in _by_arm(once):
            given = part.dropna(subset=[f"seconds_{stage}"])
            whole = given[given[f"shown_{stage}"] <= 1]
            seconds = whole[f"seconds_{stage}"].astype(float)
            quarters = [float(seconds.quantile(q)) for q in (0.5, 0.25, 0.75)]
            rows.append((stage, arm, len(whole), len(given) - len(whole), *quarters))
    names = ["stage", "arm", "n", "interrupted", "median", "quartile_1", "quartile_3"]
    return pd.DataFrame(rows, columns=names)


def marked_evidence(
    study: Study, answers: pd.DataFrame, params: EvaluationParams = _USUAL
) -> pd.DataFrame:
    """Do maps fall where raters, who had not seen them, marked the evidence?

    For each rater who named the target from the ECG alone and marked something, every map of the
    case is scored against the marks (:func:`ecgxai_core.metrics.plausibility.localisation`), also
    maps that this rater was not shown. ``table of diagnoses`` is the evidence that the table
    expects, taken as a map.

    Returns
    -------
    ``map, n`` (showings), ``cases, attauc, low, high`` (0.5 is chance), ``relevance_mass``,
    ``random_mass`` (share of the explained part that is marked).
    """
    once = _once(answers)
    marked = once[(once["diagnosis_ecg"] == once["target"]) & (once["marks"] != "[]")]
    scored = [
        {"case": number, "map": name, **values}
        for number in sorted(set(marked["case"]))
        for text in marked.loc[marked["case"] == number, "marks"]
        for name, values in _against_marks(study, int(number), json.loads(text), params).items()
    ]
    frame = pd.DataFrame(scored, columns=["case", "map", "attauc", "relevance_mass", "random_mass"])
    rows = []
    for name, part in frame.dropna(subset=["attauc"]).groupby("map", sort=False):
        mean, between = _mean(part, "attauc", params)
        masses = (float(part[name].mean()) for name in ("relevance_mass", "random_mass"))
        rows.append((name, len(part), part["case"].nunique(), mean, *between, *masses))
    names = ["map", "n", "cases", "attauc", "low", "high", "relevance_mass", "random_mass"]
    return pd.DataFrame(rows, columns=names)


def _against_marks(
    study: Study, number: int, marks: Sequence[Mapping[str, Any]], params: EvaluationParams
) -> dict[str, dict[str, float]]:
    """Scores of each map of a case, and of the table's evidence, against a rater's marks."""
    shown = study.exhibit(number)
    spans: dict[str, list[tuple[float, float]]] = {}
    for mark in marks:
        spans.setdefault(mark["lead"], []).append((mark["from_sec"], mark["to_sec"]))
    found: dict[str, dict[str, float]] = {}
    for name, item in shown.maps.items():
        raster = raster_for(item, params.raster_sec)
        mask = mask_from_intervals(raster, spans)
        drawn = rasterise(item, raster)
        found[name] = _scores(drawn, mask, params)
        if EXPECTED not in found:
            row = find_diagnosis(study.cases[number].target)
            masks = evidence_masks(raster, row, shown.r_peaks_sec, shown.heart_rate)
            everywhere = np.ones(mask.shape, np.bool_)
            table = RasterMap(masks["strict"].astype(np.float64), everywhere, drawn.cell)
            found[EXPECTED] = _scores(table, mask, params)
    return found


def _scores(drawn: Any, mask: Any, params: EvaluationParams) -> dict[str, float]:
    found = {s.metric: s for s in localisation(drawn, mask, params.precision_k, "truth")}
    mass = found["relevance_mass_truth"]
    return {
        "attauc": found["attauc_truth"].value,
        "relevance_mass": mass.value,
        "random_mass": mass.random,
    }


def _once(answers: pd.DataFrame) -> pd.DataFrame:
    """First showings."""
    return answers[~answers["again"].astype(bool)]


def _by_arm(part: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """All of it, then each arm, in the order of their first appearance by name."""
    arms = sorted(set(part["arm"]))
    return [(ALL, part), *((arm, part[part["arm"] == arm]) for arm in arms)]


def _mean(
    part: pd.DataFrame, column: str, params: EvaluationParams
) -> tuple[float, tuple[float, float]]:
    """Mean of a column, and its interval over cases."""
    values = part[column].to_numpy(np.float64)
    nothing = float("nan")
    if not len(values):
        return nothing, (nothing, nothing)
    if all_equal(values):  # which says nothing of how far the mean may be off
        return float(values.mean()), (nothing, nothing)

    def mean(rows: IntArray) -> FloatArray:
        return np.array([values[rows].mean()])

    (limits,) = _clustered(part["case"].astype(str).tolist(), mean, params)
    return float(values.mean()), (limits.low, limits.high)


def _resampled(
    statistic: Callable[[IntArray], FloatArray], cases: Iterable[Any], params: EvaluationParams
) -> tuple[float, float, float]:
    """A statistic of all units, and its interval over the cases that they are of."""
    clusters = [str(case) for case in cases]
    (limits,) = _clustered(clusters, statistic, params)
    return float(statistic(np.arange(len(clusters)))[0]), limits.low, limits.high


def _clustered(
    clusters: Sequence[str], statistic: Callable[[IntArray], FloatArray], params: EvaluationParams
) -> list[Interval]:
    if len(set(clusters)) < LEAST_RECORDS:
        return [Interval(np.nan, np.nan) for _ in statistic(np.arange(len(clusters)))]
    return bootstrap_clusters(
        clusters, statistic, confidence=params.confidence, n_resamples=params.n_bootstrap,
        seed=content_seed("study", params.seed),
    )  # fmt: skip


def _both(one: Any, other: Any) -> tuple[list[str], list[str]]:
    """Diagnoses of the cases that both raters have read."""
    known = [
        (a, b) for a, b in zip(one, other, strict=True) if isinstance(a, str) and isinstance(b, str)
    ]
    return [a for a, _ in known], [b for _, b in known]
