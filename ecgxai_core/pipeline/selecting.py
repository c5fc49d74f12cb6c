"""From predictions to ``sel_df`` and the units of work of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecgxai_core.errors import RunError
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.prediction import Failure, Predictions, RecordInfo
from ecgxai_core.pipeline.units import Unit
from ecgxai_core.selection import Candidate, Catalogue, select

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Selected", "select_records"]


@dataclass(frozen=True, slots=True)
class Selected:
    """``sel_df`` and its rows as units, in the same order."""

    frame: pd.DataFrame
    units: tuple[Unit, ...]


def select_records(
    predictions: Predictions, params: SelectionParams, targets: Sequence[str] | None = None
) -> Selected:
    """Select records (see :func:`ecgxai_core.selection.select`).

    Raises
    ------
    RunError
        No record could be read, or none fits; the error says why or what to loosen.
    """
    if not predictions.records:
        raise _nothing_readable(predictions.failures)
    catalogue = Catalogue(
        tuple(
            Candidate(
                info.name,
                info.digest,
                info.duration_sec,
                info.labels,
                info.synthetic,
                info.warnings,
            )
            for info in predictions.records
        ),
        predictions.classes,
        np.stack([value.probabilities for value in predictions.values]),
    )
    frame = select(catalogue, params, targets)
    if frame.empty:
        raise RunError(
            "selection",
            "sel_df",
            f"none of {len(predictions.records)} records fits: they need a positive label for a "
            f"target and at most {params.max_duration_sec:g} s (or, without labels, a probability "
            f"of {params.min_prob:g})",
            "choose other targets, or loosen min_prob or max_duration_sec",
        )
    columns = (frame["record_index"], frame["target"], frame["model_class"])
    units = tuple(
        _unit(predictions.records[int(index)], str(diagnosis), str(model_class))
        for index, diagnosis, model_class in zip(*columns, strict=True)
    )
    return Selected(frame, units)


def _nothing_readable(failures: Sequence[Failure]) -> RunError:
    """What stopped the first record, in the words of its reader."""
    first = failures[0].reason if failures else "there are none"
    return RunError(
        "selection", "records", f"none of {len(failures)} can be used; the first: {first}",
        "see 'ecgxai predict' for all of them",
    )  # fmt: skip


def _unit(info: RecordInfo, diagnosis: str, model_class: str) -> Unit:
    return Unit(
        id=f"{model_class}_{_file_name(info.name)}_{info.digest[:8]}",
        record=info.name,
        path=info.path,
        digest=info.digest,
        diagnosis=diagnosis,
        target=model_class,
    )


def _file_name(record: str) -> str:
    """A record name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9.+-]", "-", record)[:60]
