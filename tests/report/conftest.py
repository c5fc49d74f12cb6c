"""A record with a hostile name, two attributions of it, and the facts of its report."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.fusion import fuse
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.params import profile
from ecgxai_core.report.record import RecordFacts
from ecgxai_core.types import (
    STANDARD_LEADS,
    Attribution,
    Prediction,
    Provenance,
    QualityWarning,
    Record,
)
from tests.small import AF, FS, SAMPLES, SINUS, beats

HOSTILE = "</title><script>alert(1)</script>"


def attribution(record: Record, method: str, seed: int) -> Attribution:
    rng = np.random.default_rng(seed)
    explored = rng.random((12, 12)) < 0.7
    return Attribution(
        record=record.name,
        target=AF,
        method=method,
        probability=0.91,
        leads=STANDARD_LEADS,
        edges_sec=np.linspace(0, 6, 13),
        weights=rng.normal(size=(12, 12)).astype(np.float32),
        explored=explored,
        provenance=Provenance(record.digest, "m" * 64, {}, 0, "0.1.0+test"),
        diagnostics={"converged": True, "forward_passes": 12},
        warnings=record.warnings,
    )


@pytest.fixture
def record() -> Record:
    return Record(
        name=HOSTILE,
        signal=beats(80, seed=3),
        fs=FS,
        leads=STANDARD_LEADS,
        labels=(AF, "<img src=x onerror=alert(2)>"),
        warnings=(QualityWarning("flat_lead", "lead <b>V1</b> is flat", ("V1",)),),
        synthetic=True,
    )


@pytest.fixture
def facts(record: Record) -> RecordFacts:
    parts = {name: attribution(record, name, i) for i, name in enumerate(("lime", "timeshap"))}
    chosen = profile("default")
    return RecordFacts(
        record=record,
        prediction=Prediction(
            record.name, (AF, SINUS), np.array([0.91, 0.2]), record.digest, "m" * 64
        ),
        model="tiny.keras",
        manifest=Manifest(
            classes=(AF, SINUS),
            fs=float(FS),
            samples=SAMPLES,
            leads=STANDARD_LEADS,
            units="mV",
            pad="end_zero",
            crop="start",
            output="probability",
            source="<script>alert(3)</script>",
            sha256="0" * 64,
            thresholds={AF: 0.6},
            receptive_field_samples=8,
        ),
        target=AF,
        profile=chosen,
        maps={"fused": fuse(list(parts.values()), chosen.fusion), **parts},
        scores=[
            {
                "method": "lime",
                "attauc_strict": 0.8123,
                "attauc_strict_random": 0.5,
                "attauc_strict_empty": 0.5,
                "attauc_strict_ceiling": 0.95,
                "deletion_gain": float("nan"),
            }
        ],
    )
