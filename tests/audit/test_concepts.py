"""Which measured features a model uses: both tests against models whose answer is planted."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ecgxai_core.audit.concepts import (
    FEATURES,
    ConceptRecord,
    ConceptRequest,
    concept_record,
    concept_table,
    find_concepts,
    to_frame,
)
from ecgxai_core.audit.partial_ranks import false_discovery, partial_rank_correlation
from ecgxai_core.case import Case
from ecgxai_core.cli.main import run_cli
from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.params import EvaluationParams, profile, profile_with
from ecgxai_core.settings import settings
from ecgxai_core.signal.intervals import measure_signal
from ecgxai_core.simulation import simulate
from ecgxai_core.store.cache import Store, open_store
from ecgxai_core.types import STANDARD_LEADS, FloatArray
from tests.analytic import FS, TARGET, Analytic, manifest
from tests.small import AF, write_data, write_model

PARAMS = EvaluationParams(n_bootstrap=500)
SECONDS = 8


# ---- the statistic -------------------------------------------------------------------------------


def test_partial_rank_correlation_is_that_of_the_inverse_correlation_matrix():
    """Independent formula: -P_xy / sqrt(P_xx P_yy), P the inverse of Spearman's matrix."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 3))
    x, y = z @ [1, 2, 0] + rng.normal(size=60), z @ [1, 0, 1] + rng.normal(size=60)
    found = partial_rank_correlation(x, y, z)
    inverse = np.linalg.inv(stats.spearmanr(np.column_stack([x, y, z])).statistic)
    r = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    assert found.r == pytest.approx(r, abs=1e-12)
    t = r * np.sqrt((60 - 2 - 3) / (1 - r * r))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 55))
    assert found.low < r < found.high


def test_with_nothing_held_it_is_spearmans():
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = np.exp(x) + rng.normal(size=40)
    found = partial_rank_correlation(x, y, np.zeros((40, 0)))
    assert found.r == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.p == pytest.approx(stats.spearmanr(x, y).pvalue)


def test_its_interval_covers_and_its_test_keeps_its_level():
    """y follows z only: x goes with z, so without holding z x would follow y in nearly all."""
    rng = np.random.default_rng(2)
    covered = false = unheld = 0
    for _ in range(400):
        z = rng.normal(size=(30, 1))
        x, y = z[:, 0] + rng.normal(size=30), z[:, 0] + rng.normal(size=30)
        found = partial_rank_correlation(x, y, z)
        covered += found.low <= 0 <= found.high
        false += found.p < 0.05
        unheld += partial_rank_correlation(x, y, z[:, :0]).p < 0.05
    assert 0.92 <= covered / 400 <= 0.99
    assert false / 400 < 0.08
    assert unheld / 400 > 0.6


def test_what_is_missing_or_constant_says_nothing():
    rng = np.random.default_rng(3)
    x, y, z = rng.normal(size=20), rng.normal(size=20), rng.normal(size=(20, 2))
    missing = x.copy()
    missing[:5] = np.nan
    assert partial_rank_correlation(missing, y, z).n == 15
    assert np.isnan(partial_rank_correlation(np.ones(20), y, z).r)
    assert np.isnan(partial_rank_correlation(x, y, x[:, None]).r), "held itself"
    empty = np.full((20, 1), np.nan)
    assert partial_rank_correlation(x, y, empty) == partial_rank_correlation(x, y, z[:, :0])


def test_false_discoveries_are_controlled_as_published():
    """The example of Benjamini and Hochberg (1995), section 3.2: four of fifteen at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
         0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    assert (false_discovery(np.array(p)) <= 0.05).sum() == 4
    assert np.isnan(false_discovery(np.array([np.nan, 0.01]))).tolist() == [True, False]


# ---- planted models ------------------------------------------------------------------------------

PLAN = list(
    itertools.product(
        ("first_degree_block", ""),
        ("right_bundle_branch_block", "left_bundle_branch_block", "st_elevation_anterior",
         "t_inversion_anterior", "incomplete_right_bundle_branch_block", ""),
        ("long_qt", "", ""),
    )
)  # fmt: skip
"""36 combinations."""


@pytest.fixture(scope="module")
def people():
    """Simulated records: all combinations, and some in atrial fibrillation."""
    made = []
    for seed, names in enumerate(PLAN):
        asked = [name for name in names if name] or ["sinus_rhythm"]
        made.append(simulate(asked, seed=seed, fs=FS, duration=SECONDS).record)
    made += [
        simulate("atrial_fibrillation", seed=seed, fs=FS, duration=SECONDS).record
        for seed in range(8)
    ]
    return made


def reader(value) -> Analytic:
    """A model whose logit is a number of the measurements of its input, and nothing else."""

    def score(rows: FloatArray) -> FloatArray:
        return np.array([value(measure_signal(row.T, FS, STANDARD_LEADS)) for row in rows])

    return Analytic(score, manifest(samples=round(FS * SECONDS)))


def table_of(people, model, tmp_path):
    store = Store(tmp_path / "store", int(1e9))
    records = [
        concept_record(Case(record, model, TARGET), store, profile("default")) for record in people
    ]
    return {row.feature: row for row in concept_table(records, PARAMS)}


def test_a_reader_of_the_qrs_width_uses_it_and_nothing_else(people, tmp_path):
    found = table_of(people, reader(lambda m: (m.qrs.value - 110) / 15), tmp_path)
    said = {name: row.verdict for name, row in found.items()}
    assert [name for name, verdict in said.items() if verdict == "used"] == ["qrs"], said
    assert found["qrs"].output.r > 0.9
    assert found["qrs"].move == pytest.approx(50 / 15, rel=0.4)
    assert said["pr"] == said["st_level"] == said["irregularity"] == "not used", said


def test_a_reader_of_absent_p_waves_and_uneven_beats_uses_neither_width_nor_level(people, tmp_path):
    def value(m):
        return (50 - m.p_present.value) / 20 + np.nan_to_num(m.irregularity.value - 8) / 4

    found = table_of(people, reader(value), tmp_path)
    said = {name: row.verdict for name, row in found.items()}
    assert said.pop("p_absent") == said.pop("irregularity") == "used", said
    assert said.pop("qtc") != "used"
    assert set(said.values()) == {"not used"}, said


def planted(n: int, follow: float, move: float, seed: int = 0) -> tuple[ConceptRecord, ...]:
    """Records whose output follows the QRS width, and moves with it, by so much."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        values = dict(zip(FEATURES, rng.normal(size=len(FEATURES)), strict=True))
        moves = dict(zip(FEATURES, rng.normal(0, 0.01, len(FEATURES)), strict=True))
        moves["qrs"] += move
        output = follow * values["qrs"] + rng.normal()
        made.append(ConceptRecord(f"r{i}", output, values, dict(values), moves))
    return tuple(made)


