"""The report card: rules of the verdicts, distribution of evidence, the card of a tiny model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.audit import report_card
from ecgxai_core.audit.card_evidence import Share, evidence_rows, shares, wave_times
from ecgxai_core.audit.card_rules import (
    FAIL,
    FEW,
    NOT_TESTED,
    PASS,
    TESTS,
    UNDEFINED,
    Measured,
    verdict_of,
    verdicts_of,
)
from ecgxai_core.audit.report_card import REFERENCE_MAPS, CardRequest, build_card
from ecgxai_core.errors import EcgXaiError, ParameterError, RunError
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.road import road
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import EvaluationParams, SelectionParams, profile, profile_with
from ecgxai_core.pipeline.full_evaluation import Depth
from ecgxai_core.records.read import read_record
from ecgxai_core.store.cache import open_store
from ecgxai_core.types import Attribution, Provenance
from tests.metrics.planted import GRID, Additive, planted
from tests.metrics.test_road import GIVEN, energy_of
from tests.pipeline.conftest import QUICK
from tests.small import AF, FS, SAMPLES, SINUS

PARAMS = EvaluationParams(deletion_steps=8)
CHEAP = Depth(noises=0, sanity_stages=1)


def rows(test: str, values, chance=0.0, method: str = "lime") -> list[Measured]:
    return [Measured(test, method, f"r{i}", AF, float(v), chance) for i, v in enumerate(values)]


@pytest.fixture(scope="module")
def faithful() -> list[Measured]:
    """Deletion and insertion scores of maps of an additive model, for which the oracle is exact."""
    found = []
    for seed in range(12):
        case = planted(seed)
        maps = {name: case.maps[name] for name in ("oracle", "random", "empty")}
        evaluated = faithfulness(maps, Additive(case.effect), GRID, PARAMS)
        for name, item in evaluated.items():
            scores = {s.metric: s for s in item.scores}
            found += [
                Measured(test, name, f"r{seed}", AF, scores[test].value, scores[test].random)
                for test in ("deletion_gain", "insertion_gain")
            ]
    return found


@pytest.mark.parametrize("test", ["deletion_gain", "insertion_gain"])
def test_an_exact_map_passes_and_maps_without_information_fail(faithful, test):
    found = {
        v.method: v
        for v in verdicts_of(faithful, ("oracle", "random", "empty"), PARAMS)
        if v.test == test
    }
    assert [found[name].verdict for name in ("oracle", "random", "empty")] == [PASS, FAIL, FAIL]
    assert found["oracle"].low > 0
    assert found["oracle"].n == 12
    assert found["empty"].mean == pytest.approx(0, abs=0.05)


def test_only_an_exact_map_passes_road():
    found = []
    for seed in range(12):
        case = planted(seed)
        maps = {name: case.maps[name] for name in ("oracle", "random", "empty")}
        evaluated = road(maps, energy_of(case.effect), GIVEN, GRID, PARAMS)
        found += [
            Measured("road_gap", name, f"r{seed}", AF, gap.value, gap.random)
            for name, (_, _, gap) in evaluated.items()
        ]
    verdicts = verdicts_of(found, ("oracle", "random", "empty"), PARAMS)
    said = {v.method: v for v in verdicts if v.test == "road_gap"}
    assert [said[name].verdict for name in ("oracle", "random", "empty")] == [PASS, FAIL, FAIL]
    assert said["oracle"].chance == 0


def test_an_interval_that_contains_the_border_does_not_pass():
    rng = np.random.default_rng(3)
    unrelated = rng.normal(0, 0.1, 20)
    same = TESTS["extra_beat"]
    assert (
        verdict_of(same, rows("extra_beat", unrelated - unrelated.mean()), PARAMS).verdict == FAIL
    )
    assert verdict_of(same, rows("extra_beat", 0.3 + unrelated), PARAMS).verdict == PASS
    assert verdict_of(same, rows("extra_beat", unrelated - 0.3), PARAMS).verdict == FAIL


def test_the_difference_from_chance_is_paired():
    """A small, consistent difference passes although value and chance level vary widely."""
    chance = np.linspace(0.1, 0.9, 12)
    wiggle = 0.02 + 0.01 * np.cos(np.arange(12))
    found = verdict_of(
        TESTS["attauc_strict"],
        [
            Measured("attauc_strict", "lime", f"r{i}", AF, c + w, c)
            for i, (c, w) in enumerate(zip(chance, wiggle, strict=True))
        ],
        PARAMS,
    )
    assert found.verdict == PASS
    assert found.mean - found.chance == pytest.approx(wiggle.mean())
    assert found.low <= wiggle.mean() <= found.high < 0.04


def test_too_few_records_give_no_verdict():
    test, many = TESTS["deletion_gain"], [0.9 + 0.01 * i for i in range(10)]
    nine = verdict_of(test, rows("deletion_gain", many[:9]), PARAMS)
    assert (nine.verdict, nine.n) == (FEW, 9)
    assert np.isnan(nine.low)
    ten = verdict_of(test, rows("deletion_gain", [*many, np.nan]), PARAMS)
    assert (ten.verdict, ten.n, ten.n_undefined) == (PASS, 10, 1)
    none = verdict_of(test, rows("deletion_gain", [np.nan] * 9), PARAMS)
    assert (none.verdict, none.n, none.n_undefined) == (UNDEFINED, 0, 9)
    assert verdict_of(test, [], PARAMS).verdict == UNDEFINED


def test_equal_values_are_judged_by_the_value():
    assert verdict_of(TESTS["repeats"], rows("repeats", [1.0] * 10, np.nan), PARAMS).verdict == PASS
    same = verdict_of(TESTS["deletion_gain"], rows("deletion_gain", [0.2] * 10, 0.2), PARAMS)
    assert (same.verdict, same.low, same.high) == (FAIL, 0.0, 0.0)


def test_a_record_explained_for_two_diagnoses_counts_once():
    values = [0.5, 0.6, 0.7, 0.8]
    twice = [
        Measured("deletion_gain", "lime", f"r{i}", code, v, 0.0)
        for i, v in enumerate(values)
        for code in (AF, SINUS)
    ]
    found = verdict_of(TESTS["deletion_gain"], twice, PARAMS)
    assert (found.verdict, found.n) == (FEW, 4)
    assert found.mean == pytest.approx(0.65)


def test_only_a_reproducible_method_passes_sanity():
    low, high = np.linspace(0.05, 0.15, 12), np.linspace(0.9, 0.99, 12)
    cases = {
        "good": (low, high, PASS),
        "same picture": (high, high, FAIL),
        "noise": (low, low, FAIL),
        "empty": (np.ones(12), np.full(12, np.nan), FAIL),
    }
    table = [
        row
        for name, (alike, again, _) in cases.items()
        for row in (
            *rows("sanity", alike, np.nan, name), *rows("repeats", again, np.nan, name)
        )
    ]  # fmt: skip
    found = {v.method: v for v in verdicts_of(table, list(cases), PARAMS) if v.test == "sanity"}
    assert {name: found[name].verdict for name in cases} == {n: c[2] for n, c in cases.items()}
    assert "not reproducible" in found["noise"].note
    assert found["good"].note == ""


def gated(alike: float, again: float = 0.95) -> list[Measured]:
    """A method that scores well in everything, with maps this alike under randomised weights."""
    wiggle = 0.01 * np.cos(np.arange(12))
    return [
        *rows("deletion_gain", 0.4 + wiggle), *rows("spearman_noise", 0.8 + wiggle),
        *rows("sanity", alike + wiggle, np.nan), *rows("repeats", again + wiggle, np.nan),
    ]  # fmt: skip


@pytest.mark.parametrize(("alike", "again"), [(0.95, 0.95), (0.1, 0.1)])
def test_a_method_that_does_not_depend_on_the_model_passes_nothing(alike, again):
    found = verdicts_of(gated(alike, again), ["lime"], PARAMS)
    assert PASS not in {v.verdict for v in found}
    assert "passes nothing" in next(v for v in found if v.test == "deletion_gain").note
    good = {v.test: v.verdict for v in verdicts_of(gated(0.1), ["lime"], PARAMS)}
    assert {good[name] for name in ("deletion_gain", "spearman_noise", "sanity")} == {PASS}


def test_what_cannot_be_tested_is_not_passed():
    table = [row for row in gated(0.1) if row.test not in ("sanity", "repeats")]
    found = {v.test: v for v in verdicts_of(table, ["lime"], PARAMS, "", {"lime": "no weights"})}
    assert (found["sanity"].verdict, found["sanity"].note) == (NOT_TESTED, "no weights")
    assert found["deletion_gain"].verdict == PASS
    flat = [*table, *rows("sanity", [1.0] * 12, np.nan)]
    found = {v.test: v for v in verdicts_of(flat, ["lime"], PARAMS, "", {"lime": "no weights"})}
    assert found["sanity"].verdict == found["deletion_gain"].verdict == FAIL


def test_a_map_must_be_better_than_each_of_its_reference_maps():
    """Far above chance is not enough where the signal's energy reaches the same."""
    wiggle = 0.02 * np.cos(np.arange(12))
    table = [
        Measured("deletion_gain", name, f"r{i}", AF, 0.3 + float(w) + more, 0.0,
                 {"empty": 0.0, "energy": 0.3 + float(w**2), "lead_shuffled": 0.1})
        for name, more in (("same", 0.0), ("better", 0.1))
        for i, w in enumerate(wiggle)
    ]  # fmt: skip
    said = verdicts_of(table, ["same", "better"], PARAMS)
    found = {v.method: v for v in said if v.test == "deletion_gain"}
    assert (found["same"].verdict, found["same"].beaten_by) == (FAIL, ("energy",))
    assert (found["better"].verdict, found["better"].beaten_by) == (PASS, ())
    assert [one.reference for one in found["better"].against] == [
        "random", "empty", "energy", "lead_shuffled",
    ]  # fmt: skip


