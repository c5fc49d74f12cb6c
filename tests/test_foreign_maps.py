"""Maps that another program made: arrays and files in, values that are drawn and evaluated out."""

from __future__ import annotations

import io
import json
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

import ecgxai_core as ecgxai
from ecgxai_core.case import Case
from ecgxai_core.errors import ParameterError
from ecgxai_core.foreign_maps import bind, foreign_map, read_map, write_map
from ecgxai_core.types import STANDARD_LEADS
from tests.analytic import TARGET, Analytic
from tests.analytic import record as small_record

LEADS = ("V1", "II")
EDGES = np.array([0.0, 0.5, 2.0])
VALUES = np.array([[1.0, -2.0], [np.nan, 3.0]])


def case() -> Case:
    return Case(small_record(), Analytic(lambda x: x[:, :, 1].sum(axis=1)), TARGET)


def test_rows_come_in_the_standard_order_and_nan_is_not_explored():
    item = foreign_map(VALUES, leads=["v1", "Lead II"], edges_sec=EDGES, target=TARGET)
    assert item.leads == ("II", "V1")
    assert item.explored.tolist() == [[False, True], [True, True]]
    assert item.weights[1].tolist() == [1.0, -2.0]


def test_a_weight_per_sample_is_summed_over_cells_and_the_sum_is_kept():
    rng = np.random.default_rng(0)
    values, times = rng.normal(size=(2, 5000)), np.arange(5000) / 500
    item = foreign_map(values, leads=LEADS, times=times)
    assert item.weights.shape == (2, 500)
    assert np.allclose(item.weights.sum(axis=1), values[::-1].sum(axis=1), atol=1e-3)
    assert item.weights[1, 7] == pytest.approx(values[0, 70:80].sum(), abs=1e-5)
    assert item.edges_sec[[0, -1]] == pytest.approx([-0.001, 9.999])
    assert item.diagnostics["summed_over_sec"] == 0.02


def test_coarse_samples_keep_their_cells():
    item = foreign_map(np.ones((2, 4)), leads=LEADS, times=[0.0, 0.5, 1.0, 2.0])
    assert item.edges_sec.tolist() == [-0.25, 0.25, 0.75, 1.5, 2.5]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": np.ones(3)}, "[lead, time]"),
        ({"values": np.array([["a", "b"], ["c", "d"]])}, "numbers"),
        ({"values": np.full((2, 2), np.nan)}, "all NaN"),
        ({"values": np.array([[1, np.inf], [1, 1]])}, "infinite"),
        ({"leads": ("V1", "X9")}, "X9"),
        ({"leads": ("V1", "v1")}, "once each"),
        ({"leads": ("V1",)}, "2 rows"),
        ({"edges_sec": [0.0, 1.0]}, "3 numbers"),
        ({"edges_sec": [0.0, 2.0, 1.0]}, "does not rise"),
        ({"times": [0.0, 1.0]}, "exactly one"),
        ({"edges_sec": None}, "exactly one"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    given = {"values": np.ones((2, 2)), "leads": LEADS, "edges_sec": EDGES, **change}
    with pytest.raises(ParameterError) as error:
        foreign_map(given.pop("values"), **given)
    assert said in str(error.value)


def test_a_bound_map_stands_on_the_leads_and_window_of_the_model():
    one = case()
    item = bind(foreign_map(VALUES, leads=LEADS, edges_sec=EDGES), one)
    seconds = one.record.signal.shape[1] / one.record.fs
    assert item.leads == STANDARD_LEADS
    assert (item.edges_sec[0], item.edges_sec[-1]) == (0.0, seconds)
    assert item.explored.sum() == 3
    assert item.weights[item.leads.index("V1"), 1] == -2.0
    assert item.target == TARGET
    column = one.classifier.classes.index(TARGET)
    assert item.probability == one.classifier.predict(one.model_input().values[None])[0, column]
    assert item.provenance.record_digest == one.record.digest
    assert "partial_map" in {warning.code for warning in item.warnings}


def test_samples_or_milliseconds_in_place_of_seconds_are_refused():
    given = foreign_map(np.ones((1, 3)), leads=["II"], edges_sec=[0, 500, 1000, 5000])
    with pytest.raises(ParameterError, match="seconds of the record"):
        bind(given, case())


def test_a_map_of_another_target_is_refused():
    given = foreign_map(VALUES, leads=LEADS, edges_sec=EDGES, target="no such code")
    with pytest.raises(Exception, match="no such code"):
        bind(given, case())


def test_an_unbound_map_is_evaluated_and_drawn():
    one = case()
    seconds = one.record.signal.shape[1] / one.record.fs
    edges = np.linspace(0, seconds, 6)
    weights = np.zeros((12, 5))
    weights[1] = 1.0
    given = foreign_map(weights, leads=STANDARD_LEADS, edges_sec=edges, name="mine")
    found = ecgxai.evaluate(given, one.record, one.classifier, target=TARGET).to_frame()
    assert set(found["map"]) == {"mine"}
    assert {"deletion_auc", "gini"} <= set(found["metric"])
    with pytest.raises(ParameterError, match="target="):
        ecgxai.evaluate(given, one.record, one.classifier)
    bound = foreign_map(
        weights, leads=STANDARD_LEADS, edges_sec=edges,
        record=one.record, model=one.classifier, target=TARGET,
    )  # fmt: skip
    assert bound.plot(one.record).data


# ---- files -------------------------------------------------------------------------------------


def write(folder: Path, suffix: str) -> Path:
    path = folder / f"captum{suffix}"
    if suffix == ".npz":
        np.savez(path, values=VALUES, leads=np.array(LEADS), edges_sec=EDGES)
    elif suffix == ".npy":
        np.save(path, VALUES)
        path.with_suffix(".json").write_text(
            json.dumps({"leads": LEADS, "edges_sec": EDGES.tolist()})
        )
    elif suffix == ".safetensors":
        note = {"leads": json.dumps(LEADS)}
        save_file({"values": VALUES, "edges_sec": EDGES}, path, metadata=note)
    else:
        rows = [
            {"lead": lead, "from_sec": a, "to_sec": b, "weight": VALUES[i, j]}
            for i, lead in enumerate(LEADS)
            for j, (a, b) in enumerate(pairwise(EDGES))
        ]
        pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".safetensors", ".csv"])
