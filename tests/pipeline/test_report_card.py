"""The report card: verdicts by rule, where evidence lies, and the card of a tiny model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ecgxai_core.errors import EcgXaiError, ParameterError, RunError
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.road import road
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.params import EvaluationParams, SelectionParams, profile, profile_with
from ecgxai_core.pipeline import report_card
from ecgxai_core.pipeline.card_evidence import Share, evidence_rows, shares, wave_times
from ecgxai_core.pipeline.card_rules import (
    FAIL,
    FEW,
    PASS,
    TESTS,
    UNDEFINED,
    Measured,
    judge,
    verdicts_of,
)
from ecgxai_core.pipeline.evaluating import Depth
from ecgxai_core.pipeline.report_card import CardRequest, build_card
from ecgxai_core.pipeline.stores import open_store
from ecgxai_core.records.read import read_record
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
    """Deletion and insertion of maps of an additive model, for which the oracle is exact."""
    found = []
    for seed in range(8):
        case = planted(seed)
        maps = {name: case.maps[name] for name in ("oracle", "random", "empty")}
        judged = faithfulness(maps, Additive(case.effect), GRID, PARAMS)
        for name, item in judged.items():
            scores = {s.metric: s for s in item.scores}
            found += [
                Measured(test, name, f"r{seed}", AF, scores[test].value, scores[test].random)
                for test in ("deletion_gain", "insertion_gain")
            ]
    return found


@pytest.mark.parametrize("test", ["deletion_gain", "insertion_gain"])
def test_an_exact_map_passes_and_maps_that_know_nothing_fail(faithful, test):
    found = {
        v.method: v
        for v in verdicts_of(faithful, ("oracle", "random", "empty"), PARAMS)
        if v.test == test
    }
    assert [found[name].verdict for name in ("oracle", "random", "empty")] == [PASS, FAIL, FAIL]
    assert found["oracle"].low > 0
    assert found["oracle"].n == 8
    assert found["empty"].mean == pytest.approx(0, abs=0.05)


def test_road_is_passed_by_an_exact_map_only():
    found = []
    for seed in range(8):
        case = planted(seed)
        maps = {name: case.maps[name] for name in ("oracle", "random", "empty")}
        judged = road(maps, energy_of(case.effect), GIVEN, GRID, PARAMS)
        found += [
            Measured("road_gap", name, f"r{seed}", AF, gap.value, gap.random)
            for name, (_, _, gap) in judged.items()
        ]
    verdicts = verdicts_of(found, ("oracle", "random", "empty"), PARAMS)
    said = {v.method: v for v in verdicts if v.test == "road_gap"}
    assert [said[name].verdict for name in ("oracle", "random", "empty")] == [PASS, FAIL, FAIL]
    assert said["oracle"].chance == 0


def test_an_interval_that_covers_the_border_does_not_pass():
    rng = np.random.default_rng(3)
    unrelated = rng.normal(0, 0.1, 20)
    same = TESTS["extra_beat"]
    assert judge(same, rows("extra_beat", unrelated - unrelated.mean()), PARAMS).verdict == FAIL
    assert judge(same, rows("extra_beat", 0.3 + unrelated), PARAMS).verdict == PASS
    assert judge(same, rows("extra_beat", unrelated - 0.3), PARAMS).verdict == FAIL


def test_chance_is_taken_away_record_by_record():
    """Values that follow their chance level closely are told from it, though both vary widely."""
    chance = np.linspace(0.1, 0.9, 9)
    wiggle = 0.02 + 0.01 * np.cos(np.arange(9))
    found = judge(
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


def test_too_few_records_say_so():
    test = TESTS["deletion_gain"]
    four = judge(test, rows("deletion_gain", [0.9, 0.91, 0.92, 0.93]), PARAMS)
    assert (four.verdict, four.n) == (FEW, 4)
    five = judge(test, rows("deletion_gain", [0.9, 0.91, 0.92, 0.93, np.nan, 0.94]), PARAMS)
    assert (five.verdict, five.n, five.n_undefined) == (PASS, 5, 1)
    none = judge(test, rows("deletion_gain", [np.nan] * 9), PARAMS)
    assert (none.verdict, none.n, none.n_undefined) == (UNDEFINED, 0, 9)
    assert judge(test, [], PARAMS).verdict == UNDEFINED


def test_a_record_explained_for_two_diagnoses_counts_once():
    values = [0.5, 0.6, 0.7, 0.8]
    twice = [
        Measured("deletion_gain", "lime", f"r{i}", code, v, 0.0)
        for i, v in enumerate(values)
        for code in (AF, SINUS)
    ]
    found = judge(TESTS["deletion_gain"], twice, PARAMS)
    assert (found.verdict, found.n) == (FEW, 4)
    assert found.mean == pytest.approx(0.65)


def test_sanity_is_passed_only_by_a_method_that_agrees_with_itself():
    low, high = np.linspace(0.05, 0.15, 8), np.linspace(0.9, 0.99, 8)
    cases = {
        "good": (low, high, PASS),
        "same picture": (high, high, FAIL),
        "noise": (low, low, FAIL),
        "empty": (np.ones(8), np.full(8, np.nan), FAIL),
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
    assert "agree with itself" in found["noise"].note
    assert found["good"].note == ""


def test_a_pass_must_be_clearer_than_that_of_a_lucky_random_map():
    luck = np.linspace(0.01, 0.06, 9)
    table = [
        *rows("insertion_gain", luck, method="random"),
        *rows("insertion_gain", luck + 0.01, method="weak"),
        *rows("insertion_gain", luck + 0.2, method="strong"),
    ]
    maps = ("random", "weak", "strong")
    found = {
        v.method: v
        for v in verdicts_of(table, maps, PARAMS, references=["random", "empty"])
        if v.test == "insertion_gain"
    }
    assert [found[name].verdict for name in maps] == [PASS, FAIL, PASS]
    assert "random map" in found["weak"].note


def test_what_is_not_defined_says_why():
    found = {v.test: v for v in verdicts_of(rows("sanity", [np.nan] * 6), ["lime"], PARAMS)}
    assert found["sanity"].verdict == UNDEFINED
    assert "randomised model" in found["sanity"].note
    assert found["complete"].note == ""


def test_weights_must_add_up_within_one_percent():
    complete = TESTS["complete"]
    assert judge(complete, rows("complete", [1e-6] * 6, np.nan), PARAMS).verdict == PASS
    assert judge(complete, rows("complete", [0.005, 0.03] * 4, np.nan), PARAMS).verdict == FAIL


def test_a_verdict_of_one_diagnosis_looks_at_its_records_only():
    table = rows("deletion_gain", np.linspace(0.5, 0.6, 6))
    table += [
        Measured("deletion_gain", "lime", f"s{i}", SINUS, -0.5 - 0.01 * i, 0.0) for i in range(6)
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
        for m in (0.25, 0.5, 0.75)
    ]
    p, t = evidence_rows(found, PARAMS)
    assert (p.n, t.n) == (0, 3)
    assert np.isnan(p.enrichment)
    assert t.enrichment == pytest.approx(2.0)
    assert (t.mass, t.time) == (pytest.approx(0.5), 0.25)
    assert 1.0 <= t.low <= 2.0 <= t.high <= 3.0


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
    assert card.maps == ("occlusion", "input_x_gradient", "fused", "random", "empty")
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
    assert card.model.sight == "sees 90 ms, order-free beyond"
    assert card.model.engine == "local"
    assert card.model.error < 1e-4
    flat = load_classifier(tiny_model).predict(np.zeros((1, SAMPLES, 12), np.float32))[0]
    zero = {row.code: row for row in card.baselines if row.baseline == "zero"}
    assert [zero[code].mean for code in (AF, SINUS)] == pytest.approx(flat.tolist(), abs=1e-6)
    assert card.model.seconds == SAMPLES / FS


def test_what_cannot_be_judged_is_told(request_of, monkeypatch):
    with open_store() as store:
        with pytest.raises(ParameterError, match="no such method"):
            build_card(request_of("magic"), store)
        with pytest.raises(RunError, match="none could be explained"):
            build_card(request_of("attention"), store)
        whole = report_card.evaluate_all

        def one_fails(record, *args, **kwargs):
            if record.name == "T000":
                raise EcgXaiError("T000", "", "is odd", "leave it out")
            return whole(record, *args, **kwargs)

        monkeypatch.setattr(report_card, "evaluate_all", one_fails)
        card = build_card(request_of("input_x_gradient"), store)
    assert [failure.record for failure in card.failures] == ["T000"]
    assert card.n_by_target == {AF: 1, SINUS: 2}
    assert card.maps == ("input_x_gradient", "random", "empty")
