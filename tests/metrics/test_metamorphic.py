"""What maps without knowledge, with wrong knowledge and with all of it must score, everywhere.

Empty, random and constant maps score chance; the oracle the best possible; the oracle with its
leads dealt anew, or read backwards in time, less. Thirty records with a known truth, and a model
that provably uses it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from ecgxai_core.metrics import METRICS
from ecgxai_core.metrics.base import SIDES
from ecgxai_core.metrics.complexity import complexity
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.plausibility import localisation
from ecgxai_core.metrics.raster import raster_for, rasterise
from ecgxai_core.metrics.references import REFERENCES, random_map
from ecgxai_core.metrics.removal import SHARES, removal
from ecgxai_core.metrics.robustness import KINDS, Trial, robustness
from ecgxai_core.metrics.sanity import sanity
from ecgxai_core.metrics.stability import stability
from ecgxai_core.params import EvaluationParams, StabilityParams
from ecgxai_core.signal.extra_beat import TimeMap
from ecgxai_core.types import Score
from tests.metrics.planted import GRID, Additive, Planted, planted

N = 30
PARAMS = EvaluationParams(deletion_steps=10)
KNOW_NOTHING = ("random", "empty", "constant")
KNOW_WRONG = ("lead_shuffled", "time_reversed")

Table = dict[str, dict[str, list[Score]]]


@pytest.fixture(scope="module")
def records() -> list[Planted]:
    return [planted(seed) for seed in range(N)]


def test_scores_stand_beside_the_numbers_that_their_metric_says(records: list[Planted]) -> None:
    """A table leaves out the other columns, so a number there would be lost."""
    record = records[0]
    item, game = record.maps["oracle"], Additive(record.effect)
    still = TimeMap(8.0, 0.0, 8.0)
    scores = [
        *localisation(rasterise(item, raster_for(item, 0.02)), record.mask, 20, "strict"),
        *faithfulness({"m": item}, game, GRID, PARAMS)["m"].scores,
        *removal({"m": item}, game, GRID, PARAMS)["m"],
        *stability(item, item, record.peaks, still, StabilityParams()),
        *robustness(item, [Trial(k, item, still) for k in KINDS], record.peaks, StabilityParams()),
        *sanity(item, [("all", item)], shuffled=item, repeat=item).scores,
        *complexity(item, PARAMS),
    ]
    for score in scores:
        given = {side for side in SIDES if np.isfinite(getattr(score, side))}
        assert given == set(METRICS[score.metric].sides), score.metric


def table(rows: Iterable[dict[str, tuple[Score, ...]]]) -> Table:
    """Scores by metric and map, one a record."""
    found: Table = {}
    for row in rows:
        for name, scores in row.items():
            for score in scores:
                found.setdefault(score.metric, {}).setdefault(name, []).append(score)
    return found


def values(scores: list[Score]) -> np.ndarray:
    return np.array([score.value for score in scores])


def is_chance(scores: list[Score]) -> None:
    """The mean over records is the mean chance level, within four standard errors."""
    gap = values(scores) - np.array([score.random for score in scores])
    assert np.isfinite(gap).all()
    error = gap.std(ddof=1) / np.sqrt(len(gap))
    assert abs(gap.mean()) <= 4 * error + 1e-9


@pytest.fixture(scope="module")
def localised(records: list[Planted]) -> Table:
    return table(
        {
            name: localisation(rasterise(item, raster_for(item, 0.02)), record.mask, 20, "strict")
            for name, item in record.maps.items()
        }
        for record in records
    )


LOCALISATION = (
    "attauc_strict", "precision_strict", "relevance_mass_strict", "rank_accuracy_strict",
    "pointing_strict",
)  # fmt: skip


@pytest.mark.parametrize("metric", LOCALISATION)
def test_localisation(localised: Table, metric: str) -> None:
    found = localised[metric]
    for name in KNOW_NOTHING:
        if (metric, name) == ("relevance_mass_strict", "empty"):
            assert np.isnan(values(found[name])).all()  # no mass at all
        else:
            is_chance(found[name])
    for name in ("empty", "constant"):
        if (metric, name) != ("relevance_mass_strict", "empty"):
            exact = [score.random for score in found[name]]
            np.testing.assert_allclose(values(found[name]), exact, atol=1e-9)
    oracle = values(found["oracle"])
    best = [score.ceiling for score in found["oracle"]]
    if metric == "relevance_mass_strict":  # its ceiling puts all mass on the purest cell
        assert np.all(oracle <= best)
        assert np.mean(oracle) > 0.5
    else:
        np.testing.assert_allclose(oracle, best, atol=1e-9)
    for name in KNOW_WRONG:
        assert np.mean(values(found[name])) < np.mean(oracle) - 0.1
        assert np.mean(values(found[name]) <= oracle + 1e-9) > 0.95


@pytest.fixture(scope="module")
def removed(records: list[Planted]) -> Table:
    rows = []
    for record in records:
        game = Additive(record.effect)
        classic = faithfulness(record.maps, game, GRID, PARAMS)
        more = removal(record.maps, game, GRID, PARAMS)
        rows.append({name: (*classic[name].scores, *more[name]) for name in record.maps})
    return table(rows)


FAITHFULNESS = (
    "deletion_auc", "insertion_auc", "deletion_gain", "insertion_gain", "comprehensiveness",
    "sufficiency", "monotonicity", "infidelity",
)  # fmt: skip


@pytest.mark.parametrize("metric", FAITHFULNESS)
def test_faithfulness(removed: Table, metric: str) -> None:
    found = removed[metric]
    sign = 1 if METRICS[metric].direction == "higher" else -1
    oracle = sign * values(found["oracle"])
    is_chance(found["random"])
    for name in ("empty", "constant"):
        if metric == "monotonicity":
            assert np.isnan(values(found[name])).all()  # no order
        elif metric == "infidelity":
            continue  # these two have a sum: see below
        else:
            is_chance(found[name])
    for name in (*KNOW_WRONG, "random"):
        assert np.all(sign * values(found[name]) < oracle)


def test_the_oracle_of_an_additive_model_is_the_best_that_there_is(
    records: list[Planted], removed: Table
) -> None:
    """By hand: removing the largest effects first; cells are equal in size here."""
    for i, record in enumerate(records):
        effects = np.sort(record.effect.reshape(-1))[::-1]
        counts = [max(1, round(share * len(effects))) for share in SHARES]
        best = np.mean([effects[:k].sum() for k in counts])
        assert removed["comprehensiveness"]["oracle"][i].value == pytest.approx(best, abs=1e-6)
        rest = np.mean([effects[k:].sum() for k in counts])
        assert removed["sufficiency"]["oracle"][i].value == pytest.approx(rest, abs=1e-6)
        assert removed["infidelity"]["oracle"][i].value == pytest.approx(0, abs=1e-6)
        assert removed["infidelity"]["empty"][i].value == 1.0
        assert removed["monotonicity"]["oracle"][i].value == pytest.approx(1, abs=1e-3)


def test_stability_and_robustness(records: list[Planted]) -> None:
    """A map that stays scores the ceiling; an unrelated map of the changed record, chance."""
    params = StabilityParams()
    still = TimeMap(8.0, 0.0, 8.0)
    names = ["spearman", "weighted_jaccard"]
    by_kind = [f"{name}_{kind}" for kind in KINDS for name in names]
    rows = []
    for record in records:
        noise = random_map(record.maps["oracle"], 1)
        other = random_map(record.maps["oracle"], 2)
        pairs = {
            "random": (noise, other),
            "oracle": (noise, noise),
            "lead_shuffled": (noise, REFERENCES["lead_shuffled"](noise, 0)),
            "time_reversed": (noise, REFERENCES["time_reversed"](noise, 0)),
        }
        row = {}
        for name, (one, two) in pairs.items():
            trials = [Trial(kind, two, still) for kind in KINDS]
            row[name] = (
                *stability(one, two, record.peaks, still, params),
                *robustness(one, trials, record.peaks, params),
            )
        rows.append(row)
    found = table(rows)
    for metric in (*names, "jaccard_at_k", "rbo_ext", *by_kind):
        is_chance(found[metric]["random"])
        np.testing.assert_allclose(values(found[metric]["oracle"]), 1.0, atol=1e-9)
        for name in KNOW_WRONG:
            assert np.mean(values(found[metric][name])) < 0.5
    assert np.all(values(found["max_sensitivity"]["oracle"]) == 0)
    assert abs(np.mean(values(found["max_sensitivity"]["random"])) - np.sqrt(2)) < 0.02
    empty = records[0].maps["empty"]
    scores = stability(empty, empty, records[0].peaks, still, params)
    assert all(np.isnan(s.value) for s in scores if s.metric in names)


def test_sanity_flags_what_does_not_depend_on_the_model(records: list[Planted]) -> None:
    alike, flags = [], []
    for record in records:
        trained = random_map(record.maps["oracle"], 1)
        told = sanity(trained, [("top", trained), ("all", random_map(trained, 2))])
        alike.append(told.scores[0].value)
        flags.append(told.flagged)
        same = sanity(trained, [("top", trained), ("all", trained)])
        assert same.flagged
        assert same.scores[0].value == 1.0
    assert np.mean(alike) < 0.1
    assert not any(flags)
    for name in ("empty", "constant"):
        item = records[0].maps[name]
        assert sanity(item, [("all", item)]).flagged


def test_complexity_is_blind_to_place(records: list[Planted]) -> None:
    found = table(
        {name: complexity(item, PARAMS) for name, item in record.maps.items()} for record in records
    )
    for metric in ("gini", "entropy_share"):
        for name in KNOW_WRONG:
            np.testing.assert_allclose(
                values(found[metric][name]), values(found[metric]["oracle"]), atol=0.01
            )
        gap = values(found[metric]["random"]) - found[metric]["random"][0].random
        assert abs(gap.mean()) < 0.01
        assert np.isnan(values(found[metric]["empty"])).all()
    np.testing.assert_allclose(values(found["gini"]["constant"]), 0, atol=1e-3)
    np.testing.assert_allclose(values(found["entropy_share"]["constant"]), 1, atol=1e-3)
    assert values(found["gini"]["oracle"]).min() > 0.8
