"""Selection: who may enter, in which order, and that the draw is steady."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import DiagnosisError
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.predict import Failure, Predictions, RecordInfo
from ecgxai_core.pipeline.sel_df import (
    SEL_COLUMNS,
    Choice,
    labels_can_name,
    resolve_targets,
    select,
    select_again,
)
from ecgxai_core.types import Prediction

AF, NSR, CRBBB, RBBB = "164889003", "426783006", "713427006", "59118001"
CLASSES = (AF, CRBBB, NSR, RBBB)


def candidate(name, digest, duration, labels=None, synthetic=False, warnings=()) -> RecordInfo:
    return RecordInfo(Path(name), name, digest, duration, labels, synthetic, warnings)


def catalogue_of(records, classes, values, complete=False) -> Predictions:
    rows = tuple(
        Prediction(info.name, classes, row, info.digest, "model")
        for info, row in zip(records, values, strict=True)
    )
    return Predictions(tuple(records), rows, classes, (), complete)


def make(
    *rows: tuple[str, Sequence[float], tuple[str, ...] | None], duration: float = 10
) -> Predictions:
    candidates = tuple(
        candidate(name, f"digest-{name}", duration, labels) for name, _, labels in rows
    )
    return catalogue_of(candidates, CLASSES, np.array([p for _, p, _ in rows], np.float32))


def many(n: int, label: tuple[str, ...] | None = (AF,), p: float = 0.9) -> Predictions:
    return make(*((f"r{k:03d}", (p, 0, 0, 0), label) for k in range(n)))


def part(catalogue: Predictions, keep: Sequence[int]) -> Predictions:
    records = tuple(catalogue.records[k] for k in keep)
    return catalogue_of(records, catalogue.classes, catalogue.probabilities[list(keep)])


DEFAULT = SelectionParams()


def test_positive_and_probable_first_then_relaxed_by_probability_never_negative() -> None:
    frame = select(
        make(
            ("low", (0.2, 0, 0, 0), (AF,)),
            ("good", (0.9, 0, 0, 0), (AF, NSR)),
            ("mid", (0.6, 0, 0, 0), (AF,)),
            ("negative", (0.99, 0, 0, 0), (NSR,)),
            ("empty", (0.99, 0, 0, 0), ()),
        ),
        DEFAULT,
        [AF],
    )
    assert list(frame.record) == ["good", "mid", "low"]
    assert list(frame.status) == ["full", "relaxed", "relaxed"]
    assert list(frame.relaxed) == [False, True, True]
    assert list(frame["rank"]) == [1, 2, 3]
    assert set(frame.label) == {"positive"}
    assert not frame.unlabelled.any()


def test_relaxed_records_only_fill_up() -> None:
    rows = [(f"g{k}", (0.9, 0, 0, 0), (AF,)) for k in range(3)]
    catalogue = make(*rows, ("low", (0.84, 0, 0, 0), (AF,)))
    assert not select(catalogue, DEFAULT.updated(k_per_class=3), [AF]).relaxed.any()
    assert select(catalogue, DEFAULT.updated(k_per_class=4), [AF]).relaxed.sum() == 1


def test_meta_probability_is_the_maximum_over_aliases() -> None:
    catalogue = make(
        ("a", (0, 0.1, 0, 0.95), (CRBBB,)),
        ("b", (0, 0.97, 0, 0.2), (RBBB,)),
        ("c", (0, 0.9, 0, 0.9), (RBBB,)),
        ("d", (0, np.nan, 0, 0.9), (RBBB,)),
    )
    frame = select(catalogue, DEFAULT, [RBBB]).set_index("record")
    assert set(frame.target) == {CRBBB}
    assert set(frame.target_name) == {"complete right bundle branch block"}
    np.testing.assert_allclose(frame.meta_probability.loc[["a", "b"]], [0.95, 0.97], rtol=1e-6)
    assert dict(frame.model_class) == {"a": RBBB, "b": CRBBB, "c": CRBBB, "d": RBBB}
    assert (frame.status == "full").all()


def test_a_record_without_label_field_is_taken_by_probability_alone() -> None:
    catalogue = make(
        ("unlabelled", (0.9, 0, 0, 0), None),
        ("improbable", (0.8, 0, 0, 0), None),
        ("relaxed", (0.1, 0, 0, 0), (AF,)),
        ("full", (0.9, 0, 0, 0), (AF,)),
    )
    frame = select(catalogue, DEFAULT, ["AF"])
    assert list(frame.record) == ["full", "relaxed", "unlabelled"]
    assert list(frame.unlabelled) == [False, False, True]
    assert list(frame.label) == ["positive", "positive", "unknown"]


def test_long_records_and_unknown_probabilities_are_left_out() -> None:
    long = make(("r", (0.9, 0, 0, 0), (AF,)), duration=20.1)
    assert select(long, DEFAULT, [AF]).empty
    assert len(select(long, DEFAULT.updated(max_duration_sec=20.1), [AF])) == 1
    odd = make(("r", (np.nan, 0, 0, 0), (AF,)))
    assert select(odd, DEFAULT, [AF]).empty


def test_bounds_are_inclusive() -> None:
    at = make(("r", (0.5, 0, 0, 0), (AF,)), duration=20)
    assert list(select(at, DEFAULT.updated(min_prob=0.5), [AF]).status) == ["full"]


def test_without_targets_what_the_model_outputs_and_the_data_has() -> None:
    catalogue = make(("a", (0.9, 0, 0, 0), (AF, "270492004")), ("b", (0, 0, 0, 0.9), (RBBB,)))
    # sinus rhythm is output but not in the data, 1st degree block the other way round
    assert resolve_targets(catalogue) == (AF, CRBBB)
    assert resolve_targets(many(2, None)) == (NSR, AF, CRBBB)
    assert set(select(many(2, None), DEFAULT).target) == {AF}


def test_a_class_that_the_table_lacks_is_its_own_target() -> None:
    own = catalogue_of((candidate("r", "d", 10, ("999000",)),), ("999000",), np.array([[0.9]]))
    frame = select(own, DEFAULT)
    assert list(frame.target) == list(frame.target_name) == ["999000"]


def free(*rows: tuple[str, float, tuple[str, ...] | None], complete: bool = False) -> Predictions:
    """A model with one class that only it names."""
    candidates = tuple(candidate(name, f"digest-{name}", 10, labels) for name, _, labels in rows)
    values = np.array([[p] for _, p, _ in rows], np.float32)
    return catalogue_of(candidates, ("my rhythm",), values, complete)


def test_labels_that_cannot_name_a_class_say_nothing_about_it() -> None:
    """SNOMED-CT codes know no free name, so its records are chosen by probability alone."""
    frame = select(free(("a", 0.9, (AF,)), ("b", 0.5, (NSR,)), ("c", 0.95, ())), DEFAULT)
    assert set(frame.record) == {"a", "c"}
    assert set(frame.status) == {"unlabelled"}
    assert set(frame.label) == {"unknown"}
    assert set(frame.target_name) == {"my rhythm"}


MI, INFARCTION = "MI", "164865005"
"""The superclass, and the code that other data sets have for it."""


def test_labels_can_name_what_any_record_carries() -> None:
    labels = [(INFARCTION,), None, (RBBB,)]
    assert labels_can_name(INFARCTION, labels)
    assert labels_can_name(CRBBB, labels), "scored as the same"
    assert not labels_can_name(MI, labels)
    assert not labels_can_name(AF, labels)
    assert not labels_can_name("", labels)


def test_without_a_draw_a_class_that_no_label_names_is_unknown_not_negative() -> None:
    candidates = tuple(
        candidate(name, f"digest-{name}", 10, labels)
        for name, labels in (("a", (INFARCTION,)), ("b", (INFARCTION, AF)))
    )
    found = catalogue_of(candidates, (MI, AF), np.full((2, 2), 0.9, np.float32))
    frame = select(found, DEFAULT, [MI, AF], thresholds={}).set_index(["target", "record"])
    assert set(frame.loc[MI].status) == {"unlabelled"}
    assert set(frame.loc[MI].label) == {"unknown"}
    assert dict(frame.loc[AF].status) == {"a": "called", "b": "full"}
    assert dict(frame.loc[AF].label) == {"a": "negative", "b": "positive"}
    # the draw stays as published: what no label names is negative
    assert set(select(found, DEFAULT).target) == {AF}
    assert select(found, DEFAULT, [MI]).empty


def test_labels_that_use_a_free_name_count() -> None:
    rows = (("a", 0.9, (AF,)), ("b", 0.5, ("my rhythm",)))
    frame = select(free(*rows), DEFAULT)
    assert dict(frame.set_index("record").status) == {"b": "relaxed"}
    # labels that were given for every class of the model are negative where they name none
    assert resolve_targets(free(rows[0], complete=True)) == ()
    assert select(free(rows[0], complete=True), DEFAULT, ["my rhythm"]).empty


def test_a_selection_is_made_again_from_its_choices() -> None:
    catalogue = make(*((f"r{k}", (0.9, 0.2, 0.9, 0.4), (AF, CRBBB)) for k in range(6)))
    frame = select(catalogue, DEFAULT, [RBBB, AF])
    rows = zip(frame["target"], frame["record"], frame["rank"], frame["status"], strict=True)
    choices = [Choice(t, r, f"digest-{r}", int(k), s) for t, r, k, s in rows]
    places = {c.name: i for i, c in enumerate(catalogue.records)}
    again = select_again(catalogue, [(choice, places[choice.record]) for choice in choices])
    assert again.to_csv() == frame.to_csv()
    with pytest.raises(DiagnosisError, match="not among"):
        select_again(catalogue, [(replace(choices[0], target="270492004"), 0)])


def test_targets_are_named_once_in_the_given_order() -> None:
    catalogue = many(1)
    assert resolve_targets(catalogue, ["RBBB", AF, " crbbb "]) == (CRBBB, AF)
    for target in ("427084000", "nonsense"):
        with pytest.raises(DiagnosisError, match="model"):
            resolve_targets(catalogue, [target])


def test_columns_and_types_hold_for_the_empty_table_too() -> None:
    full, empty = select(many(3), DEFAULT, [AF]), select(many(3), DEFAULT, [NSR])
    assert len(full) == 3
    assert empty.empty
    assert list(full.columns) == list(empty.columns) == list(SEL_COLUMNS)
    assert list(full.dtypes) == list(empty.dtypes)


def test_warnings_and_synthetic_travel_along() -> None:
    info = candidate("r", "d", 10, (AF,), True, ("resampled", "flat_lead", "resampled"))
    frame = select(catalogue_of((info,), (AF,), np.array([[0.9]])), DEFAULT, [AF])
    assert frame.warnings[0] == "flat_lead;resampled"
    assert frame.synthetic[0]


def test_the_seed_changes_the_draw_and_every_diagnosis_has_its_own() -> None:
    catalogue = make(*((f"r{k}", (0.9, 0, 0.9, 0), (AF, NSR)) for k in range(40)))
    few = DEFAULT.updated(k_per_class=5)
    draws = {tuple(select(catalogue, few.updated(seed=s), [AF]).record) for s in range(5)}
    assert len(draws) == 5
    both = select(catalogue, few, [AF, NSR])
    by_target = [tuple(both[both.target == code].record) for code in (AF, NSR)]
    assert by_target[0] != by_target[1]
    assert by_target[0] == tuple(select(catalogue, few, [AF]).record)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(20)), st.integers(1, 20), st.integers(0, 5))
def test_order_of_records_does_not_matter(order: list[int], k: int, seed: int) -> None:
    base = many(20)
    params = DEFAULT.updated(k_per_class=k, seed=seed)
    first = select(base, params, [AF]).drop(columns="record_index")
    again = select(part(base, order), params, [AF]).drop(columns="record_index")
    assert first.to_csv() == again.to_csv()


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 19), min_size=1), st.integers(1, 20), st.integers(0, 5))
def test_removing_records_never_reshuffles_the_others(keep: set[int], k: int, seed: int) -> None:
    base = many(20)
    params = DEFAULT.updated(k_per_class=k, seed=seed)
    everyone = list(select(base, params.updated(k_per_class=20), [AF]).record)
    some = list(select(part(base, sorted(keep)), params, [AF]).record)
    names = {f"r{n:03d}" for n in keep}
    assert some == [name for name in everyone if name in names][:k]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1, width=32),
            st.sampled_from([None, (), (AF,), (NSR,), (AF, NSR)]),
            st.sampled_from([5.0, 20.0, 21.0]),
        ),
        max_size=25,
    ),
    st.integers(1, 10),
)
def test_what_selection_promises(
    rows: list[tuple[float, tuple[str, ...] | None, float]], k: int
) -> None:
    candidates = tuple(
        candidate(f"r{i}", f"d{i}", duration, labels)
        for i, (_, labels, duration) in enumerate(rows)
    )
    values = np.array([[p, 0, 0, 0] for p, _, _ in rows], np.float32).reshape(-1, 4)
    frame = select(catalogue_of(candidates, CLASSES, values), DEFAULT.updated(k_per_class=k), [AF])
    possible = [
        c
        for c, p in zip(candidates, values[:, 0], strict=True)
        if c.duration_sec <= 20
        and ((c.labels is None and float(p) >= 0.85) or AF in (c.labels or ()))
    ]
    assert len(frame) == min(k, len(possible))
    assert set(frame.record) <= {c.name for c in possible}
    assert frame.record.is_unique
    full = (frame.status == "full").to_numpy()
    assert np.all(np.diff(full.astype(int)) <= 0)
    assert np.all(frame.meta_probability[full | frame.unlabelled.to_numpy()] >= 0.85)
    assert np.all(np.diff(frame.meta_probability[frame.relaxed]) <= 0)


@pytest.mark.data
def test_the_real_sample_has_enough_of_both_rhythms(data_dir: Path) -> None:
    folder = data_dir / "cinc2020_sample"
    with (folder / "reference_probabilities.csv").open() as file:
        lines = list(csv.DictReader(file))
    classes = tuple(name for name in lines[0] if name != "record")
    candidates = []
    for line in lines:
        header = (folder / f"{line['record']}.hea").read_text()
        codes = next(x for x in header.splitlines() if x.startswith("#Dx")).split(":")[1]
        labels = tuple(code.strip() for code in codes.split(","))
        candidates.append(candidate(line["record"], line["record"], 10.0, labels))
    values = np.array([[float(line[code]) for code in classes] for line in lines], np.float32)
    frame = select(catalogue_of(tuple(candidates), classes, values), DEFAULT)
    counts = frame.groupby("target").size()
    assert counts[AF] == 25
    assert counts[NSR] >= 25
    assert list(dict.fromkeys(frame.target))[:2] == [NSR, AF]


def test_a_copy_of_a_record_is_no_second_example() -> None:
    names = ("a", "b", "copy-of-a")
    candidates = tuple(candidate(name, f"digest-{name[-1]}", 10, (AF,)) for name in names)
    catalogue = catalogue_of(candidates, CLASSES, np.full((3, 4), 0.9, np.float32))
    assert sorted(select(catalogue, DEFAULT, [AF]).record) == ["a", "b"]


def test_predictions_go_to_another_process_whole():
    """By columns, with every fact of every record; the rows are not writable there either."""
    sent = make(("a", (0.9, 0, 0, 0.5), (AF, "=x")), ("b", (0.1, 0, 0, np.nan), None))
    odd = replace(sent.records[1], warnings=("flat_lead",), input_warnings=("cropped",), place=7)
    sent = replace(sent, records=(sent.records[0], odd), failures=(Failure("c", "why"),))
    got = pickle.loads(pickle.dumps(sent))  # noqa: S301
    assert (got.records, got.classes, got.failures) == (sent.records, sent.classes, sent.failures)
    assert got.labels_complete == sent.labels_complete
    np.testing.assert_array_equal(got.probabilities, sent.probabilities)
    assert [(v.record, v.classes, v.record_digest, v.model_digest) for v in got.values] == [
        (v.record, v.classes, v.record_digest, v.model_digest) for v in sent.values
    ]
    assert not got.values[0].probabilities.flags.writeable
    nothing = pickle.loads(pickle.dumps(Predictions((), (), CLASSES, ())))  # noqa: S301
    assert nothing.probabilities.shape == (0, 4)


def test_places_and_labels_by_name():
    found = make(
        ("a", (1, 0, 0, 0), (AF,)), ("b", (0, 0, 0, 0), None), ("a", (0, 0, 0, 0), (RBBB, AF))
    )
    assert found.places == {"a": 0, "b": 1}
    assert {label: has.tolist() for label, has in found.labelled.items()} == {
        AF: [True, False, True], RBBB: [False, False, True],
    }  # fmt: skip