def test_an_undefined_verdict_has_a_reason():
    found = {v.test: v for v in verdicts_of(rows("sanity", [np.nan] * 12), ["lime"], PARAMS)}
    assert found["sanity"].verdict == UNDEFINED
    assert "randomised model" in found["sanity"].note
    assert found["complete"].note == ""


def test_weights_must_add_up_within_one_percent():
    complete = TESTS["complete"]
    assert verdict_of(complete, rows("complete", [1e-6, 2e-6] * 6, np.nan), PARAMS).verdict == PASS
    assert verdict_of(complete, rows("complete", [0.005, 0.03] * 6, np.nan), PARAMS).verdict == FAIL


def test_the_verdict_of_a_diagnosis_uses_only_its_records():
    table = rows("deletion_gain", np.linspace(0.5, 0.6, 12))
    table += [
        Measured("deletion_gain", "lime", f"s{i}", SINUS, -0.5 - 0.01 * i, 0.0) for i in range(12)
    ]
    of = {
        target: verdicts_of(table, ["lime"], PARAMS, target)[0].verdict
        for target in ("", AF, SINUS)
    }
    assert of == {"": FAIL, AF: PASS, SINUS: FAIL}


def grid_map(weights, edges, explored=None) -> Attribution:
    weights = np.asarray(weights, np.float32)
    seen = np.ones(weights.shape, bool) if explored is None else explored
    return Attribution(
        "r", AF, "m", 0.9, ("I", "II"), np.asarray(edges, float),
        np.where(seen, weights, np.nan), seen, Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip


def test_shares_of_positive_mass_by_lead_and_wave():
    times = {
        "P": np.array([[0.0, 0.25]]), "QRS": np.array([[0.25, 0.5], [0.5, 1.0]]),
        "ST": np.zeros((0, 2)), "T": np.array([[1.0, 3.0]]), "between": np.array([[3.0, 4.0]]),
    }  # fmt: skip
    item = grid_map([[1, 0, -9, 0], [1, 0, 2, 0]], [0, 1, 2, 3, 4])
    found = {part.name: part for part in shares(item, times)}
    assert (found["I"].mass, found["I"].time) == (0.25, 0.5)
    assert found["II"].mass == 0.75
    assert (found["P"].mass, found["P"].time) == (0.125, 1 / 16)
    assert (found["QRS"].mass, found["QRS"].time) == (0.375, 3 / 16)
    assert (found["T"].mass, found["T"].time) == (0.5, 0.5)
    assert (found["ST"].mass, found["ST"].time) == (0.0, 0.0)
    unseen = np.ones((2, 4), bool)
    unseen[0] = False
    alone = {p.name: p for p in shares(grid_map(np.ones((2, 4)), [0, 1, 2, 3, 4], unseen), times)}
    assert (alone["I"].time, alone["II"].time, alone["II"].mass) == (0.0, 1.0, 1.0)
    nothing = shares(grid_map(-np.ones((2, 4)), [0, 1, 2, 3, 4]), {})
    assert all(np.isnan(part.mass) for part in nothing)
    assert np.isnan(nothing[-1].time)


def test_enrichment_is_mass_over_time_and_undefined_without_time():
    found = [
        (AF, "lime", [Share("wave", "P", 0.0, 0.0), Share("wave", "T", m, 0.25)])
        for m in np.linspace(0.25, 0.75, 11)
    ]
    p, t = evidence_rows(found, PARAMS)
    assert (p.n, t.n) == (0, 11)
    assert np.isnan(p.enrichment)
    assert t.enrichment == pytest.approx(2.0)
    assert (t.mass, t.time) == (pytest.approx(0.5), 0.25)
    assert 1.0 <= t.low < 2.0 < t.high <= 3.0
    assert np.isnan(evidence_rows(found[:9], PARAMS)[1].low), "nine are too few for an interval"


def test_waves_cover_the_record_once(tiny_data):
    record = read_record(tiny_data / "T001.hea")
    spans = np.concatenate(list(wave_times(record).values()))
    spans = spans[np.argsort(spans[:, 0])]
    assert spans[0, 0] == 0
    assert spans[-1, 1] == pytest.approx(record.duration)
    assert np.allclose(spans[1:, 0], spans[:-1, 1])
    assert len(wave_times(record)["QRS"]) >= 5


@pytest.fixture
def request_of(tiny_data, tiny_model):
    def make(*methods: str) -> CardRequest:
        chosen = profile_with(profile("default"), [*QUICK, "window_sec=1.0"])
        return CardRequest(
            tiny_data, tiny_model, chosen.updated(methods=methods), SelectionParams(k_per_class=2),
            depth=CHEAP,
        )  # fmt: skip

    return make


def test_the_card_of_a_model_is_resumed_from_the_cache(request_of, tiny_model, monkeypatch):
    request = request_of("occlusion", "input_x_gradient")
    with open_store() as store:
        card = build_card(request, store)

        def forbidden(*_args, **_kwargs):
            raise AssertionError("computed again")

        monkeypatch.setattr(report_card, "evaluate_all", forbidden)
        again = build_card(request, store)
    said = card.as_json()
    assert json.dumps(said, allow_nan=False) == json.dumps(again.as_json(), allow_nan=False)
    assert card.maps == ("occlusion", "input_x_gradient", "fused", *REFERENCE_MAPS)
    assert (card.n_read, card.n_records, card.n_simulated) == (4, 4, 0)
    assert card.n_by_target == {AF: 2, SINUS: 2}
    assert card.failures == ()
    together = {(v.test, v.method): v for v in card.verdicts if not v.target}
    assert {v.verdict for v in together.values()} <= {FEW, UNDEFINED}
    assert together["deletion_gain", "occlusion"].n == together["road_gap", "random"].n == 4
    assert together["repeats", "occlusion"].mean == pytest.approx(1.0)
    assert together["sanity", "input_x_gradient"].n == 4
    assert together["complete", "occlusion"].verdict == UNDEFINED
    assert together["spearman_noise", "occlusion"].verdict == UNDEFINED
    leads = [r for r in card.evidence if (r.target, r.method, r.kind) == (AF, "occlusion", "lead")]
    assert sum(row.mass for row in leads) == pytest.approx(1.0)
    assert card.model.receptive_field == "90 ms, regardless of order beyond"
    assert card.model.engine == "local"
    assert card.model.error < 1e-4
    flat = load_classifier(tiny_model).predict(np.zeros((1, SAMPLES, 12), np.float32))[0]
    zero = {row.code: row for row in card.baselines if row.baseline == "zero"}
    assert [zero[code].mean for code in (AF, SINUS)] == pytest.approx(flat.tolist(), abs=1e-6)
    assert card.model.seconds == SAMPLES / FS


def test_a_method_that_maps_shuffled_labels_alike_passes_nothing(request_of, tiny_model):
    request = request_of("occlusion")
    with open_store() as store:
        before = build_card(request, store)
        # the model itself in place of one of shuffled labels: its maps are the same
        card = build_card(replace(request, shuffled=tiny_model), store)
    assert card.digest != before.digest
    values = {v.method: v.mean for v in card.verdicts if v.test == "sanity" and not v.target}
    assert values["occlusion"] == pytest.approx(1.0)
    known = {v.method: v.mean for v in before.verdicts if v.test == "sanity" and not v.target}
    assert known["occlusion"] < values["occlusion"]


def test_unknown_methods_and_failing_records_are_reported(request_of, monkeypatch):
    with open_store() as store:
        with pytest.raises(ParameterError, match="no such method"):
            build_card(request_of("magic"), store)
        with pytest.raises(RunError, match="none could be explained"):
            build_card(request_of("attention"), store)
        whole = report_card.evaluate_all

        def one_fails(case, *args, **kwargs):
            if case.record.name == "T000":
                raise EcgXaiError("T000", "", "is odd", "leave it out")
            return whole(case, *args, **kwargs)

        monkeypatch.setattr(report_card, "evaluate_all", one_fails)
        card = build_card(request_of("input_x_gradient"), store)
    assert [failure.record for failure in card.failures] == ["T000"]
    assert card.n_by_target == {AF: 1, SINUS: 2}
    assert card.maps == ("input_x_gradient", *REFERENCE_MAPS)
