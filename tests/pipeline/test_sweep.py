"""Sweeps: every grid point is what the fusion under those settings scores, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.aggregations import AGGREGATIONS
from ecgxai_core.case import Case
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion import fuse
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import FusionParams, profile, profile_with
from ecgxai_core.pipeline.evaluation import curves_of, priors_shown
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.extra_beat import cached_extra_beat_test, extra_beat_test
from ecgxai_core.pipeline.run.units import cached_unit, unit_entry
from ecgxai_core.pipeline.sweep import SWEPT, Axis, cached_case, default_axis, sweep
from ecgxai_core.records.read import read_record
from ecgxai_core.store.cache import Store
from tests.pipeline.conftest import QUICK
from tests.small import AF

PAIR = ("lime", "timeshap")
CHOSEN = profile_with(profile("default").updated(methods=PAIR), QUICK)


@pytest.fixture(scope="module")
def everything(tiny_data, tiny_model, tmp_path_factory):
    """A record that is explained and shaken, its model and store."""
    store = Store(tmp_path_factory.mktemp("sweep"), int(1e8))
    record = read_record(tiny_data / "T000.hea")
    classifier = LazyClassifier(tiny_model)
    assert cached_case(Case(record, classifier, AF), CHOSEN, store) is None
    found = explained(Case(record, classifier, AF), CHOSEN, store)
    assert cached_extra_beat_test(Case(record, classifier, AF), CHOSEN, store) is None
    extra_beat_test(Case(record, classifier, AF), found, CHOSEN, store)
    yield record, classifier, store
    store.close()


@pytest.fixture(scope="module")
def case(everything):
    record, classifier, store = everything
    return cached_case(Case(record, classifier, AF), CHOSEN, store)


def test_axes_come_from_the_schema():
    assert default_axis("agg").values == tuple(AGGREGATIONS)
    assert default_axis("scale").values == ("global", "lead")
    assert default_axis("beta", 3).values == (0.0, 0.5, 1.0)
    assert max(default_axis("tau").values) == 0.2
    share = Axis("method_weights", (0.2,))
    assert share.applied(FusionParams(), 0.2, PAIR).method_weights == (0.2, 0.8)
    for name in SWEPT:
        for value in default_axis(name).values:
            default_axis(name).applied(FusionParams(), value, PAIR)
    with pytest.raises(ParameterError, match="cannot be swept"):
        default_axis("topk")


def test_every_grid_point_is_its_own_fusion(case):
    x, y = Axis("method_weights", (0.0, 0.3, 1.0)), Axis("agg", ("mean", "min"))
    done = sweep([case], x, y, CHOSEN)
    assert case.extra_beat is not None
    assert {"attauc_strict", "spearman", "shown"} <= set(done.measures())
    assert "deletion_gain" not in done.measures(), "only where the model is asked"
    for row, agg in enumerate(y.values):
        for column, weight in enumerate(x.values):
            params = FusionParams(agg=agg, method_weights=(weight, 1 - weight))
            fused = fuse([case.attributions["lime"], case.attributions["timeshap"]], params)
            scores = plausibility(
                fused, find_diagnosis(AF), case.beats.seconds, case.beats.rate, CHOSEN.evaluation
            )
            value = next(s.value for s in scores if s.metric == "attauc_strict")
            assert done.grid("attauc_strict")[row, column] == pytest.approx(value)
    assert done.chance("attauc_strict") == pytest.approx(0.5)
    peak = done.peak("attauc_strict")
    assert peak.value == done.grid("attauc_strict").max()
    best = done.best("attauc_strict", FusionParams(beta=0.7))
    assert (best.agg, best.beta) == (peak.y, 0.7)


THREE = ("lime", "timeshap", "occlusion")


@pytest.mark.parametrize("methods", [THREE, THREE[::-1], (*THREE, "saliency")])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_share_of_one_method_leaves_equal_parts_to_the_others(methods, share):
    for method in (None, *methods):
        axis = Axis("method_weights", (share,), method)
        weights = axis.applied(FusionParams(), share, methods).method_weights
        named = dict(zip(methods, weights, strict=True))
        assert named.pop(method or methods[0]) == share
        assert set(named.values()) == {round((1 - share) / (len(methods) - 1), 6)}
        assert axis.value_in(FusionParams(method_weights=weights), methods) == pytest.approx(share)


def test_weights_that_no_share_gives_lie_nowhere_on_the_axis():
    axis = default_axis("method_weights", method="timeshap")
    assert axis.value_in(FusionParams(), PAIR) is None
    assert axis.value_in(FusionParams(method_weights=(3, 1)), PAIR) == pytest.approx(0.25)
    assert axis.value_in(FusionParams(method_weights=(0.5, 0.2, 0.3)), THREE) is None
    assert axis.value_in(FusionParams(method_weights=(2, 1, 2)), THREE) == pytest.approx(0.2)
    assert default_axis("beta").value_in(FusionParams(beta=0.3), THREE) == 0.3


def test_weights_of_three_methods_are_swept(everything):
    record, classifier, store = everything
    explained(Case(record, classifier, AF), CHOSEN, store, methods=THREE)
    three = cached_case(Case(record, classifier, AF), CHOSEN, store, methods=THREE)
    x, y = Axis("method_weights", (0.0, 0.6), "occlusion"), Axis("agg", ("mean", "max"))
    done = sweep([three], x, y, CHOSEN)
    assert done.methods == THREE
    for row, agg in enumerate(y.values):
        for column, weights in enumerate([(0.5, 0.5, 0.0), (0.2, 0.2, 0.6)]):
            params = FusionParams(agg=agg, method_weights=weights)
            fused = fuse(list(three.attributions.values()), params)
            scores = plausibility(
                fused, find_diagnosis(AF), three.beats.seconds, three.beats.rate, CHOSEN.evaluation
            )
            value = next(s.value for s in scores if s.metric == "attauc_strict")
            assert done.grid("attauc_strict")[row, column] == pytest.approx(value)
    share = done.peak("attauc_strict").x
    best = done.best("attauc_strict", FusionParams())
    assert best.method_weights == (round((1 - share) / 2, 6), round((1 - share) / 2, 6), share)


def test_methods_that_cannot_be_weighed_are_refused(case):
    one = replace(case, attributions={"lime": case.attributions["lime"]}, extra_beat=None)
    weights, beta = default_axis("method_weights"), default_axis("beta")
    with pytest.raises(ParameterError, match="at least two methods"):
        sweep([one], weights, beta, CHOSEN)
    with pytest.raises(ParameterError, match="different ones"):
        sweep([case, one], beta, default_axis("agg"), CHOSEN)
    with pytest.raises(ParameterError, match="is not fused"):
        sweep([case], default_axis("method_weights", method="lrp"), beta, CHOSEN)
    assert sweep([one], beta, default_axis("agg"), CHOSEN).methods == ("lime",)


def test_tau_changes_what_is_shown_and_no_score(case):
    done = sweep([case], default_axis("tau"), default_axis("tau_mode"), CHOSEN)
    assert np.ptp(done.grid("attauc_strict")) == 0
    assert np.ptp(done.grid("spearman")) == 0
    shown = done.grid("shown")[0]
    assert np.all(np.diff(shown) <= 0)
    assert shown[0] == 1


def test_tau_changes_scores_of_the_published_fusion(case):
    published = CHOSEN.updated(name="reference", fusion=profile("reference").fusion)
    done = sweep([case], Axis("tau", (0.0, 0.9)), Axis("beta", (1.0,)), published)
    assert np.ptp(done.grid("attauc_strict")) > 0.01


def test_the_deletion_gain_of_a_unit_is_that_of_the_sweep(case, everything):
    record, classifier, store = everything
    axes = Axis("beta", (CHOSEN.fusion.beta,)), Axis("agg", (CHOSEN.fusion.agg,))
    done = sweep([case], *axes, CHOSEN, deletion=True)
    assert cached_unit(Case(record, classifier, AF), CHOSEN, store) is None
    entry = unit_entry(Case(record, classifier, AF), CHOSEN, store)
    assert cached_unit(Case(record, classifier, AF), CHOSEN, store) is not None
    row = next(row for row in entry.meta["evaluation"] if row["method"] == "fused")
    assert done.grid("deletion_gain")[0, 0] == pytest.approx(row["deletion_gain"], abs=1e-5)
    curves = curves_of(entry)
    assert set(curves) == {"lime", "timeshap", "fused"}
    area = np.trapezoid(curves["fused"].deletion, curves["fused"].share)
    assert area == pytest.approx(row["deletion_auc"], abs=0.02)
    assert set(curves["fused"].beside) == {"amplitude", "energy"}
    for side, lines in curves["fused"].beside.items():
        for name, line in zip(("deletion_auc", "insertion_auc"), lines, strict=True):
            area = np.trapezoid(line, curves["fused"].share)
            assert area == pytest.approx(row[f"{name}_{side}"], abs=0.02), (name, side)
    assert set(entry.meta["maps"]) >= {"lime", "fused", "extra_beat/fused"}


def test_records_are_averaged_and_counted(case):
    axes = Axis("beta", (0.0, 1.0)), Axis("agg", ("mean",))
    alone = sweep([case], *axes, CHOSEN)
    twice = sweep([case, replace(case, extra_beat=None)], *axes, CHOSEN)
    assert np.allclose(alone.grid("attauc_strict"), twice.grid("attauc_strict"))
    counts = twice.frame.set_index("measure")["n"]
    assert set(counts["attauc_strict"]) == {2}
    assert counts["spearman"].max() == 1


def test_bad_sweeps_are_refused(case):
    with pytest.raises(ParameterError, match="there are none"):
        sweep([], default_axis("beta"), default_axis("agg"), CHOSEN)
    with pytest.raises(ParameterError, match="twice"):
        sweep([case], default_axis("beta"), default_axis("beta"), CHOSEN)


def test_priors_lift_a_map_that_says_nothing(case):
    rows = priors_shown(
        case.attributions, find_diagnosis(AF), case.beats, CHOSEN.evaluation
    ).set_index(["map", "leads"])
    empty = rows.loc[("empty map", "strict")]
    assert empty["without"] == pytest.approx(0.5)
    assert empty["with_priors"] > 0.6
    assert set(rows.index.get_level_values("map")) == {
        "lime", "timeshap", "random map", "empty map",
    }  # fmt: skip
