"""The public face: the five lines of the first notebook, and what they promise."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import ecgxai_core as ecgxai
from ecgxai_core.errors import DiagnosisError, ParameterError
from ecgxai_core.metrics import METRICS
from ecgxai_core.records.write import write_record
from ecgxai_core.simulation import simulate as simulated
from tests.conftest import REPO

METHODS = ["timeshap", "integrated_gradients", "occlusion"]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with one record, as a person has it, and an empty cache."""
    folder = tmp_path_factory.mktemp("face")
    ecg = simulated("atrial_fibrillation", seed=3, fs=500).record
    write_record(folder, "A0001", ecg.signal, ecg.fs, ecg.leads, labels=["164889003"])
    return folder


@pytest.fixture(scope="module")
def first(here):
    """Record, model, maps and fused map of the example."""
    store = ecgxai.Store(here / "cache", int(1e8))
    record, model = ecgxai.read(here / "A0001.hea"), ecgxai.load_model()
    maps = ecgxai.explain(record, model, "AF", methods=METHODS, store=store)
    yield record, model, maps, ecgxai.fuse(maps)
    store.close()


EXAMPLE = """
import ecgxai_core as ecgxai
record = ecgxai.read("A0001.hea")
model = ecgxai.load_model()
methods = ["timeshap", "integrated_gradients", "occlusion"]
maps = ecgxai.explain(record, model, "AF", methods=methods)
fused = ecgxai.fuse(maps)
figure = fused.plot(record)
table = ecgxai.evaluate(fused, record, model).to_frame()
print(len(figure.data) > 12, len(table) > 20, sorted(maps))
"""


