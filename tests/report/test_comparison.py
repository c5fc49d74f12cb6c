"""Two models on one record: the figure of six panels, the page, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgxai_core.case import Case
from ecgxai_core.cli.main import run_cli
from ecgxai_core.errors import DiagnosisError
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.plots.panels import ModelSide, panel_figure
from ecgxai_core.records.read import read_record
from ecgxai_core.report.comparison import likeliest
from ecgxai_core.settings import settings
from tests.small import AF, SINUS, write_data, write_model


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory):
    """A record and two models, of which one knows a class more."""
    root = tmp_path_factory.mktemp("two")
    data = write_data(root / "data", 1)
    one = write_model(root / "one", seed=0, classes=(AF, SINUS))
    other = write_model(root / "other", seed=1, classes=("713422000", AF))
    return data / "T000.hea", one, other


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def words(things, out: Path, *more: str) -> list[str]:
    record, one, other = map(str, things)
    models = ["--model", one, "--model", other]
    return ["compare", record, *models, "--method", "input_x_gradient", "--out", str(out), *more]


def test_a_page_shows_both_models(things, tmp_path, capsys):
    out = tmp_path / "two.html"
    assert run_cli(words(things, out)) == 0
    page, said = out.read_text(), capsys.readouterr().out
    assert "decide alike on" in said, "the agreement stands on the console too"
    assert "of 1 classes" in page
    assert "one/tiny.keras" in page, "two files of one name are told apart"
    assert "other/tiny.keras" in page
    assert "rank correlation of the maps" in page
    assert "data:image/svg+xml" in page
    assert "<script" not in page
    assert str(tmp_path) not in page
    assert "ecgxai compare T000.hea" in page
    again = tmp_path / "again.html"
    assert run_cli(words(things, again)) == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(("name", "starts"), [("f.pdf", b"%PDF"), ("f.png", b"\x89PNG")])
def test_the_figure_alone_is_a_file(things, tmp_path, name, starts):
    assert run_cli(words(things, tmp_path / name, "--target", "AF")) == 0
    assert (tmp_path / name).read_bytes().startswith(starts)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--target", "SR"], "the model has no output for"),
        (["--model", "third.keras"], "3 given"),
    ],
)
def test_what_cannot_be_compared_is_refused(things, tmp_path, capsys, more, said):
    assert run_cli(words(things, tmp_path / "x.html", *more)) == 2
    assert said in capsys.readouterr().err
    assert run_cli(words(things, tmp_path / "x.doc")) == 2
    assert "is none of .html" in capsys.readouterr().err


def test_the_likeliest_common_class_is_taken(things, tmp_path):
    record = read_record(things[0])
    one, other = (LazyClassifier(path) for path in things[1:])
    assert likeliest(Case(record, one, SINUS), Case(record, other, AF)) == (AF, AF)
    third = LazyClassifier(write_model(tmp_path, classes=("713422000",)))
    with pytest.raises(DiagnosisError, match="no diagnosis in common"):
        likeliest(Case(record, one, AF), Case(record, third, "713422000"))


def test_one_model_has_four_panels_and_two_have_six(things, make_side):
    record = read_record(things[0])
    one, two = make_side(record, "first"), make_side(record, "second")
    four = panel_figure(record, [one], "T").decode()
    six = panel_figure(record, [one, two], "T").decode()
    assert four.count('id="axes_') == 4 + 1, "and the colour bar"
    assert six.count('id="axes_') == 6 + 1
    with pytest.raises(ValueError, match="one or two"):
        panel_figure(record, [], "T")


@pytest.fixture
def make_side():
    import numpy as np

    from ecgxai_core.types import Attribution, Provenance

    def make(record, name):
        weights = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
        explored = np.ones((12, 6), bool)
        explored[3] = False
        item = Attribution(
            record.name, AF, name, 0.7, record.leads, np.arange(7.0),
            np.where(explored, weights, 0), explored, Provenance(record.digest, "m", {}, 0, ""),
        )  # fmt: skip
        return ModelSide(name, item, {"atrial fibrillation": 0.7, "sinus rhythm": 0.2})

    return make
