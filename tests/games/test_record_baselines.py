"""Baselines made from the whole record, each against what is known of a made-up heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.audit.baselines import audit_baselines
from ecgxai_core.games import baselines
from ecgxai_core.games.baselines import baseline_signal, healthy_beat, peaks_of
from ecgxai_core.simulation import Noise, simulate
from ecgxai_core.types import STANDARD_LEADS, ModelInput, Segmentation
from tests.analytic import TARGET, Analytic, model_input

CUT = Segmentation("uniform", np.array([0, 900, 2000]), 250.0, 0.0)


def heart(mechanism="sinus_rhythm", seed=1, noise=None, scale=1.0, offset=0.0) -> ModelInput:
    made = simulate(mechanism, seed=seed, fs=250, duration=9, noise=noise or Noise.none())
    values = made.record.signal.T * np.float32(scale) + np.float32(offset)
    values[2000:] = 0  # padding
    zero = np.full(12, offset)
    return ModelInput(values, zero, 250.0, 0.0, (0, 2000), STANDARD_LEADS, "0" * 64)


def whole(kind, given):
    return baseline_signal(kind, given, CUT)


def rest_of(mechanism="sinus_rhythm", seed=1):
    """``float64[lead]``: the simulator's own level between the T wave and the next P wave."""
    made = simulate(mechanism, seed=seed, fs=250, duration=9, noise=Noise.none())
    gaps = (made.waves.t_offset[1:-1] + made.waves.p_onset[2:]) / 2
    return made.record.signal[:, np.round(gaps * 250).astype(int)].mean(axis=1)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_the_isoelectric_line_finds_the_rest_and_follows_the_drift(scale):
    given = heart(scale=scale)
    drift = scale * np.linspace(0, 0.5, len(given.values))[:, None] * np.arange(12)
    peaks = peaks_of(given)
    inner = slice(int(peaks[1]), int(peaks[-2]))
    assert np.abs(whole("isoelectric", given)[inner] - scale * rest_of()).max() < 0.02 * scale
    moved = replace(given, values=given.values + drift)
    error = whole("isoelectric", moved)[inner] - drift[inner] - scale * rest_of()
    assert np.abs(error).max() < 0.04 * scale


def test_an_elevated_st_segment_is_not_taken_for_the_rest():
    """The level that an infarction moves is no baseline for it; the mean of the lead is misled."""
    rest, given = rest_of("st_elevation_anterior"), heart("st_elevation_anterior")
    v2 = STANDARD_LEADS.index("V2")
    assert abs(given.values[:2000, v2].mean() - rest[v2]) > 0.1
    assert np.abs(whole("isoelectric", given)[400:1600] - rest).max() < 0.04


def test_without_beats_the_level_is_the_median():
    given = model_input(500, (0, 400))
    flat = replace(given, values=np.full((500, 12), 0.7))
    assert np.allclose(baseline_signal("isoelectric", flat, _cut(400)), 0.7)
    assert np.allclose(baseline_signal("median_beat", flat, _cut(400)), 0.7)


def _cut(stop):
    return Segmentation("uniform", np.array([0, stop]), 100.0, 0.0)


@pytest.mark.parametrize("stop", [1999, 2000])
def test_noise_has_the_records_spectra_and_nothing_of_its_waves(stop):
    given = replace(heart(noise=Noise()), valid=(0, stop))
    values = np.array(given.values)
    values[stop:] = 0
    given = replace(given, values=values)
    found = whole("noise", given)[:stop].astype(np.float64)
    own = given.values[:stop].astype(np.float64)
    size = np.abs(np.fft.rfft(own, axis=0))
    np.testing.assert_allclose(np.abs(np.fft.rfft(found, axis=0)), size, atol=2e-3 * size.max())
    np.testing.assert_allclose(np.cov(found.T), np.cov(own.T), atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), own.mean(axis=0), atol=1e-5)
    assert abs(np.corrcoef(found[:, 1], own[:, 1])[0, 1]) < 0.2
    np.testing.assert_allclose(found[:, 2], found[:, 1] - found[:, 0], atol=1e-4)
    np.testing.assert_array_equal(whole("noise", given)[stop:], given.values[stop:])


def test_noise_is_seeded_by_content():
    one, other = heart(), heart(seed=2)
    assert np.array_equal(whole("noise", one), whole("noise", heart()))
    assert not np.allclose(whole("noise", one), whole("noise", other))


def test_the_healthy_beat_is_healthy():
    """P, then R at 0.28 s, then T; upright in I, II and V5; negative in aVR; Einthoven's law."""
    beat = healthy_beat()
    two = beat[:, 1]
    assert abs(int(np.argmax(two)) / 500 - 0.28) <= 0.012
    p, t = two[:110], two[190:400]
    assert 0.03 < p.max() < 0.4
    assert 0.1 < t.max() < 0.8
    assert t.max() < two.max()
    assert beat[:, 3].min() < -0.3
    assert 4.4 * np.abs(beat[[0, -1]]).max() < 0.05
    np.testing.assert_allclose(beat[:, 2], beat[:, 1] - beat[:, 0], atol=1e-9)


def test_median_beat_heals_a_bundle_branch_block_and_keeps_its_rhythm_and_size():
    ill = heart("left_bundle_branch_block", scale=1000.0, offset=40.0)
    healed = whole("median_beat", ill)
    line = whole("isoelectric", ill)
    rms = np.sqrt(np.square(healed[:2000] - line[:2000]).mean())
    assert np.isclose(rms, np.sqrt(np.square(ill.values[:2000] - line[:2000]).mean()), rtol=1e-4)
    normal = replace(ill, values=healed)
    theirs, ours = peaks_of(ill), peaks_of(normal)
    assert len(theirs) == len(ours)
    assert np.abs(theirs - ours).max() <= 10  # 40 ms: the block's R wave is late

    def width(values):  # samples of 2 s in which V6 is beyond half its peak
        lead = values[300:800, 11] - np.median(values[300:800, 11])
        return np.count_nonzero(lead > 0.5 * lead.max())

    assert width(healed) < 0.7 * width(ill.values)


def test_a_baseline_is_computed_once_for_a_model_input(monkeypatch):
    calls = []

    def counted(given):
        calls.append(1)
        return np.zeros(given.values.shape, np.float32)

    remembered = baselines._whole(counted)
    one, other = heart(), heart(seed=2)
    first = remembered(one, CUT)
    assert remembered(heart(), CUT) is first
    assert len(calls) == 1
    remembered(other, CUT)
    remembered(replace(one, valid=(0, 1500)), CUT)
    assert len(calls) == 3


def test_the_audit_says_what_the_model_sees_in_each_baseline():
    """The logit is the mean of lead I: known on paper for every baseline whose mean is known."""
    given = model_input(500, (0, 400))
    model = Analytic(lambda values: values[:, :400, 0].mean(axis=1))
    found = audit_baselines(model, given, _cut(400), ("zero", "mean", "linear"))
    assert list(found) == ["intact", "zero", "mean", "linear"]
    column = model.classes.index(TARGET)
    first = given.values[:400, 0].astype(np.float64)
    logits = {
        "intact": first.mean(),
        "zero": 0.25,
        "mean": first.mean(),
        "linear": (first[0] + first[-1]) / 2,
    }
    for kind, logit in logits.items():
        assert np.isclose(found[kind][column], 1 / (1 + np.exp(-logit)), atol=1e-5)
        assert np.isclose(found[kind].sum(), 1)
    assert model.calls == 1
