"""The what-if that an answer quotes: only where it fits, and with the model's own numbers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import diagnosis
from ecgxai_core.pipeline import fitting_edit, what_if
from ecgxai_core.pipeline.fitting_edit import (
    FITTING,
    Quote,
    cached_quote,
    first_edit,
    quote,
    quoted,
)
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.intervals import measure_signal
from ecgxai_core.simulation import simulate
from ecgxai_core.simulation.edits import EDITS, edited
from ecgxai_core.store.cache import Store
from ecgxai_core.types import STANDARD_LEADS
from tests.analytic import Analytic, manifest

SINUS, AF, TACHY, FIRST_DEGREE = "426783006", "164889003", "427084000", "270492004"


def case_of(kind, score, target):
    record = simulate(kind, seed=3, fs=100).record
    return Case(
        record,
        Analytic(score, manifest(samples=1000).model_copy(update={"classes": ("other", target)})),
        target,
    )


def rate_less_100(values):
    """Logit: beats a minute over 100, by tens."""
    peaks = [r_peaks(row.T, 100.0, STANDARD_LEADS) for row in values]
    return np.array([(6000 / np.median(np.diff(one)) - 100) / 10 for one in peaks])


def unevenness(values):
    peaks = [np.diff(r_peaks(row.T, 100.0, STANDARD_LEADS)) for row in values]
    return np.array([50 * (one.std() / one.mean() - 0.05) for one in peaks])


def test_every_entry_names_a_diagnosis_and_an_edit():
    for code, fitting in FITTING.items():
        assert code in diagnosis(code).aliases
        assert fitting.edit in EDITS


def test_a_fast_rate_is_brought_to_a_normal_one():
    case = case_of("sinus_tachycardia", rate_less_100, TACHY)
    rate = measure_signal(case.record.signal, 100.0, case.record.leads).heart_rate.value
    assert rate > 100
    found = quote(case)
    assert found.edit == "rate"
    assert found.size == pytest.approx(75 - rate)
    assert found.before == pytest.approx(1 / (1 + np.exp(-(rate - 100) / 10)), abs=0.05)
    assert found.after == pytest.approx(1 / (1 + np.exp(2.5)), abs=0.05)
    assert found.sentence == (
        f"A heart rate of 75/min instead of {rate:.0f} lowers p from {found.before:.2f} to "
        f"{found.after:.2f}."
    )


def test_a_value_beyond_the_reach_of_its_edit_is_said_as_far_as_it_comes(monkeypatch):
    """The words tell what the changed record shows, not what would be normal."""
    case = case_of("sinus_tachycardia", rate_less_100, TACHY)
    monkeypatch.setitem(EDITS, "rate", replace(EDITS["rate"], low=-20.0))
    rate = measure_signal(case.record.signal, 100.0, case.record.leads).heart_rate.value
    assert rate > 100
    found = quote(case)
    assert found.size == -20
    assert found.words == f"A heart rate of {rate - 20:.0f}/min instead of {rate:.0f}"
    assert found.after == pytest.approx(1 / (1 + np.exp(-(rate - 120) / 10)), abs=0.05)


@pytest.mark.parametrize(
    ("target", "values", "said"),
    [
        (FIRST_DEGREE, {"pr": 240.0}, "A PR interval of 160 ms instead of 240"),
        (FIRST_DEGREE, {"pr": 300.0}, "A PR interval of 200 ms instead of 300"),
        ("713427006", {"qrs": 200.0}, "A QRS duration of 100 ms instead of 200"),
        (TACHY, {"heart_rate": 190.0}, "A heart rate of 90/min instead of 190"),
        ("111975006", {"qt": 400.0, "qtc": 480.0}, "A QTc of 420 ms instead of 480"),
        # 560 - 150 of 560, of 600
        ("111975006", {"qt": 560.0, "qtc": 600.0}, "A QTc of 439 ms instead of 600"),
    ],
)
def test_words_follow_the_size_within_the_bounds_of_the_edit(target, values, said):
    record = simulate("sinus_rhythm", seed=3, fs=100).record
    plain = measure_signal(record.signal, record.fs, record.leads)
    changes = {name: replace(getattr(plain, name), value=v) for name, v in values.items()}
    found, fitting = replace(plain, **changes), FITTING[target]
    edit = EDITS[fitting.edit]
    assert fitting.words(found, max(fitting.size(found), edit.low)) == said


def test_uneven_intervals_are_made_equal():
    found = quote(case_of("atrial_fibrillation", unevenness, AF))
    assert (found.edit, found.size) == ("regular", 1.0)
    assert found.before > 0.9
    assert found.after < 0.2
    assert found.sentence.startswith("Making the RR intervals equal lowers p from")


def test_the_numbers_are_the_models_own():
    case = case_of("sinus_rhythm", lambda v: 30 * v[:, :, 1].mean(axis=1), SINUS)
    found = quote(case)
    assert found.edit == "p_amplitude"
    record = edited(case.record, "p_amplitude", 0.0)
    for p, one in ((found.before, case.record), (found.after, record)):
        values = case.changed(record=one).model_input().values[None]
        assert p == case.classifier.predict(values)[0, 1]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("sinus_rhythm", TACHY),  # not fast
        ("sinus_rhythm", FIRST_DEGREE),  # PR is normal
        ("sinus_rhythm", AF),  # regular
        ("atrial_fibrillation", SINUS),  # no P waves
        ("sinus_rhythm", "427172004"),  # no edit takes a premature beat away
        ("sinus_rhythm", "my own class"),
    ],
)
def test_nothing_is_said_where_no_edit_fits(kind, target, monkeypatch):
    def never(*args):
        raise AssertionError("the model was asked")

    monkeypatch.setattr(Analytic, "predict", never)
    assert quote(case_of(kind, lambda v: v[:, 0, 0], target)) is None


def test_the_sentence_says_what_happened():
    one = Quote("p_amplitude", 0.0, "Removing the P waves", 0.91, 0.12, False)
    assert one.sentence == "Removing the P waves lowers p from 0.91 to 0.12."
    assert "raises p from 0.20 to 0.30." in replace(one, before=0.2, after=0.3).sentence
    assert "hardly changes p (0.91 to 0.90)." in replace(one, after=0.9).sentence
    assert "leaves p at 0.91." in replace(one, after=0.911).sentence
    assert "lowers p from > 0.99 to 0.12." in replace(one, before=0.9996).sentence
    assert replace(one, unusual=True).sentence.endswith("unlike the training data.")


def test_it_is_asked_once_and_kept(tmp_path, monkeypatch):
    case = case_of("sinus_rhythm", lambda v: 30 * v[:, :, 1].mean(axis=1), SINUS)
    with closing(Store(tmp_path, 10**8)) as store:
        assert cached_quote(case, store) is None
        found = quoted(case, store)
        monkeypatch.setattr(fitting_edit, "quote", lambda _: 1 / 0)
        assert quoted(case, store) == cached_quote(case, store) == found
        monkeypatch.setattr(fitting_edit, "quote", lambda _: None)
        other = case.changed(start_sec=0.0)
        assert quoted(other, store) is None
        assert cached_quote(other, store) is None


def test_other_natural_ranges_ask_anew(tmp_path, monkeypatch):
    """What is unusual is said by them, and they are no source code."""
    case = case_of("sinus_rhythm", lambda v: 30 * v[:, :, 1].mean(axis=1), SINUS)
    with closing(Store(tmp_path, 10**8)) as store:
        quoted(case, store)
        assert cached_quote(case, store) is not None
        monkeypatch.setattr(what_if, "_ranges_file", lambda: b'{"ranges": {}}')
        assert cached_quote(case, store) is None


@pytest.mark.parametrize(
    ("target", "edit", "leads"),
    [
        ("164909002", "qrs", ()),
        ("164889003", "regular", ()),
        ("STTC", "st_level", ("V1", "V2", "V3", "V4", "V5", "V6")),
        ("HYP", "gain", ()),
        ("CD", "qrs", ()),
        ("427172004", "t_amplitude", ()),
        ("no such code", "t_amplitude", ()),
    ],
)
def test_a_what_if_begins_with_what_matters_for_the_target(target, edit, leads):
    assert first_edit(target) == (edit, leads)
    assert edit in EDITS
