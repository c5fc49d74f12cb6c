"""Attribution and FusedMap to the disk and back, without loss."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import CacheError, RunError
from ecgxai_core.store.envelope import Entry, decode, encode
from ecgxai_core.store.values import entry_of, json_safe, pack_json, unpack_json, value_as, value_of
from ecgxai_core.types import STANDARD_LEADS, Attribution, FusedMap, Provenance, QualityWarning

KEY = {"k": 1}

names = st.text(max_size=8)
floats = st.floats()
facts = st.dictionaries(
    names.filter(lambda n: not n.startswith("$")),
    st.none() | st.booleans() | st.integers() | names | floats | st.lists(floats, max_size=3)
    | st.tuples(floats, names),
    max_size=4,
)  # fmt: skip
provenances = st.builds(
    Provenance, record_digest=names, model_digest=names, params=facts, seed=st.integers(0, 2**63),
    code_version=names,
)  # fmt: skip
warnings = st.lists(
    st.builds(QualityWarning, names, names, st.lists(names, max_size=2).map(tuple)), max_size=2
).map(tuple)


@st.composite
def attributions(draw):
    leads, segments = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    explored = rng.random((leads, segments)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    optional = draw(st.booleans())
    errors = np.where(explored, rng.random((leads, segments)), np.nan).astype(np.float32)
    return Attribution(
        record=draw(names), target=draw(names), method=draw(names), probability=draw(floats),
        leads=STANDARD_LEADS[:leads],
        edges_sec=np.cumsum(rng.random(segments + 1)) - 3,
        weights=rng.normal(size=(leads, segments)).astype(np.float32) * 1e-3,
        explored=explored, provenance=draw(provenances),
        event_values=rng.normal(size=segments) if optional else None,
        event_errors=np.full(segments, np.nan) if optional else None,
        standard_errors=errors if optional else None,
        diagnostics=draw(facts), warnings=draw(warnings),
    )  # fmt: skip


@st.composite
def fused_maps(draw):
    a = draw(attributions())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return FusedMap(
        record=a.record, target=a.target, methods=("lime", "timeshap"), probability=a.probability,
        leads=a.leads, edges_sec=a.edges_sec, weights=a.weights, explored=a.explored,
        agreement=rng.integers(-1, 3, a.weights.shape).astype(np.int8),
        lead_scores={lead: float(rng.random()) for lead in a.leads},
        top_leads=a.leads[:2], diagnostics=a.diagnostics, provenance=a.provenance,
        warnings=a.warnings,
    )  # fmt: skip


def equal(a: object, b: object) -> bool:
    """Equality that knows arrays and NaN, and tells a tuple from a list and 1 from 1.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (
            a == b and math.copysign(1, a) == math.copysign(1, b)
        )
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, Attribution | FusedMap | Provenance | QualityWarning):
        return all(equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b


@settings(deadline=None, max_examples=60)
@given(attributions() | fused_maps())
def test_a_value_comes_back_equal_through_the_envelope(value):
    entry = entry_of(value)
    data = encode(KEY, entry.arrays, entry.meta)
    back = value_of(decode(data, KEY))
    assert equal(back, value)
    again = entry_of(back)
    assert encode(KEY, again.arrays, again.meta) == data


@settings(deadline=None, max_examples=60)
@given(value=attributions() | fused_maps())
def test_a_value_comes_back_equal_from_a_file(value, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "value.safetensors"
    value.save(path)
    first = path.read_bytes()
    back = type(value).load(path)
    assert equal(back, value)
    back.save(path)
    assert path.read_bytes() == first


@settings(deadline=None, max_examples=60)
@given(facts)
def test_metadata_comes_back_equal(value):
    packed = json.loads(json.dumps(pack_json(value), allow_nan=False))
    assert equal(unpack_json(packed), value)


def test_numpy_scalars_are_plain_numbers():
    assert equal(pack_json({"a": np.float64(0.1), "b": np.int32(3), "c": np.bool_(True)}),
                 {"a": 0.1, "b": 3, "c": True})  # fmt: skip
    assert json_safe({"a": np.float32("nan"), "b": np.arange(2), 3: (1,)}) == {
        "a": None, "b": [0, 1], "3": [1],
    }  # fmt: skip


@pytest.mark.parametrize(
    "bad", [{"a": object()}, {"a": np.zeros(2)}, {"$x": 1}, {1: 2}, {"a": {1}}]
)
def test_what_would_not_come_back_is_refused(bad):
    with pytest.raises(TypeError):
        pack_json(bad)


def test_json_safe_refuses_objects():
    with pytest.raises(TypeError):
        json_safe({"a": object()})


@pytest.mark.parametrize(
    "bad", [{"$float": "1.5"}, {"$float": 1}, {"$tuple": 1}, {"$tuple": [], "a": 1}, {"$": 1}]
)
def test_forms_of_others_are_refused(bad):
    with pytest.raises(ValueError, match="not metadata"):
        unpack_json({"x": [bad]})


def example() -> Attribution:
    return Attribution(
        "r", "270492004", "lime", 0.9, STANDARD_LEADS[:2], np.arange(4.0), np.ones((2, 3)),
        np.ones((2, 3), bool), Provenance("d", "m", {}, 0, "0"),
    )  # fmt: skip


def test_kinds_are_not_mixed_up():
    entry = entry_of(example())
    assert value_as(entry, Attribution).method == "lime"
    with pytest.raises(CacheError, match="not a FusedMap"):
        value_as(entry, FusedMap)


def test_entries_that_hold_something_else_are_refused():
    entry = entry_of(example())
    table = entry.meta["fields"]
    for arrays, meta in (
        ({}, entry.meta),
        ({**entry.arrays, "more": np.zeros(1)}, entry.meta),
        ({**entry.arrays, "weights": np.zeros((2, 3))}, entry.meta),
        ({**entry.arrays, "weights": np.zeros((3, 2), np.float32)}, entry.meta),
        (entry.arrays, {}),
        (entry.arrays, {**entry.meta, "kind": "model"}),
        (entry.arrays, {**entry.meta, "fields": {**table, "extra": 1}}),
        (entry.arrays, {**entry.meta, "fields": {**table, "warnings": [3]}}),
        (entry.arrays, {**entry.meta, "fields": {**table, "provenance": {}}}),
        (entry.arrays, {**entry.meta, "fields": [table]}),
    ):
        with pytest.raises(CacheError):
            value_of(Entry(arrays, meta))


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    example().save(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(RunError, match=r"a\.safetensors"):
        Attribution.load(path)
