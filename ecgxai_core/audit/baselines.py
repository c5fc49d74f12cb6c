"""Predictions of a model on the baselines themselves, none of which is neutral."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.games.baselines import BASELINES, masked_input
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.signal.segments import segment
from ecgxai_core.types import Float32Array, ModelInput, Segmentation

__all__ = ["INTACT", "audit_baselines", "baseline_table"]

INTACT = "intact"
_WINDOW_SEC = 0.5
"""Segments of the ``linear`` baseline; the others do not depend on the segmentation."""


def baseline_table(
    paths: Sequence[Path],
    classifier: Classifier,
    kinds: Sequence[str] = tuple(BASELINES),
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Probability of every class on fully masked records, by baseline.

    Returns
    -------
    One row per record, baseline (``intact`` is the record itself) and class, with columns
    ``record``, ``baseline``, ``code``, ``name``, ``probability``.
    """
    files = find_records(paths)
    names = {code: getattr(find_diagnosis(code), "name", code) for code in classifier.classes}
    rows: list[tuple[str, str, str, str, float]] = []
    for index, path in enumerate(files):
        progress(index, len(files), path.stem)
        record = read_record(path)
        model_input = prepare(record, classifier.manifest)
        cut = segment(model_input, ExplainParams(), _WINDOW_SEC)
        for kind, values in audit_baselines(classifier, model_input, cut, kinds).items():
            rows += [
                (record.name, kind, code, names[code], float(value))
                for code, value in zip(classifier.classes, values, strict=True)
            ]
    return pd.DataFrame(rows, columns=["record", "baseline", "code", "name", "probability"])


def audit_baselines(
    classifier: Classifier,
    model_input: ModelInput,
    segmentation: Segmentation,
    kinds: Sequence[str] = tuple(BASELINES),
) -> dict[str, Float32Array]:
    """Probability of every class on the record with all cells masked, for each baseline.

    A game explains the difference between the intact record and the masked one. If the model
    predicts a diagnosis with high probability on the baseline, little is left to explain for it,
    and maps of other diagnoses contain evidence against them.

    Parameters
    ----------
    classifier, model_input, segmentation
        The model, its input, and the segmentation; samples outside all segments (padding) are not
        masked.
    kinds
        Names of baselines.

    Returns
    -------
    ``float32[class]`` by baseline; the first entry, :data:`INTACT`, is the record itself.
    """
    signals = [masked_input(kind, model_input, segmentation) for kind in kinds]
    probabilities = classifier.predict(np.stack([model_input.values, *signals]))
    return dict(zip((INTACT, *kinds), probabilities, strict=True))
