"""The verb: what every attribution promises, whatever the method."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.errors import DiagnosisError, ModelError, ParameterError
from ecgxai_core.explainers import METHODS, explain, explain_many
from ecgxai_core.games import masked
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import STANDARD_LEADS, Record, canonical_json
from tests.analytic import TARGET, Analytic, cell_energy, manifest, record

EDGES = [0, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500]
PARAMS = ExplainParams(n_coalitions=64, n_lead_coalitions=40, window_sec=0.5)
SAMPLED = ("lime", "timeshap")
EFFECTS = np.random.default_rng(8).normal(size=(12, 10)) / 4


def additive(values):
    """Logit = sum over cells of effect x energy: a masked cell (0 mV) is worth exactly nothing."""
    return (cell_energy(values, EDGES) * EFFECTS).sum(axis=(1, 2)) - 0.2


def bent(values):
    energy = cell_energy(values, EDGES)
    column = (energy * EFFECTS).sum(axis=1)
    return column.sum(axis=1) + 0.5 * np.sin(3 * column).sum(axis=1) * energy[:, 1].mean(axis=1)


def worth(of: Record):
    """``float64[lead, segment]``: what each cell adds to the additive model's logit."""
    return (cell_energy(of.signal.T[None].astype(np.float64), EDGES) * EFFECTS)[0]


def as_bytes(a):
    arrays = (a.edges_sec, a.weights, a.explored, a.event_values, a.event_errors, a.standard_errors)
    return (
        [x.tobytes() for x in arrays],
        canonical_json(dict(a.diagnostics)),
        a.provenance.as_dict(),
    )


@pytest.mark.parametrize("method", SAMPLED)
def test_additive_model_gives_what_is_on_paper(method):
    params = PARAMS.updated(ridge_lime=0.0)
    found = explain(Case(record(), Analytic(additive), TARGET), method, params)
    expected = worth(record())
    events = found.diagnostics["explored_events"]
    assert np.allclose(found.event_values, expected.sum(axis=0), atol=2e-4)
    assert np.allclose(found.weights[:, events], expected[:, events], atol=2e-4)
    strongest = np.argsort(-np.abs(expected.sum(axis=0)), kind="stable")[:5]
    assert events == strongest.tolist()
    assert found.diagnostics["converged"]
    assert found.diagnostics["held_out_r2"]["event"] > 0.999
    assert found.diagnostics["efficiency_gap"] < 1e-3


@pytest.mark.parametrize("method", SAMPLED)
def test_what_was_not_explored_is_marked_never_zero(method):
    found = explain(Case(record(), Analytic(bent), TARGET), method, PARAMS.updated(top_events=2))
    opened = found.diagnostics["explored_events"]
    assert found.explored.sum() == 12 * 2
    assert found.explored[:, opened].all()
    assert np.isnan(found.weights[~found.explored]).all()
    assert np.isnan(found.standard_errors[~found.explored]).all()
    assert np.isfinite(found.weights[found.explored]).all()
    everything = explain(
        Case(record(), Analytic(bent), TARGET), method, PARAMS.updated(top_events=999)
    )
    assert everything.explored.all()


@pytest.mark.parametrize("method", SAMPLED)
def test_keep_leads_marks_the_others_as_not_explored(method):
    whole = explain(Case(record(), Analytic(bent), TARGET), method, PARAMS)
    five = explain(Case(record(), Analytic(bent), TARGET), method, PARAMS.updated(keep_leads=5))
    strength = np.nansum(np.abs(whole.weights.astype(float)), axis=1)
    assert set(np.flatnonzero(five.explored.any(axis=1))) == set(np.argsort(-strength)[:5])
    assert np.array_equal(five.weights[five.explored], whole.weights[five.explored])


@pytest.mark.parametrize("method", SAMPLED)
def test_leads_follow_names_when_the_model_permutes_them(method):
    shuffled = tuple(np.random.default_rng(3).permutation(STANDARD_LEADS).tolist())
    plain = explain(Case(record(), Analytic(bent), TARGET), method, PARAMS)
    other = explain(Case(record(), Analytic(bent, manifest(shuffled)), TARGET), method, PARAMS)
    assert other.leads == STANDARD_LEADS
    assert np.array_equal(plain.weights, other.weights, equal_nan=True)


def test_padding_lies_in_no_segment():
    found = explain(Case(record(4.2), Analytic(bent), TARGET), "lime", PARAMS)
    assert found.edges_sec[0] == 0
    assert found.edges_sec[-1] == pytest.approx(4.2)
    assert found.diagnostics["share_padding"] == pytest.approx(0.16)
    assert found.diagnostics["share_not_seen"] == 0


def test_window_of_a_longer_record_is_on_the_records_clock():
    found = explain(Case(record(8.0), Analytic(bent), TARGET, 2.0), "lime", PARAMS)
    assert found.diagnostics["seen_sec"] == [2.0, 7.0]
    assert found.diagnostics["share_not_seen"] == pytest.approx(3 / 8)
    assert found.edges_sec[[0, -1]].tolist() == [2.0, 7.0]


@pytest.mark.parametrize("method", SAMPLED)
def test_same_bytes_whatever_the_chunks_and_however_often(monkeypatch, method):
    expected = as_bytes(explain(Case(record(), Analytic(bent), TARGET), method, PARAMS))
    assert as_bytes(explain(Case(record(), Analytic(bent), TARGET), method, PARAMS)) == expected
    monkeypatch.setattr(masked, "CHUNK_BYTES", 5 * 24_000)
    assert as_bytes(explain(Case(record(), Analytic(bent), TARGET), method, PARAMS)) == expected


