"""Cohorts: shares by wave and lead, who belongs to them, corrected differences, the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecgxai_core.audit.card_evidence import WAVES
from ecgxai_core.audit.cohort import (
    Cohort,
    CohortRecord,
    CohortRequest,
    compare_cohorts,
    labelled_paths,
    make_cohort,
    max_t,
    outliers,
    wave_shares,
)
from ecgxai_core.cli.main import run_cli
from ecgxai_core.errors import RunError
from ecgxai_core.params import profile, profile_with
from ecgxai_core.pipeline.predict import Failure
from ecgxai_core.report.cohort import difference_words, short_names
from ecgxai_core.settings import settings
from ecgxai_core.store.cache import open_store
from ecgxai_core.types import Attribution, Provenance
from tests.records.catalogues.test_catalogue import ptbxl_folder
from tests.small import AF, SINUS, write_data, write_model

LEADS = ("I", "II", "V1")


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("cohort")
    return write_data(root / "data", 6), write_model(root / "model")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def made(values: np.ndarray, name: str = "a", digests: str = "") -> Cohort:
    """A cohort with these shares ``[record, wave, lead]``."""
    records = tuple(
        CohortRecord(f"{name}{i}", f"{digests or name}{i}", 0.9, shares)
        for i, shares in enumerate(values)
    )
    return Cohort(name, AF, "occlusion", LEADS, records, len(records), (), False)


def noise(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, (n, len(WAVES), len(LEADS)))


def test_shares_are_signed_weight_over_all_weight():
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    weights = np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 5.0]], np.float32)
    item = Attribution(
        "r", AF, "m", 0.9, ("I", "II"), edges, weights, np.ones((2, 3), bool),
        Provenance("r", "m", {}, 0, ""),
    )  # fmt: skip
    empty = np.zeros((0, 2))
    times = dict.fromkeys(WAVES, empty) | {
        "P": np.array([[0.0, 0.5]]), "QRS": np.array([[0.5, 1.5]]), "T": np.array([[1.5, 3.0]]),
    }  # fmt: skip
    found = dict(zip(WAVES, wave_shares(item, times), strict=True))
    assert found["P"].tolist() == [0.5 / 8, 0]
    assert found["QRS"].tolist() == [(0.5 - 1) / 8, 0]
    assert found["T"].tolist() == [-1 / 8, 5 / 8]
    assert found["ST"].tolist() == [0, 0]


def test_a_planted_difference_is_found_and_no_other():
    one, other = noise(30, 2), noise(25, 3)
    one[:, 1, 2] += 0.03  # QRS in V1
    found = compare_cohorts(made(one, "a"), made(other, "b"))
    assert not found.paired
    assert np.argwhere(found.p < 0.05).tolist() == [[1, 2]]
    assert found.difference[1, 2] == pytest.approx(0.03, abs=0.01)
    said = difference_words(made(one, "a"), made(other, "b"), found)
    assert "QRS in V1 (+" in said


def test_the_same_records_are_compared_one_by_one():
    """Two models on the same records: what varies from record to record does not matter."""
    base = 20 * noise(12, 0)
    other = base + noise(12, 1)
    other[:, 0, 0] += 0.03
    found = compare_cohorts(made(base, "a", "r"), made(other, "b", "r"))
    assert found.paired
    assert np.argwhere(found.p < 0.05).tolist() == [[0, 0]]


def test_a_record_that_failed_in_one_model_leaves_the_others_paired():
    base = 20 * noise(12, 0)
    other = base + noise(12, 1)
    other[:, 0, 0] += 0.03
    whole, part = made(np.concatenate([base, noise(1, 2)]), "a", "r"), made(other, "a", "r")
    less = replace(part, failures=(Failure("a12", "no beat"),))
    for one, two in ((whole, less), (less, whole)):
        found = compare_cohorts(one, two)
        assert found.paired
        assert np.argwhere(found.p < 0.05).tolist() == [[0, 0]]
        assert abs(found.difference[0, 0]) == pytest.approx(0.03, abs=0.01)
    assert not compare_cohorts(whole, part).paired, "a group within the other: nothing failed"


def test_false_cells_are_as_rare_as_stated(monkeypatch):
    """In 60 comparisons of equal groups, a cell is called different in about 3 (p < 0.05)."""
    monkeypatch.setattr("ecgxai_core.audit.cohort.PERMUTATIONS", 400)
    false = sum(
        bool((max_t(noise(12, 100 + i)[:, :2], noise(15, 500 + i)[:, :2], i) < 0.05).any())
        for i in range(60)
    )
    assert false <= 8  # P(more than 8 of 60 at 5 %) is 0.003


def test_few_records_are_not_tested_and_have_no_outliers():
    found = compare_cohorts(made(noise(9, 0), "a"), made(noise(30, 1), "b"))
    assert np.isnan(found.p).all()
    assert "fewer than 10" in difference_words(made(noise(9, 0)), made(noise(30, 1), "b"), found)
    assert outliers(made(noise(9, 0))) == ()


def test_what_cohorts_share_is_not_repeated():
    one, other = made(noise(2, 0), "labelled A, M, D"), made(noise(2, 1), "labelled B, M, D")
    assert short_names((one, other)) == ("labelled A", "labelled B")
    assert short_names((one, made(noise(2, 1), "labelled A, N, D"))) == ("M", "N")
    assert short_names((one,)) == ("labelled A",)
    assert short_names((made(noise(2, 0), "a"), made(noise(2, 0), "b"))) == ("a", "b")


def test_an_outlying_record_is_named():
    values = noise(20, 0)
    values[7] += 0.2
    (far, distance), *others = outliers(made(values))
    assert (far.name, others) == ("a7", [])
    assert distance == pytest.approx(0.2 * values[0].size, rel=0.1)


def request(things, who: str = "labelled", n: int | None = None, target: str = "AF"):
    chosen = profile_with(profile("default"), ["segments=wave"])
    return CohortRequest(things[0], things[1], target, chosen, who, n, "input_x_gradient")


def test_records_belong_by_label_and_by_threshold(things):
    with open_store() as store:
        labelled = make_cohort(request(things), store)
        assert labelled.found == len(labelled.records) == 3
        assert np.abs(labelled.values).sum(axis=(1, 2)).max() <= 1 + 1e-6
        few = make_cohort(request(things, n=2), store)
        assert {r.name for r in few.records} < {r.name for r in labelled.records}
        sides = {}
        for who in ("predicted", "true-positive", "false-positive", "false-negative"):
            try:
                sides[who] = {r.name for r in make_cohort(request(things, who), store).records}
            except RunError:
                sides[who] = set()
    names = {r.name for r in labelled.records}
    assert sides["true-positive"] | sides["false-negative"] == names
    assert sides["true-positive"] | sides["false-positive"] == sides["predicted"]
    assert not sides["false-positive"] & names


def test_the_command_writes_a_page_and_a_table(things, tmp_path, capsys):
    data, model = map(str, things)
    words = ["cohort", "--data", data, "--model", model, "--target", AF, "--n", "2"]
    words += ["--method", "input_x_gradient", "--against-target", SINUS]
    assert run_cli([*words, "--out", str(tmp_path / "c.html")]) == 0
    page = (tmp_path / "c.html").read_text()
    assert "fewer than 10 records" in page
    assert "data:image/svg+xml" in page
    assert str(tmp_path) not in page
    assert run_cli([*words, "--out", str(tmp_path / "c.csv")]) == 0
    table = pd.read_csv(tmp_path / "c.csv")
    assert len(table) == 12 * len(WAVES)
    assert np.allclose(table["mean"] - table["other_mean"], table["difference"])
    assert table[["low", "p_corrected"]].isna().all().all(), "two records are too few"
    assert run_cli([*words, "--who", "everyone", "--out", str(tmp_path / "c.csv")]) == 2
    assert "is no group of records" in capsys.readouterr().err


def test_the_labels_of_a_data_set_count_and_spare_predictions(tmp_path, things):
    """PTB-XL keeps its labels in a table; its headers have none."""
    (tmp_path / "ptbxl").mkdir()
    folder = ptbxl_folder(tmp_path / "ptbxl")
    labels = {path.stem: own for path, own in labelled_paths(folder).items()}
    assert labels["00001_lr"] == (SINUS, "NORM")
    chosen = profile_with(profile("default"), ["segments=wave"])
    asked = CohortRequest(folder, things[1], AF, chosen, method="input_x_gradient")
    seen = []
    with open_store() as store:
        found = make_cohort(asked, store, progress=lambda _done, _all, name: seen.append(name))
    assert [record.name for record in found.records] == ["00002_lr"]
    assert "00001_lr" not in seen, "its label keeps it out"


def test_a_record_whose_header_cannot_be_read_is_a_failure(tmp_path, things):
    """LUDB's labels stand in its headers, in a folder of their own."""
    write_data(tmp_path / "ludb" / "data", 2)
    (tmp_path / "ludb" / "ludb.csv").write_text("ID\n")
    lines = "#<diagnoses>:\n#Rhythm: Atrial fibrillation.\n"
    for header in (tmp_path / "ludb" / "data").glob("*.hea"):
        header.write_text(header.read_text("utf-8") + lines, "utf-8")
    (tmp_path / "ludb" / "data" / "bad.hea").write_text("nonsense\n")
    chosen = profile_with(profile("default"), ["segments=wave"])
    asked = CohortRequest(tmp_path / "ludb", things[1], AF, chosen, method="input_x_gradient")
    with open_store() as store:
        found = make_cohort(asked, store)
    assert [record.name for record in found.records] == ["T000", "T001"]
    assert [failure.record for failure in found.failures] == ["bad"]
