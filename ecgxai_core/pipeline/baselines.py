"""What a model says of each baseline, over records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.games.baseline_audit import audit_baselines
from ecgxai_core.games.baselines import BASELINES
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline.prediction import Progress, no_progress
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.segments import segment

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["baseline_table"]

_WINDOW_SEC = 0.5
"""Segments of the ``linear`` baseline; the others do not know the segmentation."""


def baseline_table(
    paths: Sequence[Path],
    classifier: Classifier,
    kinds: Sequence[str] = tuple(BASELINES),
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Probability of every class on records with everything masked, by baseline.

    Returns
    -------
    One row a record, baseline (``intact`` is the record itself) and class: ``record``,
    ``baseline``, ``code``, ``name``, ``probability``.
    """
    import pandas as pd

    files = find_records(paths)
    names = {code: getattr(find_diagnosis(code), "name", code) for code in classifier.classes}
    rows: list[dict[str, Any]] = []
    for index, path in enumerate(files):
        progress(index, len(files), path.stem)
        record = read_record(path)
        model_input = prepare(record, classifier.manifest)
        cut = segment(model_input, ExplainParams(), _WINDOW_SEC)
        for kind, values in audit_baselines(classifier, model_input, cut, kinds).items():
            rows += [
                {
                    "record": record.name,
                    "baseline": kind,
                    "code": code,
                    "name": names[code],
                    "probability": float(value),
                }
                for code, value in zip(classifier.classes, values, strict=True)
            ]
    columns = ["record", "baseline", "code", "name", "probability"]
    return pd.DataFrame(rows, columns=columns)
