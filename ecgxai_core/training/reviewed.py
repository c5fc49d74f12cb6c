"""Fine-tuning a model on labels that readers gave: which they are, and what is learned from them.

A reader answers for one class of a record, so nothing is known of its other classes. There the
model's own earlier probabilities are the targets, which keeps what it knew (Li & Hoiem, Learning
without Forgetting, IEEE TPAMI 40:2935, 2018).
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.diagnoses import aliases, find_diagnosis
from ecgxai_core.errors import RunError
from ecgxai_core.store.csv_cells import read_csv
from ecgxai_core.training.arrays import EcgArrays
from ecgxai_core.types import Float32Array, IntArray, canonical_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reviews", "Start", "initial", "read_reviews", "relabelled", "soft_targets"]

log = logging.getLogger(__name__)

Reviews = Mapping[str, Mapping[str, bool]]
"""Record name -> class -> whether readers say that it is present."""

_COLUMNS = ("record", "record_digest", "target", "present", "diagnosis", "withdrawn")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a fine-tuning starts.

    Attributes
    ----------
    weights
        Of the model, in the order of its layers.
    classes
        Its outputs, which stay.
    digest
        SHA-256 of its file.
    reviews
        What readers said; ``None`` = all records of the training folds count, with their labels.
    """

    weights: tuple[npt.NDArray[Any], ...]
    classes: tuple[str, ...]
    digest: str
    reviews: Reviews | None = None

    def key(self) -> dict[str, Any]:
        """What a run depends on."""
        reviews = {name: dict(said) for name, said in (self.reviews or {}).items()}
        text = canonical_json(reviews)
        return {"model": self.digest, "reviews": hashlib.sha256(text.encode()).hexdigest()}


def initial(model: Path, labels: Path | None = None) -> Start:
    """The start of a fine-tuning: a Keras model with its manifest, and the labels of readers.

    Raises
    ------
    ModelError
        The model is refused.
    RunError
        It is no Keras model, or the labels cannot be used.
    """
    from ecgxai_core.models.loading import load_classifier

    chosen = load_classifier(model)
    network = getattr(chosen, "keras_model", None)
    if network is None:
        fix = "give a .keras file of this project's zoo"
        raise RunError(model.name, "", "is no Keras model, and cannot be trained on", fix)
    reviews = read_reviews(labels, chosen.classes) if labels is not None else None
    weights = tuple(np.asarray(weight) for weight in network.get_weights())
    return Start(weights, chosen.classes, chosen.manifest.sha256 or chosen.digest, reviews)


def read_reviews(path: Path, classes: Sequence[str]) -> dict[str, dict[str, bool]]:
    """Labels in a table that ``ecgxai feedback export`` wrote.

    ``present`` is what a reader said of the target; a diagnosis of their own that names another
    class says that this one is present. Where several answers name one class of a record, the
    majority counts, and a tie counts for nothing. Withdrawn answers, unsure ones, records without a
    name (uploads that were not kept) and classes that the model does not have are left out.

    Raises
    ------
    RunError
        The file is no such table, has no usable label, or one name stands for two records.
    """
    fix = "write it with: ecgxai feedback export --out feedback.csv"
    try:
        table = read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise RunError(path.name, "", f"cannot be read ({type(error).__name__})", fix) from None
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing:
        raise RunError(path.name, ", ".join(missing), "no such column", fix)
    kept = table[(table["withdrawn"] != "True") & (table["record"] != "")]
    several = kept.groupby("record")["record_digest"].nunique()
    if (several > 1).any():
        name, problem = str(several.idxmax()), "stands for more than one record"
        raise RunError(path.name, name, problem, "keep the rows of one data set")
    found = _majority(kept, classes)
    if not found:
        raise RunError(path.name, "present", "has no label of a class of the model", fix)
    return found


def _majority(kept: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, bool]]:
    votes: dict[tuple[str, str], int] = defaultdict(int)
    columns = (kept[name] for name in ("record", "target", "present", "diagnosis"))
    for record, target, present, own in zip(*columns, strict=True):
        code = _class_of(target, classes)
        if code and present in {"True", "False"}:
            votes[record, code] += 1 if present == "True" else -1
        named = _class_of(own, classes)
        if named and named != code:
            votes[record, named] += 1
    found: dict[str, dict[str, bool]] = {}
    for (record, code), vote in sorted(votes.items()):
        if vote:
            found.setdefault(record, {})[code] = vote > 0
    return found


def _class_of(text: str, classes: Sequence[str]) -> str:
    """The class that a code, alias or abbreviation names; empty where there is none."""
    if text in classes:
        return text
    row = find_diagnosis(text) if text else None
    codes = aliases(row.code) if row is not None else ()
    return next((code for code in codes if code in classes), "")


def relabelled(arrays: EcgArrays, reviews: Reviews) -> EcgArrays:
    """The data set with what readers said in place of its own labels.

    Raises
    ------
    RunError
        None of the reviewed records is in the data set.
    """
    unknown = sorted(set(reviews) - set(arrays.names))
    if len(unknown) == len(reviews):
        problem = f"{len(unknown)} reviewed records are not in the data set"
        raise RunError("labels", unknown[0], problem, "give the data set that was reviewed")
    if unknown:
        log.warning("%d reviewed records are not in the data set: %s", len(unknown), unknown[0])
    labels = []
    for name, own in zip(arrays.names, arrays.labels, strict=True):
        said = reviews.get(name, {})
        kept = [code for code in own if said.get(code, True)]
        more = [code for code, present in said.items() if present and code not in own]
        labels.append((*kept, *more))
    return replace(arrays, labels=tuple(labels))


def soft_targets(
    arrays: EcgArrays,
    rows: IntArray,
    classes: Sequence[str],
    reviews: Reviews,
    probabilities: Float32Array,
) -> Float32Array:
    """``float32[record, class]``: what readers said, and elsewhere the given probabilities."""
    targets = np.array(probabilities, np.float32)
    for place, row in enumerate(rows):
        for code, present in reviews[arrays.names[row]].items():
            targets[place, list(classes).index(code)] = present
    return targets