def verdicts(records) -> dict[str, str]:
    return {row.feature: row.verdict for row in concept_table(records, PARAMS)}


def test_used_needs_both_tests_and_one_direction():
    assert verdicts(planted(60, 3.0, 2.0))["qrs"] == "used"
    assert verdicts(planted(60, 3.0, 0.0))["qrs"] == "cannot tell"
    assert verdicts(planted(60, 0.0, 2.0))["qrs"] == "cannot tell"
    assert verdicts(planted(60, 3.0, -2.0))["qrs"] == "cannot tell"
    assert verdicts(planted(60, 0.0, 0.0))["qrs"] == "not used"
    assert set(verdicts(planted(9, 3.0, 2.0)).values()) == {"cannot tell"}, "too few records"
    assert verdicts(planted(12, 0.0, 0.0))["pr"] == "cannot tell", "too few to rule it out"


def test_a_model_that_answers_nothing_uses_nothing():
    """Of 40 cohorts of a model that answers by chance, no feature is ever called used."""
    said = [v for seed in range(40) for v in verdicts(planted(80, 0.0, 0.0, seed)).values()]
    assert "used" not in said
    assert said.count("not used") > 0.8 * len(said)


def test_what_does_not_exist_is_left_out(people, tmp_path):
    """Fibrillation has no PR interval."""
    model = reader(lambda m: (m.qrs.value - 110) / 15)
    store = Store(tmp_path / "store", int(1e9))
    found = concept_record(Case(people[-1], model, TARGET), store, profile("default"))
    assert np.isnan(found.values["pr"])
    assert np.isnan([*found.enrichment.values()]).all(), "no map was asked for"
    with pytest.raises(ParameterError):
        concept_record(Case(people[0], model, TARGET), store, profile("default"), leads=("X",))
    flat = replace(people[0], signal=np.zeros_like(people[0].signal))
    with pytest.raises(ExplanationError):
        concept_record(Case(flat, model, TARGET), store, profile("default"))


# ---- a folder of records, and the command --------------------------------------------------------


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("concepts")
    return write_data(root / "data", 12), write_model(root / "model")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("own_cache")
def test_half_of_the_records_have_the_target_and_the_same_come_again(things):
    chosen = profile_with(profile("default"), ["segments=wave"])
    request = ConceptRequest(*things, "AF", chosen, 4, "input_x_gradient")
    with open_store() as store:
        found, again = find_concepts(request, store), find_concepts(request, store)
    assert repr(found.records) == repr(again.records)  # NaN is not equal to itself
    assert [int(r.name[1:]) % 2 for r in found.records].count(0) == 2  # even: fibrillation
    assert len(to_frame(found)) == len(FEATURES)
    whole = [r.enrichment["qrs"] for r in found.records]
    assert np.isfinite(whole).all()


@pytest.mark.usefixtures("own_cache")
def test_the_command_writes_a_table_and_a_page(things, tmp_path, capsys):
    data, model = map(str, things)
    words = ["concepts", "--data", data, "--model", model, "--target", AF, "--target", "SR"]
    words += ["--n", "12", "--method", "input_x_gradient"]
    assert run_cli([*words, "--out", str(tmp_path / "c.csv")]) == 0
    table = pd.read_csv(tmp_path / "c.csv")
    assert len(table) == 2 * len(FEATURES)
    assert set(table["verdict"]) <= {"used", "not used", "cannot tell"}
    assert (table["output_n"] <= 12).all()
    assert "QRS duration" in capsys.readouterr().out
    assert run_cli([*words, "--out", str(tmp_path / "c.html")]) == 0
    page = (tmp_path / "c.html").read_text()
    assert "cannot tell" in page
    assert "data:image/svg+xml" in page
    assert str(tmp_path) not in page
    assert run_cli([*words, "--lead", "X9", "--out", str(tmp_path / "c.csv")]) == 2
    assert run_cli([*words, "--out", str(tmp_path / "c.pdf")]) == 2
