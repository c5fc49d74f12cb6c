"""A map that a few lines of TensorFlow made goes through command line, run, card and dashboard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.cli.main import run_cli
from ecgxai_core.models.keras_runtime import import_keras
from ecgxai_core.pipeline.run.tables import EVALUATION, STABILITY
from ecgxai_core.settings import settings
from tests.app.evaluated import QUICK, environment, folder, opened, settled, texts
from tests.small import AF, FS, SAMPLES

NAME = "their_gradient"
LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gradient x input of every record by TensorFlow alone: no reader, model or map of ours."""
    import tensorflow as tf

    network = import_keras().models.load_model(folder() / "models" / "tiny.keras")
    out = tmp_path_factory.mktemp("their maps")
    for header in sorted((folder() / "data").glob("*.hea")):
        lines = [line.split() for line in header.read_text().splitlines() if line[0] != "#"]
        samples = np.fromfile(header.parent / lines[1][0], "<i2")[-12 * int(lines[0][3]) :]
        gain = float(lines[1][2].split("(")[0].split("/")[0])
        signal = tf.constant(samples.reshape(-1, 12)[None, :SAMPLES] / gain, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(signal)
            probability = network(signal)[0, 0]  # atrial fibrillation comes first
        values = (tape.gradient(probability, signal) * signal)[0].numpy().T
        np.savez(out / f"{header.stem}.npz", values=values, leads=LEADS, target=AF,
                 times=np.arange(SAMPLES) / FS)  # fmt: skip
    return out


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def words(verb: str, maps: Path, out: Path, *more: str) -> list[str]:
    root = folder()
    data = ["--data", str(root / "data"), "--model", str(root / "models" / "tiny.keras")]
    given = ["--method", "input_x_gradient", "--method", f"{NAME}:{maps}", "--target", AF]
    quick = [word for text in QUICK for word in ("--set", text)]
    return [verb, *data, *given, *quick, "--out", str(out), *more]


def test_it_is_evaluated_beside_ours_on_the_command_line(maps, tmp_path):
    root, out = folder(), tmp_path / "scores.csv"
    asked = ["evaluate-map", root / "data" / "T000.hea", "--map", maps / "T000.npz", "--target",
             AF, "--model", root / "models" / "tiny.keras", "--out", out]  # fmt: skip
    assert run_cli([str(word) for word in asked]) == 0
    table = pd.read_csv(out).set_index("metric")
    assert {"energy", "amplitude", "lead_shuffled", "time_shifted", "template"} <= set(table)
    gain = table.loc["deletion_gain", ["value", "energy", "time_shifted"]].astype(float)
    assert np.isfinite(gain).all()


def test_a_run_has_its_rows_and_its_digest(maps, tmp_path, capsys):
    run = tmp_path / "run"
    assert run_cli(words("run", maps, run, "--k-per-class", "1", "--min-prob", "0")) == 0
    rows = pd.read_csv(run / EVALUATION, dtype={"target": str}).set_index("method")
    assert list(rows.index) == ["input_x_gradient", "fused", NAME]
    theirs, ours = rows.loc[NAME], rows.loc["input_x_gradient"]
    assert theirs["deletion_gain_energy"] != ours["deletion_gain_energy"], "each on its own grid"
    assert theirs["deletion_gain"] > 0
    stable = pd.read_csv(run / STABILITY)
    assert NAME not in set(stable["method"]), "no changed record is explained by given maps"
    request = json.loads((run / "manifest.json").read_text())["request"]
    assert list(request["maps"]) == [NAME]
    assert str(maps) not in json.dumps(request)
    capsys.readouterr()
    (gone := next(maps.glob(f"{rows.loc[NAME, 'record']}.npz"))).rename(tmp_path / gone.name)
    try:
        again = words("run", maps, tmp_path / "again", "--k-per-class", "1", "--min-prob", "0")
        assert run_cli(again) == 3, "a record without a map fails, and says so"
        said = pd.read_csv(tmp_path / "again" / "failures.csv")["reason"][0]
        assert "has no map of it for" in said
    finally:
        (tmp_path / gone.name).rename(gone)


def test_a_card_tests_it_but_not_whether_it_depends_on_the_model(maps, tmp_path):
    out = tmp_path / "card.html"
    assert run_cli(words("report-card", maps, out, "--n", "1")) == 0
    card = json.loads(out.with_suffix(".json").read_text())
    found = {v["test"]: v for v in card["verdicts"] if v["method"] == NAME and not v["target"]}
    assert found["deletion_gain"]["n"] == found["road_gap"]["n"] == 1
    assert found["sanity"]["verdict"] == "not tested"
    assert found["spearman_noise"]["verdict"] == "not defined"
    assert f"--method {NAME}:FOLDER" in out.read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("lime:{}", "is a name of ours"),
        ("energy:{}", "is a name of ours"),
        ("a b:{}", "is no name"),
        ("mine:{}/nowhere", "is no folder of maps"),
        ("magic", "no such method"),
    ],
)
def test_what_is_no_folder_of_maps_is_refused(maps, tmp_path, capsys, given, said):
    asked = words("run", maps, tmp_path / "run")
    asked[asked.index(f"{NAME}:{maps}")] = given.format(maps)
    assert run_cli(asked) == 2
    assert said in capsys.readouterr().err


def test_the_dashboard_shows_it_beside_ours(maps, monkeypatch):
    with environment(monkeypatch):
        at = opened("evaluation", record="T000", target=AF, beta="0.5")
        file = (maps / "T000.npz").read_bytes()
        at.file_uploader(key="given-files").set_value([(f"{NAME}.npz", file, "")])
        next(b for b in at.button if b.label == "Add these maps").click().run()
        next(b for b in at.button if b.label == "Evaluate this record").click().run()
        settled(at)
        table = next(item.value for item in at.dataframe if "empty map" in item.value)
        assert list(table["map"])[-1] == NAME
        assert {"squared slope", "leads shuffled", "half a beat later"} <= set(table.columns)
        at.file_uploader(key="given-files").set_value([("lime.npz", file, "")])
        next(b for b in at.button if b.label == "Add these maps").click().run()
        assert "is a name of ours" in texts(at)
        next(b for b in at.button if b.label == "Forget these maps").click().run()
        assert "has not been evaluated yet" in texts(at), "it was evaluated with the map only"


def test_the_fusion_lab_fuses_it_where_the_reader_wants(maps, monkeypatch):
    with environment(monkeypatch):
        at = opened("fusion_lab", record="T000", target=AF)
        without = [card.value for card in at.metric]
        at.file_uploader(key="given-files").set_value(
            [(f"{NAME}.npz", (maps / "T000.npz").read_bytes(), "")]
        )
        next(b for b in at.button if b.label == "Add these maps").click().run()
        settled(at)
        assert not at.exception
        assert at.multiselect(key="lab-given").value == [NAME]
        assert [card.value for card in at.metric] != without
        at.slider(key="lab-weight-occlusion").set_value(0.0).run()  # weights of our methods only
        assert not at.exception
        assert len(at.metric) == 3
        at.slider(key="lab-weight-occlusion").set_value(1.0).run()
        at.multiselect(key="lab-given").set_value([]).run()
        settled(at)
        assert [card.value for card in at.metric] == without
