"""Segments cover the valid part, exactly once, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgxai_core.errors import ExplanationError
from ecgxai_core.params import ExplainParams
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.delineation import BORDERS, Delineation, delineate
from ecgxai_core.signal.disturbances import Shift, noisy
from ecgxai_core.signal.extra_beat import TimeMap
from ecgxai_core.signal.segments import (
    WAVE_LABELS,
    beat_edges,
    carried,
    segment,
    uniform_edges,
    wave_edges,
)
from ecgxai_core.simulation import simulate
from ecgxai_core.types import STANDARD_LEADS, ModelInput, Record, Segmentation

UNIFORM, BEAT = ExplainParams(), ExplainParams(segments="beat")


def seen(samples: int, valid: tuple[int, int], fs: float = 500, start: float = 0) -> ModelInput:
    return ModelInput(
        values=np.zeros((samples, 12), np.float32), zero=np.zeros(12, np.float32), fs=fs,
        start_sec=start, valid=valid, leads=STANDARD_LEADS, record_digest="d",
    )  # fmt: skip


@pytest.mark.parametrize(("window", "n"), [(0.25, 40), (0.5, 20), (0.4, 25), (10.0, 1), (6.0, 2)])
def test_ten_seconds_in_equal_windows(window: float, n: int) -> None:
    grid = segment(seen(5000, (0, 5000)), UNIFORM, window)
    assert len(grid) == n
    assert grid.kind == "uniform"
    assert grid.edges_sec[0] == 0
    assert grid.edges_sec[-1] == 10
    np.testing.assert_allclose(grid.durations[:-1], window)


def test_window_sec_replaces_the_length_of_the_diagnosis() -> None:
    grid = segment(seen(5000, (0, 5000)), UNIFORM.updated(window_sec=1.0), 0.25)
    assert len(grid) == 10


def test_short_remainder_joins_its_neighbour_and_a_long_one_stands_alone() -> None:
    np.testing.assert_array_equal(uniform_edges(0, 124, 100), [0, 124])
    np.testing.assert_array_equal(uniform_edges(0, 249, 100), [0, 100, 249])
    np.testing.assert_array_equal(uniform_edges(0, 250, 100), [0, 100, 200, 250])
    np.testing.assert_array_equal(uniform_edges(0, 40, 100), [0, 40])


def test_padding_is_in_no_segment_and_times_are_those_of_the_record() -> None:
    # the model's 5000 samples hold record seconds 3.0 to 7.0 behind 1000 samples of padding
    grid = segment(seen(5000, (1000, 3000), start=3.0), UNIFORM, 0.5)
    assert (grid.edges[0], grid.edges[-1]) == (1000, 3000)
    np.testing.assert_allclose(grid.edges_sec, np.arange(3.0, 7.01, 0.5))


@given(
    st.integers(0, 50), st.integers(1, 3000), st.floats(0.02, 10), st.sampled_from([100.0, 257.0])
)
def test_uniform_segments_cover_the_valid_part_evenly(
    first: int, length: int, window_sec: float, fs: float
) -> None:
    grid = segment(seen(3100, (first, first + length), fs), UNIFORM, window_sec)
    window = max(window_sec * fs, 1)
    sizes = np.diff(grid.edges)
    assert (grid.edges[0], grid.edges[-1]) == (first, first + length)
    assert np.all(np.abs(sizes[:-1] - window) <= 1)
    assert sizes[-1] < 1.5 * window + 1
    if len(grid) > 1:
        assert sizes[-1] >= window / 2 - 1


def test_beats_are_cut_half_way_between_r_peaks() -> None:
    peaks = np.array([0.5, 1.5, 2.1, 3.1])
    grid = segment(seen(2000, (0, 2000)), BEAT, 0.5, peaks)
    assert grid.kind == "beat"
    np.testing.assert_allclose(grid.edges_sec, [0, 1.0, 1.8, 2.6, 4.0])


def test_r_peaks_outside_the_seen_part_do_not_cut() -> None:
    peaks = np.array([0.2, 1.2, 3.2, 4.2, 7.2, np.nan])
    grid = segment(seen(2000, (0, 2000), start=3.0), BEAT, 0.5, peaks)
    np.testing.assert_allclose(grid.edges_sec, [3.0, 3.7, 7.0])


@given(st.lists(st.integers(0, 4999), min_size=2, max_size=40, unique=True))
def test_each_beat_segment_holds_one_r_peak(places: list[int]) -> None:
    peaks = np.sort(np.array(places, float))[np.r_[True, np.diff(np.sort(places)) >= 2]]
    if peaks.size < 2:
        return
    edges = beat_edges(0, 5000, peaks)
    counts, _ = np.histogram(peaks, bins=np.r_[edges[:-1], 5001])
    assert np.all(counts == 1)
    assert (edges[0], edges[-1]) == (0, 5000)


@pytest.mark.parametrize("peaks", [None, [], [1.0], [1.0, 99.0], [1.0, np.nan]])
def test_beats_without_r_peaks_are_refused(peaks: list[float] | None) -> None:
    array = None if peaks is None else np.array(peaks)
    with pytest.raises(ExplanationError, match="uniform"):
        segment(seen(5000, (0, 5000)), BEAT, 0.5, array)


def test_nothing_seen_is_refused() -> None:
    with pytest.raises(ExplanationError, match="no sample"):
        segment(seen(5000, (100, 100)), UNIFORM, 0.5)


WAVE = ExplainParams(segments="wave")
MISSING = float("nan")


def beats(*rows: dict[str, float]) -> Delineation:
    """Beats whose borders are given in seconds; the rest is missing."""
    values = {name: [row.get(name, MISSING) for row in rows] for name in BORDERS}
    sure = dict.fromkeys(("p_confidence", "qrs_confidence", "t_confidence"), [1.0] * len(rows))
    return Delineation(**values, **sure)


def whole_beat(start: float) -> dict[str, float]:
    """P at 0, PR, QRS at 0.16, ST, T at 0.34 to 0.5."""
    at = {"p_onset": 0, "p_offset": 0.1, "qrs_onset": 0.16, "qrs_offset": 0.26,
          "t_onset": 0.34, "t_offset": 0.5}  # fmt: skip
    return {name: start + delay for name, delay in at.items()}


def test_wave_segments_are_a_labelled_partition() -> None:
    edges, labels = wave_edges(100, 1300, beats(whole_beat(0.2), whole_beat(1.2)), 500)
    once = ("P", "PR", "QRS", "ST", "T")
    assert labels == ("TP", *once, "TP", *once, "TP")
    np.testing.assert_array_equal(
        edges, 100 + np.array([0, 100, 150, 180, 230, 270, 350, 600, 650, 680, 730, 770, 850, 1200])
    )


def test_an_absent_wave_has_no_segment() -> None:
    no_p = {k: v for k, v in whole_beat(0.2).items() if not k.startswith("p")}
    no_t = {k: v for k, v in whole_beat(1.2).items() if not k.startswith("t")}
    edges, labels = wave_edges(0, 1200, beats(no_p, no_t), 500)
    assert labels == ("TP", "QRS", "ST", "T", "TP", "P", "PR", "QRS", "ST")
    assert edges[1] == 180
    assert edges[-1] == 1200


def test_a_sliver_joins_the_segment_before_it() -> None:
    close = whole_beat(0.2) | {"p_offset": 0.35, "t_offset": 2.39}
    edges, labels = wave_edges(0, 1200, beats(close), 500)
    assert labels == ("TP", "P", "QRS", "ST", "T")  # PR of 10 ms, TP of 10 ms
    assert np.diff(edges).min() >= 10
    early = {name: value - 0.195 for name, value in whole_beat(0.2).items()}
    edges, labels = wave_edges(0, 1200, beats(early), 500)
    assert labels[0] == "P"
    assert edges[0] == 0


def test_waves_of_a_model_input_with_padding() -> None:
    made = simulate(seed=4, fs=500)
    values = np.zeros((6000, 12), np.float32)
    values[500:5500] = 1000 * made.record.signal.T  # counts
    given_input = ModelInput(
        values, np.zeros(12, np.float32), 500, 0.0, (500, 5500), STANDARD_LEADS, "d"
    )
    grid = segment(given_input, WAVE, 0.5)
    assert grid.kind == "wave"
    assert (grid.edges[0], grid.edges[-1]) == (500, 5500)
    assert set(grid.labels) == set(WAVE_LABELS)
    waves = delineate(made.record.signal, 500, STANDARD_LEADS)
    starts = grid.edges_sec[:-1][np.array(grid.labels) == "QRS"]
    np.testing.assert_allclose(starts, waves.qrs_onset, atol=0.004)
    peaks = np.array([1.0, 2.0, 3.0])
    assert segment(given_input, WAVE, 0.5, peaks).labels.count("QRS") == 3
    assert made.record.duration == 10


def test_waves_need_a_heart() -> None:
    with pytest.raises(ExplanationError, match="no R peak"):
        segment(seen(5000, (0, 5000)), WAVE, 0.5)


def test_labels_fit_their_segments() -> None:
    with pytest.raises(ValueError, match="labels"):
        Segmentation("wave", np.array([0, 10, 20]), 500, 0.0, ("P",))


AUTO = ExplainParams(segments="auto")
CLEAR = simulate(seed=4, fs=500).record
R_PEAKS = r_peaks(CLEAR.signal, 500, STANDARD_LEADS) / 500


def all_of(record: Record) -> ModelInput:
    return ModelInput(
        record.signal.T, np.zeros(12, np.float32), 500, 0.0, (0, record.n_samples), STANDARD_LEADS,
        "d",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("snr_db", "confidence", "kind", "why"),
    [
        (30, 1.0, "wave", "waves: they stand out clearly"),
        (-6, 0.95, "beat", "beats: the waves are not clear"),
        (
            30,
            0.7,
            "uniform",
            r"windows of 0.5 s: R peaks are doubtful (confidence 0.70, under 0.8)",
        ),
    ],
)
def test_time_is_cut_by_what_is_clear_enough(
    snr_db: float, confidence: float, kind: str, why: str
) -> None:
    """The R peaks are known; noise hides the waves first, then the beats."""
    given_input = all_of(noisy(CLEAR, snr_db).record)
    cut = segment(given_input, AUTO, 0.25, R_PEAKS, confidence)
    assert cut.kind == kind
    assert cut.reason.startswith(why)
    same = {
        "wave": lambda: segment(given_input, WAVE, 0.25, R_PEAKS),
        "beat": lambda: segment(given_input, BEAT, 0.25, R_PEAKS),
        "uniform": lambda: segment(given_input, UNIFORM, 0.5),
    }[kind]()
    np.testing.assert_array_equal(cut.edges, same.edges)
    assert cut.labels == same.labels
    assert same.reason == ""


def test_without_beats_there_are_windows() -> None:
    cut = segment(seen(5000, (0, 5000)), AUTO.updated(window_sec=1.0), 0.25, np.array([3.0]))
    assert len(cut) == 10
    assert cut.reason == "windows of 1 s: fewer than two R peaks are seen"


def cut_of(edges: list[int], labels: str) -> Segmentation:
    return Segmentation("wave", np.array(edges), 100, 0.0, tuple(labels), "why")


def test_segments_of_a_later_beginning_are_those_of_the_original() -> None:
    """Half a second is cut off: what lay before it goes, what is cut through is shorter."""
    cut = cut_of([0, 30, 60, 300, 400], "abcd")
    found = carried(cut, Shift(-0.5, 3.5), seen(400, (0, 350), 100))
    np.testing.assert_array_equal(found.edges, [0, 10, 250, 350])
    assert (found.labels, found.kind, found.reason) == (("b", "c", "d"), "wave", "why")
    left = carried(cut, Shift(-0.59, 3.41), seen(400, (0, 341), 100))
    np.testing.assert_array_equal(left.edges, [0, 241, 341])  # 10 ms of b belong to c


def test_a_doubled_beat_has_the_segments_of_the_beat() -> None:
    """The beat from 1 to 2 s, with its waves b and c, stands there twice."""
    cut = cut_of([0, 120, 150, 260, 400], "abcd")
    found = carried(cut, TimeMap(2.0, 1.0, 4.0), seen(500, (0, 500), 100))
    np.testing.assert_array_equal(found.edges, [0, 120, 150, 220, 250, 360, 500])
    assert "".join(found.labels) == "abcbcd"
    shorter = carried(cut, TimeMap(2.0, 1.0, 4.0), seen(400, (0, 400), 100))
    np.testing.assert_array_equal(shorter.edges, [0, 120, 150, 220, 250, 360, 400])
    ended = carried(cut, TimeMap(2.0, 1.0, 4.0), seen(361, (0, 361), 100))
    np.testing.assert_array_equal(ended.edges, [0, 120, 150, 220, 250, 361])
