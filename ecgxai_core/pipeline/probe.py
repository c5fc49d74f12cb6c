"""A model of one's own, before it may be used: its answers, a manifest, and a trial on labels.

A wrong sampling rate, unit, lead order or class order gives wrong probabilities without any error.
Only records whose diagnosis is known can show that, so a model is tried on some first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.diagnoses import find_diagnosis, terms
from ecgxai_core.errors import RunError
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.manifest import Manifest, manifest_from_json, manifest_path, save_manifest
from ecgxai_core.models.training.scores import macro
from ecgxai_core.pipeline.model_quality import ModelQuality, judge_model
from ecgxai_core.pipeline.prediction import Progress, no_progress, predict_paths
from ecgxai_core.records.read import find_records
from ecgxai_core.store.cache import Store
from ecgxai_core.types import content_seed

__all__ = ["Probe", "approve", "completed_manifest", "probe_model", "resolved_class"]

MOST_RECORDS = 200
LEAST_POSITIVES = 2
_CHANCE = 0.5


@dataclass(frozen=True)
class Probe:
    """What a trial showed.

    ``problems`` say why the model may not be used as described; ``remarks`` what to look at.
    ``flat_line`` are the probabilities of a record without any signal: a flat line is not neutral.
    """

    manifest: Manifest
    quality: ModelQuality
    flat_line: Mapping[str, float]
    refused: int
    problems: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against using the model."""
        return not self.problems


def resolved_class(text: str) -> str:
    """The code that a name, abbreviation or code of a class stands for; the text where unknown."""
    wanted = " ".join(text.split())
    row = find_diagnosis(wanted)
    if row is not None and any(term.code == wanted for term in row.terms):
        return wanted
    for term in terms():
        names = {term.name.lower(), *(short.lower() for short in term.abbreviations)}
        if wanted.lower() in names:
            return term.code
    return wanted


def completed_manifest(
    draft: Mapping[str, Any], answers: Mapping[str, Any], where: str
) -> Manifest:
    """A draft with a person's answers in it, checked; ``None`` is no answer, but no filter is one.

    Raises
    ------
    ModelError
        Something is still open, or does not fit together.
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
    """Predict up to 200 labelled records and a flat line; nothing is written.

    Raises
    ------
    ModelError
        The model is refused, or does not fit its manifest.
    RunError
        No record has a label that the model knows.
    """
    classifier = load_classifier(model, manifest)
    files = find_records(data)
    if not files:
        raise RunError("data set", "", "holds no record", "choose another data set")
    if len(files) > MOST_RECORDS:
        # Chosen by content, so that the same model on the same data set has the same trial.
        rng = np.random.default_rng(content_seed("probe", [path.name for path in files]))
        files = [files[i] for i in sorted(rng.permutation(len(files))[:MOST_RECORDS])]
    found = predict_paths(files, classifier, Store.disabled(), progress=progress)
    quality = judge_model(found, manifest)
    flat = np.zeros((1, manifest.samples, len(manifest.leads)), np.float32)
    answer = classifier.predict(flat)[0]
    flat_line = {code: float(p) for code, p in zip(manifest.classes, answer, strict=True)}
    problems, remarks = _verdict(quality, manifest)
    if found.failures:
        remarks.append(f"{len(found.failures)} records could not be read or do not fit the model.")
    return Probe(manifest, quality, flat_line, len(found.failures), tuple(problems), tuple(remarks))


def approve(probe: Probe, model: Path) -> Path:
    """Write the manifest beside the model, so that it may be used from now on.

    Raises
    ------
    RunError
        The trial speaks against it, or the folder cannot be written.
    """
    if not probe.usable:
        raise RunError(model.name, "trial", probe.problems[0], "correct the answers, try again")
    path = manifest_path(model)
    try:
        save_manifest(probe.manifest, path)
    except OSError as error:
        raise RunError(
            path.name, "", f"cannot be written ({error.strerror})", "save the text there yourself"
        ) from None
    return path


def _verdict(quality: ModelQuality, manifest: Manifest) -> tuple[list[str], list[str]]:
    """What speaks against the model, and what only deserves a look."""
    judged, rows = quality.judged, quality.results["per_class"]
    n = len(judged.names)
    enough = [
        code
        for code in judged.classes
        if LEAST_POSITIVES <= rows[code]["positives"] <= n - LEAST_POSITIVES
    ]
    problems, remarks = [], []
    if not enough:
        problems.append(
            f"no class has at least {LEAST_POSITIVES} records with and without it, so nothing can "
            "be judged"
        )
    areas = [rows[code]["auroc"] for code in enough]
    if areas and macro(areas) <= _CHANCE:
        problems.append(
            f"over {len(areas)} classes the mean AUROC is {macro(areas):.2f}: no better than "
            "guessing; check class order, lead order, units, rate and normalisation"
        )
    if n > 1 and bool(np.all(np.ptp(judged.probabilities, axis=0) < 1e-6)):
        problems.append("every record gets the same probabilities; check units and normalisation")
    below = [code for code in enough if rows[code]["auroc"] < _CHANCE]
    if below and not problems:
        remarks.append(f"worse than guessing for {', '.join(below)}; are these columns right?")
    absent = len(manifest.classes) - len(enough)
    if absent:
        remarks.append(f"{absent} of {len(manifest.classes)} classes could not be judged here.")
    if quality.synthetic:
        remarks.append("The records are simulated; real ones may say something else.")
    return problems, remarks