def test_methods_together_are_the_methods_alone_in_any_order():
    alone = {
        m: as_bytes(explain(Case(record(), Analytic(bent), TARGET), m, PARAMS)) for m in SAMPLED
    }
    for order in (SAMPLED, SAMPLED[::-1]):
        together = explain_many(
            Case(record(), Analytic(bent), TARGET), dict.fromkeys(order, PARAMS)
        )
        assert list(together) == list(order)
        assert {m: as_bytes(a) for m, a in together.items()} == {m: alone[m] for m in order}


def test_lime_and_timeshap_share_their_lead_masks():
    params = PARAMS.updated(top_events=10)
    model = Analytic(bent)
    found = explain_many(Case(record(), model, TARGET), {"lime": params, "timeshap": params})
    lime, timeshap = (found[m].diagnostics["forward_passes"] for m in ("lime", "timeshap"))
    lead_masks = 10 * (params.n_lead_coalitions - 2)
    assert model.rows <= lime + timeshap - lead_masks
    assert lime <= 64 + 10 * 40


def test_seed_and_record_move_the_masks_and_nothing_else_does():
    def events(**changes):
        of = changes.pop("of", record())
        return explain(
            Case(of, Analytic(bent), TARGET), "lime", PARAMS.updated(**changes)
        ).event_values

    plain = events()
    assert not np.array_equal(plain, events(seed=1))
    assert np.array_equal(plain, events(of=record(name="another name")))
    assert np.array_equal(plain, events(ridge_timeshap=1.0, top_events=2))


def test_parameters_that_a_method_does_not_use_leave_no_trace():
    changed = PARAMS.updated(p_on=0.9, kernel_width=2.0, ridge_lime=7.0, lead_priors=True)
    one = explain(Case(record(), Analytic(bent), TARGET), "timeshap", PARAMS)
    two = explain(Case(record(), Analytic(bent), TARGET), "timeshap", changed)
    assert as_bytes(one) == as_bytes(two)
    for method in METHODS.values():
        assert set(method.uses) <= set(ExplainParams.model_fields)


@pytest.mark.parametrize("method", SAMPLED)
def test_small_games_are_exact(method):
    params = PARAMS.updated(window_sec=1.25, n_lead_coalitions=4096)
    found = explain(Case(record(), Analytic(bent), TARGET), method, params)
    assert found.diagnostics["exact"]
    assert found.diagnostics["converged"]
    assert np.all(found.event_errors == 0)
    assert np.all(found.standard_errors[found.explored] == 0)


@pytest.mark.parametrize("method", SAMPLED)
def test_sampled_maps_lie_within_their_errors_of_the_exact_ones(method):
    """95 % intervals, pooled over independent draws of the masks."""
    exact = PARAMS.updated(n_coalitions=1024, n_lead_coalitions=4096, top_events=3)
    one = explain(Case(record(), Analytic(bent), TARGET), method, exact)
    assert one.diagnostics["exact"]
    inside = []
    for seed in range(8):
        sampled = exact.updated(n_coalitions=200, n_lead_coalitions=200, seed=seed)
        two = explain(Case(record(), Analytic(bent), TARGET), method, sampled)
        assert not two.diagnostics["exact"]
        assert np.all(np.abs(two.event_values - one.event_values) <= 5 * two.event_errors + 1e-6)
        both = one.explored & two.explored
        gap = np.abs(two.weights - one.weights)[both]
        inside.append(gap <= 2 * two.standard_errors[both] + 1e-6)
    assert 0.9 < np.mean(np.concatenate(inside)) <= 1


@pytest.mark.parametrize("baseline", ["mean", "linear"])
def test_baselines_are_measured(baseline):
    params = PARAMS.updated(baseline=baseline)
    found = explain(Case(record(), Analytic(bent), TARGET), "timeshap", params)
    assert 0 <= found.diagnostics["baseline_probability"] <= 1
    assert found.diagnostics["baseline"] == baseline
    assert found.diagnostics["efficiency_gap"] < 1e-9


def test_provenance_and_warnings_travel():
    found = explain(Case(record(4.2), Analytic(bent), TARGET), "lime", PARAMS)
    assert found.provenance.record_digest == record(4.2).digest
    assert found.provenance.model_digest == "a" * 64
    assert found.provenance.params["n_coalitions"] == 64
    assert found.warnings
    assert (found.record, found.target, found.method) == ("R", TARGET, "lime")


def test_progress_counts_up():
    steps = []
    explain(
        Case(record(), Analytic(bent), TARGET), "lime", PARAMS, progress=lambda *s: steps.append(s)
    )
    assert [(a, b) for a, b, _ in steps] == [(1, 2), (2, 2)]


def test_mistakes_are_one_line_errors():
    model = Analytic(bent)
    with pytest.raises(ParameterError, match="use one of lime, timeshap"):
        explain(Case(record(), model, TARGET), "magic", PARAMS)
    with pytest.raises(DiagnosisError, match="no output for"):
        explain(Case(record(), model, "10370003"), "lime", PARAMS)
    short = Record("S", record().signal[:3], 100.0, STANDARD_LEADS[:3])
    with pytest.raises(ModelError):
        explain(Case(short, model, TARGET), "lime", PARAMS)
