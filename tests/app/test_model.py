"""The Model page: quality, failures, two models, training runs, and a model of one's own."""

from __future__ import annotations

import json
import shutil

from ecgxai_core.models.manifest import load_manifest, manifest_path
from tests.app.conftest import open_page, settle, tables, texts
from tests.small import AF, FS, SINUS, write_model


def pick(app, key, value):
    """Choose in a segmented control."""
    next(item for item in app.get("button_group") if item.key == key).set_value(value)
    return settle(app.run())


def test_how_good_shows_every_class_and_four_charts(folders):
    folders()
    app = open_page("model", navigation=True)
    assert not app.exception
    assert "4 labelled records" in texts(app)
    classes = next(frame for frame in tables(app) if "AUROC" in frame.columns)
    assert set(classes["code"]) == {AF, SINUS}
    assert classes["sensitivity"].is_monotonic_increasing, "what is missed stands first"
    assert classes["found"].str.fullmatch(r"\d+ of 2").all()
    assert len(app.get("plotly_chart")) == 4


def test_a_failure_is_listed(folders):
    folders()
    app = pick(open_page("model"), "model-section", "Cases to review")
    assert not app.exception
    wrong = next(frame for frame in tables(app) if "labelled" in frame.columns)
    assert len(wrong) >= 1


def test_two_models_need_a_second_one_and_a_record(folders, tiny):
    folders()
    app = pick(open_page("model"), "model-section", "Two models")
    assert "No record is chosen" in texts(app) or "only one usable" in texts(app)
    assert not app.exception


def test_two_models_side_by_side(folders, tiny, tmp_path, monkeypatch):
    folders()
    models = tmp_path / "models"
    write_model(models)
    for ending in (".keras", ".json"):
        shutil.copy(models / f"tiny{ending}", models / f"twin{ending}")
    monkeypatch.setenv("ECGXAI_MODELS", str(models))
    app = pick(open_page("model", model="tiny", record="T000"), "model-section", "Two models")
    assert not app.exception
    app.selectbox(key="second-model").set_value("twin")
    app = settle(app.run())
    assert "share 2 classes of record T000; they decide the same for 2" in texts(app)
    assert "not explained yet" in texts(app)


def test_no_training_runs_says_what_to_do(folders):
    folders()
    app = pick(open_page("model"), "model-section", "Training runs")
    assert "ecgxai train" in texts(app).replace("\\", "")
    assert not app.exception


def test_training_curves_of_a_run(folders, tmp_path, monkeypatch):
    folders()
    run = tmp_path / "models" / "run <b>1</b>"
    run.mkdir(parents=True)
    params = {"model": {"name": "cnn"}, "seed": 1, "schedule": {"learning_rate": 0.001}}
    (run / "config.json").write_text(json.dumps({"params": params}))
    rows = [{"epoch": i, "auroc": 0.5 + i / 10, "loss": 1 - i / 10} for i in range(3)]
    (run / "history.json").write_text(json.dumps(rows))
    monkeypatch.setenv("ECGXAI_MODELS", str(tmp_path / "models"))
    app = pick(open_page("model"), "model-section", "Training runs")
    assert not app.exception
    assert any("learning_rate" in frame.columns for frame in tables(app))
    spec = app.get("plotly_chart")[0].proto.spec
    assert "<b>" not in spec


def test_without_a_model_the_page_says_what_to_do(folders):
    folders(models="empty")
    app = open_page("model", navigation=True)
    assert not app.exception
    assert "no usable model" in texts(app)
    for section in ("Cases to review", "Two models", "Training runs", "My own model"):
        app = pick(app, "model-section", section)
        assert not app.exception
        assert app.info


def test_an_empty_data_set_is_no_exception(folders):
    folders(data="empty")
    app = open_page("model")
    assert not app.exception


def test_ones_own_model_is_tried_before_it_may_be_used(folders, tmp_path, monkeypatch):
    folders()
    path = write_model(tmp_path / "models", seed=3)
    manifest_path(path).unlink()
    monkeypatch.setenv("ECGXAI_MODELS", str(tmp_path / "models"))
    app = pick(open_page("model"), "model-section", "My own model")
    assert "Still to answer" in texts(app)
    assert not any(button.key == "own-try" for button in app.button)
    app.number_input(key="own-fs").set_value(float(FS))
    for name, value in (
        ("units", "mV"), ("pad", "end_zero"), ("crop", "start"), ("normalisation", "none"),
        ("filter", "none"),
    ):  # fmt: skip
        next(b for b in app.get("button_group") if b.key == f"own-{name}").set_value(value)
    app.text_input(key="own-leads").set_value("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6")
    app.text_input(key="own-source").set_value("made here")
    app.text_area(key="own-classes").set_value("AF\nsinus rhythm")
    app = settle(app.run())
    assert not app.exception
    app.button(key="own-try").click()
    app = settle(app.run())
    assert not app.exception
    assert "4 labelled records" in texts(app)
    assert not manifest_path(path).exists()
    if any(button.key == "own-use" for button in app.button):
        assert app.button(key="own-use").disabled
        app.checkbox(key="own-sure").check()
        app = settle(app.run())
        app.button(key="own-use").click()
        app = settle(app.run())
        assert not app.exception
        assert load_manifest(manifest_path(path)).classes == (AF, SINUS)
    else:
        assert "Not usable like this" in texts(app)
