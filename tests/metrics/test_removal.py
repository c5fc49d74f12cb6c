"""Comprehensiveness and its kin on toy inputs, against formulas written out by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ecgxai_core.errors import ParameterError
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.orders import Cells, top_cells
from ecgxai_core.metrics.references import random_map
from ecgxai_core.metrics.removal import SHARES, infidelity, removal
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import BoolArray, FloatArray, Segmentation
from tests.metrics.planted import GRID, Additive, planted

PARAMS = EvaluationParams()


def test_top_cells_take_the_nearest_share_and_at_least_one():
    area = np.array([1.0, 1.0, 2.0, 4.0])
    order = np.array([3, 0, 2, 1])  # areas 4, 1, 2, 1: shares 0.5, 0.625, 0.875, 1
    for share, n in (
        (0.01, 1),
        (0.5, 1),
        (0.56, 1),
        (0.57, 2),
        (0.74, 2),
        (0.75, 3),
        (0.8, 3),
        (1.0, 4),
    ):
        np.testing.assert_array_equal(top_cells(order, area, share), order[:n])


def test_infidelity_is_the_published_formula_at_its_best_scale():
    """Yeh's E[(b I.phi - loss)^2], minimised over b on a fine grid, over E[loss^2]."""
    rng = np.random.default_rng(0)
    sums = rng.normal(size=50)
    losses = 0.7 * sums + rng.normal(size=50)
    scales = np.linspace(0, 5, 200_001)
    by_grid = min(
        float(np.mean((b * sums - losses) ** 2))
        for b in scales[np.abs(scales - sums @ losses / (sums @ sums)) < 0.01]
    )
    assert infidelity(sums, losses) == pytest.approx(by_grid / np.mean(losses**2), abs=1e-8)
    assert infidelity(3 * losses, losses) == pytest.approx(0, abs=1e-12)  # any scale
    assert infidelity(-losses, losses) == 1.0  # but no other sign
    assert infidelity(np.zeros(50), losses) == 1.0
    assert np.isnan(infidelity(sums, np.zeros(50)))


def test_monotonicity_is_quantus_monotonicity_correlation():
    """Spearman of attribution and loss when a feature is removed alone (Nguyen, Martinez 2020)."""
    record = planted(1)
    effect = np.random.default_rng(3).normal(size=(12, len(GRID))) / 1000
    noisy = random_map(record.maps["oracle"], 5)
    game = Additive(effect)
    scores = {s.metric: s for s in removal({"m": noisy}, game, GRID, PARAMS)["m"]}
    whole = stats.spearmanr(noisy.weights.reshape(-1), effect.reshape(-1)).statistic
    # 128 of 384 cells are asked: the same within the error of a correlation of 128 pairs
    assert abs(scores["monotonicity"].value - whole) < 4 / np.sqrt(128)


def test_scores_do_not_depend_on_the_order_or_company_of_maps():
    record = planted(2)
    game = Additive(record.effect)
    both = removal(record.maps, game, GRID, PARAMS)
    turned = removal(dict(reversed(record.maps.items())), game, GRID, PARAMS)
    alone = removal({"random": record.maps["random"]}, game, GRID, PARAMS)
    assert both == turned or all(
        repr(both[name]) == repr(turned[name]) for name in both
    )  # NaN is not equal to itself
    assert repr(alone["random"]) == repr(both["random"])


def test_cost_is_what_is_declared():
    """Beyond the deletion curves: four shares of half the orders, single cells, 8 a map."""
    record = planted(3)
    game = Remembers(record.effect)
    faithfulness({"oracle": record.maps["oracle"]}, game, GRID, PARAMS)
    curves = game.asked
    removal({"oracle": record.maps["oracle"]}, game, GRID, PARAMS)
    assert 0 < game.asked - curves <= 2 * PARAMS.n_random + 128 + 8
    one = game.asked
    maps = {"oracle": record.maps["oracle"], "random": record.maps["random"]}
    faithfulness(maps, game, GRID, PARAMS)
    removal(maps, game, GRID, PARAMS)
    assert 0 < game.asked - one <= 2 * 9 + 4  # no ties
    assert len(SHARES) == 5


class Remembers(Additive):
    """Counts different masked records only."""

    def __init__(self, effect: FloatArray) -> None:
        super().__init__(effect)
        self.known: set[bytes] = set()

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        self.known |= {row.tobytes() for row in keep}
        values = super().probabilities(keep, segmentation)
        self.asked = len(self.known)
        return values


def test_chance_and_infidelity_are_those_of_the_random_orders():
    """Everything again from the orders alone, with the formulas written out."""
    record = planted(5)
    effect = record.effect.reshape(-1)
    n = len(effect)
    game = Additive(record.effect)
    scores = {s.metric: s for s in removal(record.maps, game, GRID, PARAMS)["random"]}
    orders = Cells.of(record.maps, game.leads, GRID, PARAMS, "test").random
    without, only, sets = [], [], set()
    for share in SHARES:
        k = max(1, round(share * n))
        asked = orders if share in (0.1, 0.2, 0.5) else orders[: len(orders) // 2]
        without.append(np.mean([effect[order[:k]].sum() for order in asked]))
        only.append(np.mean([effect[order[: n - k]].sum() for order in asked]))
    for order in orders:
        sets |= {frozenset(order[: int(step / 10 * n + 0.5)].tolist()) for step in range(1, 10)}
    assert scores["comprehensiveness"].random == pytest.approx(np.mean(without))
    assert scores["sufficiency"].random == pytest.approx(np.mean(only))
    phi = record.maps["random"].weights.reshape(-1).astype(float)
    sums = np.array([phi[list(s)].sum() for s in sets])
    losses = np.array([effect[list(s)].sum() for s in sets])
    assert scores["infidelity"].value == pytest.approx(infidelity(sums, losses), abs=1e-6)


def test_no_maps_and_maps_beyond_what_was_seen_are_refused():
    record = planted(4)
    with pytest.raises(ParameterError, match="none"):
        removal({}, Additive(record.effect), GRID, PARAMS)
    half = Segmentation("uniform", GRID.edges[:9], 100.0, 0.0)
    with pytest.raises(ParameterError, match="more than the model saw"):
        removal(record.maps, Additive(record.effect), half, PARAMS)
