"""Two maps side by side, two methods in pairs, and a map on the axis of a longer record."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import EvaluationParams
from ecgxai_core.pipeline.compare import moved, paired, side_by_side
from ecgxai_core.signal.extra_beat import TimeMap
from ecgxai_core.types import Attribution, Provenance

PARAMS = EvaluationParams(n_bootstrap=200)


def a_map(weights, edges=(0.0, 1.0, 3.0)) -> Attribution:
    values = np.asarray(weights, np.float32)
    return Attribution(
        "r", "1", "lime", 0.9, ("I", "II"), np.asarray(edges), np.nan_to_num(values),
        ~np.isnan(values), Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip


def test_equal_maps_do_not_differ():
    one = a_map([[1, np.nan], [0, -4]])
    both = side_by_side(one, one)
    assert both.changed == 0
    assert np.nanmax(np.abs(both.difference)) == 0
    assert np.isnan(both.difference[0, 1]), "explored by neither"
    assert both.one[1, 1] == pytest.approx(-1), "share of the largest density, which is 2 a second"


def test_maps_that_share_nothing_differ_wholly():
    both = side_by_side(a_map([[1, 0], [0, 0]]), a_map([[0, 0], [0, 1]]))
    assert both.changed == pytest.approx(1)
    assert both.difference[0, 0] == pytest.approx(-1)


def test_what_one_did_not_explore_counts_as_zero():
    both = side_by_side(a_map([[1, np.nan], [0, 0]]), a_map([[1, 2], [0, 0]]))
    assert both.difference[0, 1] == pytest.approx(1)


def runs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target": "1",
            "target_name": "a",
            "record": ["x", "x", "y", "y", "z", "z"],
            "method": ["lime", "fused"] * 3,
            "m": [0.1, 0.3, 0.5, 0.4, 0.2, float("nan")],
        }
    )


def test_pairs_are_formed_by_record_and_undefined_ones_left_out():
    found = paired(runs(), "m", "lime", "fused", PARAMS)
    assert list(found.frame["record"]) == ["x", "y"]
    assert np.allclose(found.frame["difference"], [0.2, -0.1])
    assert found.mean == pytest.approx(0.05)
    assert (found.n, found.higher, found.lower, found.equal) == (2, 1, 1, 0)
    assert np.isnan(found.interval.low), "two records are too few for an interval"
    swapped = paired(runs(), "m", "fused", "lime", PARAMS)
    assert swapped.mean == pytest.approx(-found.mean)


def test_targets_of_one_record_are_one_record():
    """The same record under three targets counts once, by its mean difference."""
    frame = runs()
    again = [frame.assign(target=f"also {i}", target_name=f"also {i}") for i in range(2)]
    again[1]["m"] += np.where(again[1]["method"] == "fused", 0.3, 0.0)
    found = paired(pd.concat([frame, *again]), "m", "lime", "fused", PARAMS)
    assert len(found.frame) == 6
    assert (found.n, found.higher, found.lower) == (2, 1, 0)  # y: -0.1, -0.1, +0.2, rounding aside
    assert found.equal == 1
    assert found.mean == pytest.approx(np.mean([0.2 + 0.1, -0.1 + 0.1]))


def test_two_records_of_one_name_are_refused():
    """Their rows cannot be told apart, and the second would be left out in silence."""
    frame = runs()
    twice = pd.concat([frame, frame[frame["record"] == "y"].assign(m=0.9)])
    with pytest.raises(ParameterError, match="1, y, lime: is in the table twice"):
        paired(twice, "m", "lime", "fused", PARAMS)


@pytest.mark.parametrize(("metric", "other"), [("m", "nobody"), ("nothing", "fused")])
def test_unknown_names_are_refused(metric, other):
    with pytest.raises(ParameterError, match="there is no"):
        paired(runs(), metric, "lime", other, PARAMS)


@pytest.mark.parametrize("cut", [0.5, 1.0, 2.0])
def test_a_moved_map_keeps_its_densities_around_the_new_stretch(cut):
    one = a_map([[1, 4], [np.nan, 2]])
    time_map = TimeMap(cut, 0.75, 3.0)
    edges, density = moved(one, time_map)
    assert np.all(np.diff(edges) > 0)
    assert edges[-1] == pytest.approx(3.75)
    middles = (edges[:-1] + edges[1:]) / 2
    back = time_map.backward(middles)
    for column, time in enumerate(back):
        if np.isnan(time):
            assert np.isnan(density[:, column]).all()
        else:
            old = int(np.searchsorted(one.edges_sec, time)) - 1
            assert np.array_equal(density[:, column], one.density()[:, old], equal_nan=True)
    assert np.isnan(back).sum() == 1