def test_every_kind_of_file_gives_the_same_map(tmp_path, suffix):
    item = read_map(write(tmp_path, suffix))
    assert item.method == "captum"
    assert item.edges_sec.tolist() == EDGES.tolist()
    assert np.array_equal(item.weights, VALUES[::-1].astype(np.float32), equal_nan=True)


def test_a_wide_csv_has_a_column_per_lead(tmp_path):
    path = tmp_path / "wide.csv"
    pd.DataFrame({"time": [0.0, 1.0, 2.0], "II": [1, 2, 3], "V1": [4, 5, 6]}).to_csv(
        path, index=False
    )
    item = read_map(path)
    assert item.leads == ("II", "V1")
    assert item.weights.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    item = bind(foreign_map(VALUES, leads=LEADS, edges_sec=EDGES), case())
    write_map(item, tmp_path / f"out{suffix}")
    back = bind(read_map(tmp_path / f"out{suffix}"), case())
    assert np.array_equal(back.weights, item.weights, equal_nan=True)
    own = tmp_path / "own.safetensors"
    item.save(own)
    assert np.array_equal(read_map(own).weights, item.weights, equal_nan=True)


def _bad_files(folder: Path) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    files = {name: folder / name for name in (
        "gone.npz", "text.npz", "pickled.npy", "no_json.npy", "list.npy", "no_values.npz",
        "strings.npz", "cut.safetensors", "other.safetensors", "empty.csv", "columns.csv",
        "words.csv", "gaps.csv", "map.txt", "huge.npz",
    )}  # fmt: skip
    files["text.npz"].write_text("no archive")
    np.save(files["pickled.npy"], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    files["pickled.npy"].with_suffix(".json").write_text('{"leads": ["II"]}')
    np.save(files["no_json.npy"], VALUES)
    np.save(files["list.npy"], VALUES)
    files["list.npy"].with_suffix(".json").write_text("[1, 2]")
    np.savez(files["no_values.npz"], leads=np.array(LEADS))
    np.savez(files["strings.npz"], values=np.array([["a"]]), leads=np.array(["II"]), times=[0.0])
    files["cut.safetensors"].write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    save_file({"x": VALUES}, files["other.safetensors"])
    files["empty.csv"].write_text("")
    files["columns.csv"].write_text("a,b\n1,2\n")
    files["words.csv"].write_text("time,II\n0,x\n1,y\n")
    files["gaps.csv"].write_text("lead,from_sec,to_sec,weight\nII,0,1,1\nII,2,3,1\n")
    files["map.txt"].write_text("1")
    huge = np.lib.format.header_data_from_array_1_0(np.zeros(1))
    huge["shape"] = (10**12, 1)
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, huge)
    with zipfile.ZipFile(files["huge.npz"], "w") as held:
        held.writestr("values.npy", buffer.getvalue())
        held.writestr("leads.npy", b"")
    return files


def test_bad_files_are_refused_in_one_line(tmp_path):
    for name, path in _bad_files(tmp_path / "bad").items():
        with pytest.raises(ParameterError) as error:
            read_map(path)
        assert "\n" not in str(error.value), name
        assert "Fix: " in str(error.value), name