def test_the_example_runs_as_written_in_a_script(here) -> None:
    environment = {**os.environ, "ECGXAI_CACHE_DIR": str(here / "script"), "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLE], cwd=here, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == f"True True {sorted(METHODS)}"
    assert "explain" not in done.stderr  # no bar where nobody sees one


def test_every_name_is_there_and_nothing_heavy_comes_with_it() -> None:
    code = (
        "import sys, ecgxai_core as e\n"
        "for name in e.__all__: getattr(e, name)\n"
        "print(not {'tensorflow', 'keras', 'shap', 'lime', 'plotly', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO)
    assert done.stdout.strip() == "True", done.stderr
    assert set(ecgxai.__all__) <= set(dir(ecgxai))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ecgxai.nothing  # noqa: B018


def test_targets_go_by_any_of_their_names(first) -> None:
    record, model, maps, _ = first
    for name in ("164889003", "af"):
        case = ecgxai.Case(record, model, name)
        assert case.target == maps["occlusion"].target
        assert case.key() == ecgxai.Case(record, model, "AF").key()
    with pytest.raises(DiagnosisError, match="sinus"):
        ecgxai.explain(record, model, "sinus rhytm", methods="occlusion")


def test_maps_give_tables_arrays_and_files(first, tmp_path) -> None:
    _, _, maps, fused = first
    for item in (*maps.values(), fused):
        frame = item.to_frame()
        assert len(frame) == item.weights.size
        assert frame["weight"].to_numpy() == pytest.approx(item.weights.ravel(), nan_ok=True)
        item.save(tmp_path / "map.safetensors")
        again = type(item).load(tmp_path / "map.safetensors")
        assert again.weights.tobytes() == item.weights.tobytes()
        assert again.provenance == item.provenance
        assert isinstance(item, ecgxai.Map)
    other = type(fused) if not isinstance(maps["occlusion"], type(fused)) else None
    maps["occlusion"].save(tmp_path / "map.safetensors")
    with pytest.raises(ecgxai.EcgXaiError, match="not a FusedMap"):
        other.load(tmp_path / "map.safetensors")
    assert len(maps.to_frame()) == sum(item.weights.size for item in maps.values())


def test_a_map_as_xarray(first) -> None:
    pytest.importorskip("xarray")
    _, _, maps, _ = first
    data = maps["timeshap"].to_xarray()
    assert data["weight"].dims == ("lead", "segment")
    assert float(data["end_sec"][-1]) == pytest.approx(maps["timeshap"].edges_sec[-1])


def test_names_are_text_in_a_notebook(first) -> None:
    _, _, maps, _ = first
    from dataclasses import replace

    odd = replace(maps["occlusion"], record="<script>alert(1)</script>")
    assert "<script>" not in odd._repr_html_()
    assert "&lt;script&gt;" in odd._repr_html_()


def test_a_map_is_drawn_on_its_own_record_only(first) -> None:
    record, _, _, fused = first
    assert ecgxai.plot(record).data
    assert fused.plot(record, layout="12x1").data
    other = simulated("sinus_rhythm", seed=1).record
    for draw in (lambda: fused.plot(other), lambda: ecgxai.plot(other, fused)):
        with pytest.raises(ParameterError, match="is not a map of record"):
            draw()


def test_scores_stand_beside_what_they_are_compared_with(first) -> None:
    record, model, maps, fused = first
    result = ecgxai.evaluate({**maps, "fused": fused}, record, model)
    table = result.to_frame()
    assert set(table["map"]) == {*METHODS, "fused"}
    assert set(table["metric"]) <= set(METRICS)
    assert {"complexity", "faithfulness", "plausibility"} == set(table["category"])
    gain = table[table["metric"] == "deletion_gain"].set_index("map")
    assert (gain["chance"] == 0).all()
    assert gain.loc["occlusion", "value"] > gain.loc["occlusion", "energy"]
    alone = ecgxai.evaluate(fused, record, model).to_frame()
    both = table[table["map"] == "fused"].set_index("metric")["value"]
    same = alone.set_index("metric")["value"]["attauc_strict"]
    assert same == pytest.approx(both["attauc_strict"])
    assert "<table" in result._repr_html_()


def test_a_map_of_another_record_or_model_is_refused(first) -> None:
    record, model, _, fused = first
    with pytest.raises(ParameterError, match="no map of record"):
        ecgxai.evaluate(fused, simulated("sinus_rhythm", seed=1).record, model)
    with pytest.raises(ParameterError, match="another model"):
        ecgxai.evaluate(fused, record, ecgxai.load_model("ptbxl_attention"))


def test_preliminary_maps_are_handed_out_and_not_evaluated(here, first) -> None:
    record, model = first[:2]
    shown = []
    asked = {"level": "owen", "segments": "auto", "lead_group": "independent", "target_error": 0.1}
    store = ecgxai.Store.disabled()
    found = ecgxai.explain(
        record, model, "AF", "timeshap", store=store, preview=shown.append, **asked
    )["timeshap"]
    assert found.diagnostics["relative_error"] <= 0.1 < shown[0].diagnostics["relative_error"]
    with pytest.raises(ParameterError, match="preliminary"):
        ecgxai.evaluate(shown[0], record, model)
    with pytest.raises(ParameterError, match="there are none"):
        ecgxai.fuse([])


def test_predict_takes_records_files_and_folders(here, first) -> None:
    record, model, _, fused = first
    for given in (record, here / "A0001.hea", [record], here):
        frame = ecgxai.predict(given, model)
        assert list(frame["record"]) == ["A0001"]
        assert frame.loc[0, "164889003"] == pytest.approx(fused.probability, abs=1e-6)
        assert isinstance(frame.loc[0, "warnings"], str)


def test_select_gives_sel_df(here) -> None:
    store = ecgxai.Store(here / "select", int(1e8))
    frame = ecgxai.select(here, targets=["AF"], min_prob=0.5, store=store)
    assert list(frame["record"]) == ["A0001"]
    store.close()


def test_parameters_of_a_profile_can_be_changed(first, here) -> None:
    record, model, maps, _ = first
    store = ecgxai.Store(here / "params", int(1e8))
    changed = ecgxai.explain(record, model, "AF", "occlusion", store=store, baseline="mean")
    assert changed["occlusion"].provenance.params["baseline"] == "mean"
    assert not np.array_equal(changed["occlusion"].weights, maps["occlusion"].weights)
    with pytest.raises(ParameterError, match="known parameters"):
        ecgxai.explain(record, model, "AF", "occlusion", store=store, basline="mean")
    store.close()


def test_all_outputs_are_explained_at_once(first, here) -> None:
    record, model, *_ = first
    store = ecgxai.Store(here / "all", int(1e8))
    found = ecgxai.explain_all(record, model, "occlusion", store=store, window_sec=2.0)
    store.close()
    assert list(found) == list(model.classes)
    for target, maps in found.items():
        assert list(maps) == ["occlusion"]
        assert maps["occlusion"].target == target


def test_the_extra_beat_test_gives_a_table(first, here) -> None:
    record, model, maps, _ = first
    store = ecgxai.Store(here / "beat", int(1e8))
    found = ecgxai.extra_beat_test(record, model, "AF", ["occlusion"], store=store)
    table = found.to_frame().set_index(["map", "metric"])
    assert table.loc[("occlusion", "spearman"), "value"] > 0.5
    same = found.original["occlusion"].weights
    assert np.array_equal(same, maps["occlusion"].weights)
    store.close()


def test_progress_is_told_and_the_command_line_is_a_module(first, here) -> None:
    record, model, _, _ = first
    said: list[tuple[int, int, str]] = []
    store = ecgxai.Store(here / "said", int(1e8))
    ecgxai.explain(
        record, model, "AF", "occlusion", store=store, progress=lambda *step: said.append(step)
    )
    assert said
    store.close()
    done = subprocess.run(
        [sys.executable, "-m", "ecgxai_core", "--version"], capture_output=True, text=True, cwd=REPO
    )
    assert done.stdout.strip() == f"ecgxai {ecgxai.__version__}"


def test_a_simulated_record_says_so() -> None:
    record = ecgxai.simulate("left_bundle_branch_block", seed=5)
    assert record.synthetic
    assert json.dumps(record.leads)
