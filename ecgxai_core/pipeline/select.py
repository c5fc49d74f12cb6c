"""From predictions to ``sel_df`` and the units of work of a run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ecgxai_core.diagnoses import is_free_name
from ecgxai_core.errors import RunError
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.pipeline.run.units import Unit
from ecgxai_core.pipeline.sel_df import SEL_COLUMNS, Choice, select, select_again

__all__ = ["Selected", "select_chosen", "select_records"]

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Selected:
    """``sel_df`` and its rows as units, in the same order."""

    frame: pd.DataFrame
    units: tuple[Unit, ...]

    @classmethod
    def nothing(cls) -> Selected:
        """A shard of which no record is selected."""
        return cls(pd.DataFrame(columns=list(SEL_COLUMNS)), ())


def select_records(
    predictions: Predictions,
    params: SelectionParams,
    targets: Sequence[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Selected:
    """Select records (see :func:`ecgxai_core.pipeline.sel_df.select`).

    Raises
    ------
    RunError
        No record could be read, or none fits; the error says why or what to loosen.
    """
    _refuse_unreadable(predictions)
    frame = select(predictions, params, targets, thresholds)
    if frame.empty:
        raise RunError(
            "selection",
            "sel_df",
            f"none of {len(predictions.records)} records fits: they need a positive label for a "
            f"target and at most {params.max_duration_sec:g} s (or, without labels, a probability "
            f"of {params.min_prob:g})",
            "choose other targets, or loosen min_prob or max_duration_sec",
        )
    return _selected(predictions, frame)


def select_chosen(predictions: Predictions, choices: Sequence[Choice]) -> Selected:
    """The records and targets of a selection that was made before (a selection file).

    Records are found by their content, so that files may have moved; everything but rank and
    status is as it is now.

    Raises
    ------
    RunError
        Records are missing or have changed; the error names them.
    DiagnosisError
        A target that the model does not output.
    """
    _refuse_unreadable(predictions)
    places: dict[str, dict[str, int]] = {}
    for index, info in reversed([*enumerate(predictions.records)]):
        places.setdefault(info.digest, {})[info.name] = index
    lost = [choice.record for choice in choices if choice.digest not in places]
    if lost:
        raise _not_as_selected(dict.fromkeys(lost), {info.name for info in predictions.records})
    found = []
    for choice in choices:
        named = places[choice.digest]
        found.append((choice, named.get(choice.record, min(named.values()))))
    return _selected(predictions, select_again(predictions, found))


def _not_as_selected(lost: Iterable[str], there: Collection[str]) -> RunError:
    """Records that are not there, or not as they were; the error has room for some names."""
    changed = [name for name in lost if name in there]
    missing = [name for name in lost if name not in there]
    said = [
        f"{', '.join(names[:_MOST_NAMES])}{', ...' if len(names) > _MOST_NAMES else ''} ({why})"
        for names, why in (
            (missing, f"{len(missing)} missing or unreadable"),
            (changed, f"{len(changed)} changed since"),
        )
        if names
    ]
    return RunError(
        "selection", "--selection", f"records are not as selected: {'; '.join(said)}",
        "give --data the folder they were selected from, or select again",
    )  # fmt: skip


def _selected(predictions: Predictions, frame: pd.DataFrame) -> Selected:
    columns = (frame["record_index"], frame["target"], frame["model_class"])
    units = tuple(
        _unit(predictions.records[int(index)], str(diagnosis), str(model_class))
        for index, diagnosis, model_class in zip(*columns, strict=True)
    )
    return Selected(frame, units)


def _refuse_unreadable(predictions: Predictions) -> None:
    """Where no record could be read, say what stopped the first, in the words of its reader."""
    if not predictions.records:
        failed = predictions.failures
        first = failed[0].reason if failed else "there are none"
        problem = f"none of {len(failed)} can be used; the first: {first}"
        raise RunError("selection", "records", problem, "see 'ecgxai predict' for all of them")


def _unit(info: RecordInfo, diagnosis: str, model_class: str) -> Unit:
    return Unit(
        id=f"{_class_name(model_class)}_{_file_name(info.name)}_{info.digest[:8]}",
        record=info.name,
        path=info.path,
        digest=info.digest,
        diagnosis=diagnosis,
        target=model_class,
    )


def _class_name(model_class: str) -> str:
    """A class as part of a file name; one that only the model names gets a digest beside it, so
    that no two classes share a file."""
    if not is_free_name(model_class):
        return model_class
    digest = hashlib.sha256(model_class.encode()).hexdigest()
    return f"{_file_name(model_class)[:40]}-{digest[:8]}"


def _file_name(record: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]", "-", record)[:60]
