"""Load a classifier from an untrusted file, or draft its manifest.

In this order, and each step only if those before it passed: manifest, SHA-256, container, weights,
configuration, size, fit to the manifest, Keras itself (from a private copy of what was checked),
the weights that arrived, a probe prediction.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import isolated
from ecgxai_core.models.local_network import LocalNetwork
from ecgxai_core.models.locality import NotLocal
from ecgxai_core.models.manifest import (
    FILL_IN,
    Manifest,
    load_manifest,
    manifest_path,
    model_digest,
)
from ecgxai_core.models.plain import plain
from ecgxai_core.models.protocol import Masking
from ecgxai_core.models.safe.model_file import ModelFile, parse_model_file, read_bytes
from ecgxai_core.models.safe.structure import Structure, check_fit, examine
from ecgxai_core.models.safe.weights_file import fingerprint
from ecgxai_core.models.training_range import load_range, unlike_training
from ecgxai_core.models.windows import windowed
from ecgxai_core.types import STANDARD_LEADS, BoolArray, Float32Array

if TYPE_CHECKING:
    from ecgxai_core.models.onnx.runtime import OnnxClassifier

__all__ = [
    "LazyClassifier",
    "draft_manifest",
    "kept_classifier",
    "load_classifier",
    "load_exported",
    "read_model",
]


def load_classifier(
    path: str | os.PathLike[str], manifest: Manifest | None = None
) -> KerasClassifier | OnnxClassifier:
    """Load a Keras model (``.keras``, legacy ``.h5``, or one named as the other) or ONNX file.

    Parameters
    ----------
    path
        The model file. It is read once and never written.
    manifest
        ``None`` = the JSON file beside the model.

    Raises
    ------
    ModelError
        No manifest, a manifest of another file, a model that is not a plain float32 network, one
        that does not do what its manifest says, or a training range of another model.
    """
    name = Path(path).name
    data, manifest = read_model(path, manifest)
    load = load_exported if is_onnx(name) else _load_keras
    classifier = load(data, manifest, name)
    if isinstance(classifier, KerasClassifier):
        classifier.training_range = load_range(path, classifier.digest)
    return classifier


def load_exported(data: bytes, manifest: Manifest, name: str) -> KerasClassifier | OnnxClassifier:
    """The classifier of an ONNX file's bytes; see :func:`load_classifier`."""
    from ecgxai_core.models.onnx.load import load_onnx

    return load_onnx(data, manifest, name, _load_keras)


def is_onnx(name: str) -> bool:
    """Whether a file is named as an ONNX model."""
    return name.lower().endswith(".onnx")


def _load_keras(data: bytes, manifest: Manifest, name: str) -> KerasClassifier:
    file = parse_model_file(data, name, manifest.sha256)
    structure = examine(file, manifest.network_samples)
    index = check_fit(structure, manifest, name)
    model = plain(_load_checked(file), name, structure.leads_first)
    model, structure, index = windowed(model, manifest, structure, index, name)
    return KerasClassifier(model, manifest, structure, index, name)


def read_model(
    path: str | os.PathLike[str], manifest: Manifest | None = None
) -> tuple[bytes, Manifest]:
    """The bytes of a model file and the manifest that describes just this file.

    Raises
    ------
    ModelError
        The file or its manifest cannot be read, or they do not belong together.
    """
    data, sha256 = read_bytes(path)
    if manifest is None:
        manifest = load_manifest(manifest_path(path))
    if manifest.sha256 != sha256:
        problem = "is not the file that the manifest describes (SHA-256 differs)"
        fix = "use the file that belongs to the manifest, or draft a manifest for this one"
        raise ModelError(Path(path).name, "sha256", problem, fix)
    return data, manifest


def _load_checked(file: ModelFile) -> Any:
    """Let Keras load a private copy that holds only what was checked."""

    def work(keras: Any) -> Any:
        with tempfile.TemporaryDirectory(prefix="ecgxai-") as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is checked afterwards
            copy = _write_copy(file, Path(folder))
            return keras.models.load_model(copy, safe_mode=True, compile=False)

    model = isolated(file.name, "model", "load", work)
    arrays = (np.asarray(weight) for weight in model.weights)
    loaded = Counter(fingerprint(array) for array in arrays if array.dtype.kind == "f")
    if loaded - file.arrays:
        problem = "some weights of the model are not in the file, so it would be partly untrained"
        raise ModelError(file.name, "weights", problem, "save the whole model again")
    model.trainable = False
    return model


