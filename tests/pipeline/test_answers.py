"""The sentence that an evaluation begins with, from rows whose answer is known."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ecgxai_core.diagnoses import code_of, diagnoses
from ecgxai_core.pipeline.answers import (
    probability_text,
    record_answer,
    run_answer,
    stability_answer,
    unseen_in_words,
)


def scores(deletion: float | None, insertion: float | None, **more: Any) -> dict[str, Any]:
    """Gains beside a random map at 0, the signal's amplitude at 0.1 and its slope at 0.2."""
    row: dict[str, Any] = {"deletion_gain": deletion, "insertion_gain": insertion}
    for name in tuple(row):
        row |= {f"{name}_random": 0.0, f"{name}_amplitude": 0.1, f"{name}_energy": 0.2}
    return {**row, **more}


def shaken(spearman: float | None, **more: Any) -> dict[str, Any]:
    return {
        "spearman": spearman, "spearman_random": 0.0, "probability": 0.9,
        "probability_extra_beat": 0.9, "prediction_stayed": True, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("deletion", "insertion", "says"),
    [
        (0.3, 0.3, "map: better than {} by deletion and insertion;"),
        (0.15, 0.3, "map: better than {} by insertion, not by deletion;"),
        (0.21, 0.3, "map: better than {} by insertion, hardly by deletion;"),
        (0.21, 0.21, "map: hardly better than {} by deletion and insertion;"),
        (0.21, 0.1, "map: hardly better than {} by deletion, not by insertion;"),
        (0.2, -0.1, "map: not better than {};"),
        (None, None, "map: not compared with {};"),
    ],
)
def test_a_map_has_to_beat_random_and_the_signal_alone(
    deletion: float | None, insertion: float | None, says: str
) -> None:
    than = "a random map and the signal alone (amplitude, slope)"
    assert says.format(than) in record_answer("Fused", scores(deletion, insertion))


@pytest.mark.parametrize(
    ("attauc", "says"),
    [
        (0.9, "; closer to the expected evidence than the signal's amplitude (AttAUC 0.90"),
        (0.70, "; hardly closer to the expected evidence than the signal's amplitude (AttAUC 0.70"),
        (0.60, "; no closer to the expected evidence than the signal's amplitude (AttAUC 0.60"),
    ],
)  # fmt: skip
def test_a_map_that_only_follows_the_waves_is_called_that(attauc: float, says: str) -> None:
    row = {"attauc_strict": attauc, "attauc_strict_amplitude": 0.69, "attauc_strict_energy": 0.63}
    assert says in record_answer("Fused", scores(0.3, 0.3, **row))
    assert "expected evidence" not in record_answer("Fused", scores(0.3, 0.3)), "not known"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9951, "> 0.99"), (0.995, "0.99"), (0.5, "0.50"), (0.005, "0.01"), (0.0049, "< 0.01")],
)
def test_no_probability_is_written_as_certain(value: float, text: str) -> None:
    assert probability_text(value) == text


@pytest.mark.parametrize(
    ("gap", "says"),
    [(0.01, "its weights sum to"), (0.19, "its weights do not sum to the model's output (19% off)"),
     (None, "whether it adds up is not known")],
)  # fmt: skip
def test_a_map_adds_up_to_within_a_hundredth(gap: float | None, says: str) -> None:
    assert f"; {says}" in record_answer("Fused", scores(0.3, 0.3, map_gap=gap))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (shaken(0.92), "; stable when one beat is doubled (rank agreement 0.92, random 0.00)."),
        (shaken(0.3), "; not stable when one beat is doubled (rank agreement 0.30, random 0.00)."),
        (shaken(0.92, prediction_stayed=False), "changed the prediction, so"),
        (shaken(None), "; stability not tested."),
        (None, "; stability not tested."),
    ],
)
def test_stability_is_said_only_where_the_prediction_stayed(
    row: dict[str, Any] | None, says: str
) -> None:
    assert says in record_answer("Fused", scores(0.3, 0.3), row)


def test_the_stability_page_says_what_became_of_the_probability() -> None:
    assert stability_answer("LIME", shaken(0.9)) == (
        "LIME map: stable when one beat is doubled (rank agreement 0.90, random 0.00); the "
        "probability stays at 0.90."
    )
    sure = shaken(0.9, probability=0.999, probability_extra_beat=0.998)
    assert stability_answer("LIME", sure).endswith("the probability stays > 0.99.")
    tops = ("V1", "V6", "V2"), ("V6", "V1", "V2")
    assert "; the top leads stay V1, V6 and V2; " in stability_answer("LIME", shaken(0.9), tops)
    tops = ("V1", "V6", "V2"), ("V6", "I", "V1")
    assert "; 2 of 3 top leads stay (V1 and V6); " in stability_answer("LIME", shaken(0.9), tops)
    moved = stability_answer("LIME", shaken(0.9, probability_extra_beat=0.7))
    assert moved.endswith("the probability goes from 0.90 to 0.70.")


def test_a_run_counts_records() -> None:
    rows = pd.DataFrame([scores(0.3, 0.1, map_gap=0.0), scores(0.3, 0.5, map_gap=0.2),
                         scores(None, 0.1, map_gap=None)])  # fmt: skip
    stable = pd.DataFrame([shaken(0.9), shaken(0.2), shaken(0.9, prediction_stayed=False)])
    assert run_answer("Fused", rows, stable) == (
        "Fused map, 3 explained records: better than a random map and the signal alone "
        "(amplitude, slope) on 2 of 2 (deletion) and 1 of 3 (insertion); adds up on 1 of 2; "
        "stable on 1 of 2. Fewer than 10 records: too few for a test."
    )
    nothing = run_answer("Fused", rows[:0], stable[:0])
    assert "0 of" not in nothing


def test_a_run_of_many_records_leaves_the_test_to_the_intervals() -> None:
    many = pd.DataFrame([scores(0.3, 0.3)] * 12)
    assert "too few" not in run_answer("Fused", many, many[:0])


@pytest.mark.parametrize(
    ("target", "field_sec", "says"),
    [
        (code_of("AF"), 0.47, "the model sees 0.47 s at a time, so it cannot see directly whether "
         "the beats come regularly"),
        (code_of("SB"), 0.5, "the model sees 0.5 s at a time, so it cannot see directly how fast "
         "the beats come"),
        (code_of("AF"), 1.5, ""),
        (code_of("AF"), None, ""),
        (code_of("LBBB"), 0.47, ""),
        ("no such code", 0.47, ""),
    ],
)  # fmt: skip
def test_a_short_look_is_said_of_a_rhythm_only(
    target: str, field_sec: float | None, says: str
) -> None:
    assert unseen_in_words(target, field_sec) == says


def test_every_rhythm_that_is_measured_from_beat_to_beat_is_one() -> None:
    names = {row.name for row in diagnoses() if unseen_in_words(row.code, 0.1)}
    assert {
        "sinus rhythm",
        "atrial fibrillation",
        "sinus bradycardia",
        "sinus tachycardia",
    } <= names
    assert not names & {"left bundle branch block", "1st degree AV block", "T wave inversion"}
