"""Records simulated for training and for demonstration share no seed and no parameter value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgxai_core.errors import ParameterError
from ecgxai_core.simulation import mechanisms, simulate, simulate_set
from ecgxai_core.simulation.heart import NORMAL_RANGES
from ecgxai_core.simulation.populations import BANDS, POPULATIONS, Draw, intervals


def test_parameter_intervals_of_the_populations_are_disjoint_across_all_mechanisms() -> None:
    by_name: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for ranges in (NORMAL_RANGES, *(row.ranges for row in mechanisms())):
        for name, (low, high) in ranges.items():
            found = by_name.setdefault(name, {p: [] for p in POPULATIONS})
            for population in POPULATIONS:
                found[population] += intervals(name, low, high, population)
    assert set(by_name) <= set(BANDS)
    for name, found in by_name.items():
        for a in found["training"]:
            for b in found["demonstration"]:
                gap = max(a[0], b[0]) - min(a[1], b[1])
                assert gap > 0.05 * BANDS[name], (name, a, b)


@given(
    name=st.sampled_from(sorted(NORMAL_RANGES)),
    population=st.sampled_from(POPULATIONS),
    seed=st.integers(0, 10_000),
)
def test_a_draw_lies_in_a_band_of_its_population(name: str, population: str, seed: int) -> None:
    low, high = NORMAL_RANGES[name]
    draw = Draw(population, np.random.default_rng(seed))  # type: ignore[arg-type]
    value = draw(name, low, high)
    assert low <= value <= high
    assert int(np.floor(value / BANDS[name])) % 2 == (population == "demonstration")
    assert draw.values == {name: value}


def test_draws_reach_every_band() -> None:
    draw = Draw("training", np.random.default_rng(1))
    values = [draw("heart_rate", 62, 92) for _ in range(300)]
    bands = intervals("heart_rate", 62, 92, "training")
    assert all(any(low <= v <= high for v in values) for low, high in bands)


def test_simulated_records_of_the_two_populations_share_nothing() -> None:
    seen: dict[str, dict[str, set[float]]] = {p: {} for p in POPULATIONS}
    digests: dict[str, set[str]] = {p: set() for p in POPULATIONS}
    for population in POPULATIONS:
        for s in simulate_set(60, 1, population, fs=100):  # the same user seed for both
            digests[population].add(s.record.digest)
            for name, value in s.parameters.items():
                if name in BANDS and name in NORMAL_RANGES:
                    seen[population].setdefault(name, set()).add(float(value))
    assert len(digests["training"]) == len(digests["demonstration"]) == 60
    assert not digests["training"] & digests["demonstration"]
    for name, values in seen["training"].items():
        if name == "heart_rate":  # in flutter it is derived from the atrial rate
            continue
        bands = {int(np.floor(v / BANDS[name])) % 2 for v in values}
        assert bands == {0}, name
        other = {int(np.floor(v / BANDS[name])) % 2 for v in seen["demonstration"][name]}
        assert other == {1}, name


def test_seeds_of_the_sets_are_disjoint() -> None:
    seeds = {
        population: {int(s.parameters["seed"]) for s in simulate_set(30, 7, population, fs=100)}
        for population in POPULATIONS
    }
    assert len(seeds["training"] | seeds["demonstration"]) == 60


def test_an_unknown_population_is_refused() -> None:
    with pytest.raises(ParameterError, match="population"):
        simulate(seed=1, population="test")  # type: ignore[arg-type]


def test_a_range_without_a_band_raises() -> None:
    with pytest.raises(ValueError, match="no band"):
        intervals("heart_rate", 60.0, 60.1, "demonstration")
