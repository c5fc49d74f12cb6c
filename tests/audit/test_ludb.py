"""Waves annotated by cardiologists, and the evaluation of maps on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from ecgxai_core.audit.benchmark_tables import markdown, summary_table
from ecgxai_core.audit.ludb import Unit, _evaluated, _scores, ludb_benchmark, marked_waves
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import ModelError, RecordError
from ecgxai_core.settings import default_model
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance
from tests.small import write_model

LBBB = "164909002"


@pytest.fixture
def header(tmp_path):
    """Ten beats, one per second, with P at 0.1-0.2 s, QRS at 0.3-0.4 s and T at 0.6-0.8 s."""
    for lead in STANDARD_LEADS:
        samples, symbols = [], []
        for beat in range(10):
            for kind, start, stop in (("p", 0.1, 0.2), ("N", 0.3, 0.4), ("t", 0.6, 0.8)):
                middle = (start + stop) / 2
                samples += [round(500 * (beat + at)) for at in (start, middle, stop)]
                symbols += ["(", kind, ")"]
        wfdb.wrann("1", "atr", np.array(samples), symbols, write_dir=str(tmp_path))
        (tmp_path / "1.atr").rename(tmp_path / f"1.{lead.lower()}")
    return tmp_path / "1.hea"


def drawn(density):
    """A map on cells of 0.1 s; ``density(second, lead)``."""
    edges = np.arange(101) / 10
    weights = [[0.1 * density((i % 10) / 10, lead) for i in range(100)] for lead in STANDARD_LEADS]
    return Attribution(
        record="1", target=LBBB, method="made", probability=1.0, leads=STANDARD_LEADS,
        edges_sec=edges, weights=np.array(weights, np.float32),
        explored=np.ones((12, 100), bool), provenance=Provenance("a", "b", {}, 0, "0"),
    )  # fmt: skip


def test_annotations_are_read_by_lead_and_kind(header):
    marks = marked_waves(header)
    assert marks.span == pytest.approx((0.1, 9.8))
    assert marks.waves["qrs"]["V3"][2] == pytest.approx((2.3, 2.4))
    assert {k: len(leads["I"]) for k, leads in marks.waves.items()} == {"p": 10, "qrs": 10, "t": 10}
    header.with_suffix(".v6").unlink()
    with pytest.raises(RecordError, match="V6"):
        marked_waves(header)


def test_evidence_on_a_wave_is_distinguished_from_evidence_elsewhere(header):
    marks, row = marked_waves(header), find_diagnosis(LBBB)
    strict = set(row.strict_leads)
    right = _scores(drawn(lambda t, lead: float(t == 0.3 and lead in strict)), marks, row)
    late = _scores(drawn(lambda t, lead: float(t in (0.6, 0.7))), marks, row)
    level = _scores(drawn(lambda t, lead: 1.0), marks, row)
    assert right["attauc"] == 1.0
    assert right["qrs"] == pytest.approx(9.7, abs=0.2), "a tenth of the annotated time"
    assert right["t"] == right["p"] == right["between"] == 0
    assert late["t"] > 4
    assert late["attauc"] < 0.5 == level["attauc"]
    assert all(level[kind] == pytest.approx(1) for kind in ("p", "qrs", "t", "between"))


def test_no_other_model_than_that_of_the_benchmark_explains_a_record(header, tmp_path):
    unit = Unit(header, LBBB, find_diagnosis(LBBB))
    with pytest.raises(ModelError, match="is not the model that the work began with"):
        _evaluated(unit, write_model(tmp_path / "model"), "0" * 64, ("occlusion",))


def test_a_mean_of_fewer_records_states_their_number():
    scores = pd.DataFrame(
        {"diagnosis": "all", "method": ["a"] * 10 + ["b"] * 2, "m": [0.2, 0.4] * 5 + [0.5, np.nan]}
    )
    table = summary_table(scores, ("diagnosis", "method"), ["m"])
    assert table["m_n"].tolist() == [1, 10]
    rows = markdown(table, ("diagnosis", "method"), ["m"]).splitlines()[2:]
    assert rows[0] == "| all | b | 0.500, n = 1 | 2 |"
    assert rows[1].startswith("| all | a | 0.300 (")
    assert rows[1].endswith(") | 10 |")


@pytest.mark.data
def test_the_benchmark_on_real_records(data_dir: Path):
    scores, summary = ludb_benchmark(
        data_dir / "ludb", default_model(), ["grad_cam"], per_diagnosis=1
    )
    assert set(scores["method"]) == {"grad_cam", "random", "lead_shuffled", "empty", "oracle"}
    pooled = summary[summary["diagnosis"] == "all"].set_index("method")
    assert (pooled["n"].drop("oracle") == scores["record"].nunique()).all()
    seen = scores[scores["method"] != "empty"]
    assert np.isfinite(seen[["p", "qrs", "t", "between"]].to_numpy()).mean() > 0.9
    attauc = scores.pivot_table(index=["record", "diagnosis"], columns="method", values="attauc")
    assert (attauc["empty"] == 0.5).all()
    assert (attauc["oracle"] >= attauc[["grad_cam", "random", "lead_shuffled"]].max(axis=1)).all()