def _write_copy(file: ModelFile, folder: Path) -> Path:
    """The checked model under a name that tells its format."""
    text = json.dumps(_from_zeros(file.config))
    if file.kind == "h5":
        import h5py

        copy = folder / "model.h5"
        copy.write_bytes(file.weights)
        with h5py.File(copy, "r+") as h5:
            h5.attrs["model_config"] = text
        return copy
    copy = folder / "model.keras"
    with zipfile.ZipFile(copy, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", file.weights)
    return copy


def _from_zeros(value: Any) -> Any:
    """A configuration whose weights start from zero.

    They are overwritten by those of the file, and some starts (orthogonal) take minutes.
    """
    if isinstance(value, dict):
        return {
            key: "zeros" if key.endswith("_initializer") and part is not None else _from_zeros(part)
            for key, part in value.items()
        }
    return [_from_zeros(part) for part in value] if isinstance(value, list) else value


class LazyClassifier:
    """The classifier of a model file; see :class:`ecgxai_core.models.protocol.Classifier`.

    The manifest and the digest are checked at once, so a wrong file is refused before any work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _, self._manifest = read_model(path)
        self._digest = model_digest(self._manifest)
        found = load_range(path, self._digest)
        self.range_digest = found.digest if found is not None else ""
        self._loaded: KerasClassifier | OnnxClassifier | None = None
        self._lock = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """What the model expects and returns."""
        return self._manifest

    @property
    def digest(self) -> str:
        """SHA-256 over the model file and the manifest."""
        return self._digest

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes of the output columns."""
        return self._manifest.classes

    def loaded(self) -> KerasClassifier | OnnxClassifier:
        """The classifier itself, for methods that look inside; loads the network if need be."""
        with self._lock:
            if self._loaded is None:
                self._loaded = load_classifier(self.path, self._manifest)
        return self._loaded

    def predict(self, values: Float32Array) -> Float32Array:
        """Probabilities ``float32[n, class]``; loads the network at the first call."""
        return self.loaded().predict(values)

    def predict_masked(self, masking: Masking, keep: BoolArray) -> Float32Array:
        """See :meth:`ecgxai_core.models.keras_classifier.KerasClassifier.predict_masked`."""
        return self.loaded().predict_masked(masking, keep)

    def unlike_training(self, values: Float32Array) -> BoolArray:
        """See :meth:`ecgxai_core.models.keras_classifier.KerasClassifier.unlike_training`."""
        if not self.range_digest:
            return np.zeros(len(values), np.bool_)
        return unlike_training(self.loaded(), values)

    def local_part(self) -> LocalNetwork | NotLocal:
        """See :meth:`ecgxai_core.models.keras_classifier.KerasClassifier.local_part`."""
        return self.loaded().local_part()


_kept: dict[Path, LazyClassifier] = {}


def kept_classifier(path: Path, digest: str) -> LazyClassifier:
    """The model that a job is for; a worker keeps it from job to job.

    Parameters
    ----------
    path
        The model file, which may have been replaced since the last job, and on a worker of another
        machine may be another one.
    digest
        That of the model that the job is for.

    Raises
    ------
    ModelError
        The file is not that model, or is refused.
    """
    found = _kept.get(path)
    if found is None or found.digest != digest:
        found = _kept[path] = LazyClassifier(path)
    if found.digest != digest:
        problem = "is not the model that the work began with (the digest differs)"
        fix = "put that model and its manifest back, on every machine, or begin anew"
        raise ModelError(path.name, "digest", problem, fix)
    return found


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
    if is_onnx(name):
        from ecgxai_core.models.onnx.load import examine_onnx

        structure = examine_onnx(data, name)
    else:
        structure = examine(parse_model_file(data, name, sha256))
    samples, n_leads = _input(structure, name)
    outputs = [output for output in structure.outputs if len(output.shape) == 2]
    n_classes = outputs[0].shape[1] if len(outputs) == 1 else None
    activation = outputs[0].activation if len(outputs) == 1 else None
    kinds = {"sigmoid": "probability", "softmax": "probability"}
    every_lead = ", ".join(STANDARD_LEADS)
    known: dict[str, Any] = {
        "classes": [
            _ask(f"SNOMED-CT code or name of output column {i + 1}") for i in range(n_classes or 0)
        ]
        or [_ask("SNOMED-CT codes or names of the output columns, in their order")],
        "fs": _ask("sampling rate of the training data, Hz"),
        "samples": samples if samples is not None else _ask("length of the input, samples"),
        "leads": [_ask(f"name of lead {i + 1} ({every_lead})") for i in range(n_leads)],
        "units": _ask("'mV', 'uV' or 'adc' (raw counts)"),
        "filter": _ask("null, or kind (bandpass, highpass, lowpass), low, high (Hz) and order"),
        "normalisation": {"kind": _ask("none, per_lead, per_record, or given with mean and scale")},
        "pad": _ask("shorter records: 'end_zero', 'start_zero' or 'center_zero'"),
        "crop": _ask("longer records: 'start', 'center' or 'end'"),
        "output": kinds.get(activation or "", _ask(_OUTPUTS)),
        "temperature": 1.0,
        "source": _ask("who made it, on which data, licence, citation"),
        "sha256": sha256,
    }
    if len(structure.outputs) > 1:
        names = ", ".join(output.name for output in structure.outputs)
        known["outputs"] = {"probability": _ask(f"which output holds the classes: {names}")}
    if structure.receptive_field is not None:
        known["receptive_field_samples"] = structure.receptive_field
    return known


_OUTPUTS = (
    "'logit' (each class by a sigmoid of its own), 'softmax' (logits of classes that exclude each "
    "other), or 'probability'"
)


def _ask(question: str) -> str:
    return f"{FILL_IN}: {question}"


def _input(structure: Structure, name: str) -> tuple[int | None, int]:
    """Samples and leads of the single input."""
    shape = structure.inputs[0]
    if len(structure.inputs) != 1 or len(shape) != 3 or shape[2] is None:
        problem = f"has {len(structure.inputs)} inputs, the first of shape {list(shape[1:])}"
        fix = "only models of one input (samples, leads) can be used"
        raise ModelError(name, "input", problem, fix)
    if shape[2] > len(STANDARD_LEADS):
        problem = f"has shape ({shape[1]}, {shape[2]}), whose last axis cannot be leads"
        fix = f"only models of one to {len(STANDARD_LEADS)} leads can be used"
        raise ModelError(name, "input", problem, fix)
    return shape[1], shape[2]
