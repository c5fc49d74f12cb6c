"""A first manifest for a user's own model: what the file says, and questions for the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ecgxai_core.errors import ModelError
from ecgxai_core.models.manifest import FILL_IN, Manifest
from ecgxai_core.models.model_file import parse_model_file, read_bytes
from ecgxai_core.models.structure import Output, Structure, examine
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["draft_manifest"]


def draft_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Draft the manifest of a model file.

    Samples, the number of leads and of classes, the kind of output and the SHA-256 come from the
    file. What the file cannot say (rate, units, lead order, classes, normalisation, ...) reads
    ``"FILL IN: ..."`` with the question, and such a manifest is refused until all are answered:
    a wrong guess there would give wrong probabilities without any error.

    Returns
    -------
    JSON-able dict in the order of the manifest's fields.

    Raises
    ------
    ModelError
        The model itself would be refused.
    """
    name = Path(path).name
    data, sha256 = read_bytes(path)
    file = parse_model_file(data, name, sha256)
    structure = examine(file)
    samples, n_leads = _input(structure, name)
    outputs = [output for output in structure.outputs if len(output.shape) == 2]
    known: dict[str, Any] = {
        "classes": _classes(outputs[0] if len(outputs) == 1 else None),
        "fs": _ask("sampling rate of the training data, Hz"),
        "samples": samples if samples is not None else _ask("length of the input, samples"),
        "leads": _leads(n_leads),
        "units": _ask("'mV', 'uV' or 'adc' (raw counts)"),
        "filter": _ask("null, or kind (bandpass, highpass, lowpass), low, high (Hz) and order"),
        "normalisation": {"kind": _ask("none, per_lead, per_record, or given with mean and scale")},
        "pad": _ask("shorter records: 'end_zero', 'start_zero' or 'center_zero'"),
        "crop": _ask("longer records: 'start', 'center' or 'end'"),
        "output": _output(outputs[0] if len(outputs) == 1 else None),
        "temperature": 1.0,
        "source": _ask("who made it, on which data, licence, citation"),
        "sha256": sha256,
    }
    if len(structure.outputs) > 1:
        names = ", ".join(output.name for output in structure.outputs)
        known["outputs"] = {"probability": _ask(f"which output holds the classes: {names}")}
    if structure.receptive_field is not None:
        known["receptive_field_samples"] = structure.receptive_field
    assert set(known) <= set(Manifest.model_fields)
    return known


def _ask(question: str) -> str:
    return f"{FILL_IN}: {question}"


def _input(structure: Structure, name: str) -> tuple[int | None, int]:
    """Samples and leads of the single input."""
    shape = structure.inputs[0]
    if len(structure.inputs) != 1 or len(shape) != 3 or shape[2] is None:
        raise ModelError(
            name,
            "input",
            f"has {len(structure.inputs)} inputs, the first of shape {list(shape[1:])}",
            "only models of one input (samples, leads) can be used",
        )
    if shape[2] > len(STANDARD_LEADS):
        raise ModelError(
            name,
            "input",
            f"has shape ({shape[1]}, {shape[2]}), whose last axis cannot be leads",
            "put keras.layers.Permute((2, 1)) before it, so that leads come last",
        )
    return shape[1], shape[2]


def _leads(n_leads: int) -> list[str]:
    return [_ask(f"name of lead {i + 1} ({', '.join(STANDARD_LEADS)})") for i in range(n_leads)]


def _classes(output: Output | None) -> list[str]:
    n = output.shape[1] if output is not None else None
    if n is None:
        return [_ask("SNOMED-CT codes of the output columns, in their order")]
    return [_ask(f"SNOMED-CT code of output column {i + 1}") for i in range(n)]


def _output(output: Output | None) -> str:
    activation = output.activation if output is not None else None
    if activation in {"sigmoid", "softmax"}:
        return "probability"
    return "logit" if activation == "linear" else _ask("'probability' or 'logit'")
