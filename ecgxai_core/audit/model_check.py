"""Checks of a user's model before it is used: its manifest, and a trial on labelled records.

A wrong sampling rate, unit, lead order or class order gives wrong probabilities without any error.
This can only be detected on records with known diagnoses, so every model is first tried on some.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.audit.model_quality import ModelQuality, evaluate_quality
from ecgxai_core.errors import RunError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.manifest import Manifest, manifest_from_json, manifest_path, save_manifest
from ecgxai_core.pipeline.predict import data_set_labels, predict_files, with_labels
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.records.read import find_records
from ecgxai_core.store.cache import Store
from ecgxai_core.training.scores import macro
from ecgxai_core.types import content_seed

__all__ = ["Probe", "approve", "completed_manifest", "probe_model"]

MOST_RECORDS = 200
LEAST_POSITIVES = 2
_CHANCE = 0.5


@dataclass(frozen=True)
class Probe:
    """Result of a trial.

    ``problems`` are reasons why the model cannot be used as described, ``remarks`` points to check.
    ``flat_line`` are the probabilities of a flat line, which is not neutral.
    """

    manifest: Manifest
    quality: ModelQuality
    flat_line: Mapping[str, float]
    refused: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def usable(self) -> bool:
        return not self.problems


def completed_manifest(
    draft: Mapping[str, Any], answers: Mapping[str, Any], where: str
) -> Manifest:
    """A draft manifest completed with the user's answers, validated.

    ``None`` means unanswered, except for ``filter``, where it means that there is none.

    Raises
    ------
    ModelError
        A field is missing, or fields are inconsistent.
    """
    given = {n: value for n, value in answers.items() if value is not None or n == "filter"}
    values = {**draft, **given}
    return manifest_from_json(json.dumps(values).encode(), where)


def probe_model(
    model: Path,
    manifest: Manifest,
    data: Sequence[Path],
    *,
    progress: Progress = no_progress,
) -> Probe:
    """Predict up to 200 labelled records and a flat line, without writing anything.

    Raises
    ------
    ModelError
        The model is refused, or does not match its manifest.
    RunError
        No record has a label that is a class of the model.
    """
    classifier = load_classifier(model, manifest)
    files = find_records(data)
    if not files:
        raise RunError("data set", "", "contains no record", "choose another data set")
    if len(files) > MOST_RECORDS:
        # Seeded by content, so that the trial of a model on a data set is reproducible.
        rng = np.random.default_rng(content_seed("probe", [path.name for path in files]))
        files = [files[i] for i in sorted(rng.permutation(len(files))[:MOST_RECORDS])]
    found = predict_files(files, classifier, Store.disabled(), progress=progress)
    found = with_labels(found, data_set_labels(data))  # of the folders: PTB-XL and LUDB have tables
    quality = evaluate_quality(found, manifest)
    flat = np.zeros((1, manifest.samples, len(manifest.leads)), np.float32)
    answer = classifier.predict(flat)[0]
    flat_line = {code: float(p) for code, p in zip(manifest.classes, answer, strict=True)}
    problems, remarks = _verdict(quality, manifest)
    if found.failures:
        remarks.append(f"{len(found.failures)} records could not be read or do not suit the model.")
    return Probe(manifest, quality, flat_line, len(found.failures), tuple(problems), tuple(remarks))


def approve(probe: Probe, model: Path) -> Path:
    """Write the manifest beside the model, which makes the model usable.

    Raises
    ------
    RunError
        The trial found a problem, or the folder cannot be written.
    """
    if not probe.usable:
        fix = "correct the answers and try again"
        raise RunError(model.name, "trial", probe.problems[0], fix)
    path = manifest_path(model)
    save_manifest(probe.manifest, path)
    return path


def _verdict(quality: ModelQuality, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Problems that prevent the use of the model, and remarks."""
    evaluated, rows = quality.evaluated, quality.results["per_class"]
    n = len(evaluated.names)
    enough = [
        code
        for code in evaluated.classes
        if LEAST_POSITIVES <= rows[code]["positives"] <= n - LEAST_POSITIVES
    ]
    problems, remarks = [], []
    if not enough:
        problems.append(
            f"no class has at least {LEAST_POSITIVES} records with and without it, so the model "
            "cannot be evaluated"
        )
    areas = [rows[code]["auroc"] for code in enough]
    if areas and macro(areas) <= _CHANCE:
        problems.append(
            f"the mean AUROC of {len(areas)} classes is {macro(areas):.2f}, no better than chance; "
            "check class order, lead order, units, sampling rate and normalisation"
        )
    if n > 1 and bool(np.all(np.ptp(evaluated.probabilities, axis=0) < 1e-6)):
        problems.append("all records have the same probabilities; check units and normalisation")
    below = [code for code in enough if rows[code]["auroc"] < _CHANCE]
    if below and not problems:
        remarks.append(f"worse than chance for {', '.join(below)}; check these columns.")
    absent = len(manifest.classes) - len(enough)
    if absent:
        remarks.append(f"{absent} of {len(manifest.classes)} classes could not be evaluated here.")
    if quality.synthetic:
        remarks.append("The records are simulated; results on real ones may differ.")
    return problems, remarks
