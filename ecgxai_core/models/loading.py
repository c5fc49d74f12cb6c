"""Load a classifier from a file that nobody vouches for.

In this order, and each step only if those before it passed: manifest, SHA-256, container, weights,
configuration, size, fit to the manifest, Keras itself (from a private copy of what was checked),
the weights that arrived, a probe prediction.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.errors import EcgXaiError, ModelError
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.keras_runtime import import_keras, in_fresh_thread, state_unchanged
from ecgxai_core.models.manifest import Manifest, load_manifest, manifest_path
from ecgxai_core.models.model_file import ModelFile, parse_model_file, read_bytes
from ecgxai_core.models.structure import check_fit, examine
from ecgxai_core.models.weights_file import fingerprint

__all__ = ["load_classifier", "read_model"]


def load_classifier(
    path: str | os.PathLike[str], manifest: Manifest | None = None
) -> KerasClassifier:
    """Load a Keras model (``.keras``, legacy ``.h5``, or one named as the other) safely.

    Parameters
    ----------
    path
        The model file. It is read once and never written.
    manifest
        ``None`` = the JSON file beside the model.

    Raises
    ------
    ModelError
        No manifest, a manifest of another file, a model that is not a plain float32 network, or one
        that does not do what its manifest says.
    """
    name = Path(path).name
    data, manifest = read_model(path, manifest)
    file = parse_model_file(data, name, manifest.sha256)
    structure = examine(file)
    index = check_fit(structure, manifest, name)
    model = _load_checked(file)
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
        raise ModelError(
            Path(path).name,
            "sha256",
            "is not the file that the manifest describes (SHA-256 differs)",
            "use the file that belongs to the manifest, or draft a manifest for this one",
        )
    return data, manifest


def _load_checked(file: ModelFile) -> Any:
    """Let Keras load a private copy that holds only what was checked."""
    keras = import_keras()

    def work() -> Any:
        with tempfile.TemporaryDirectory(prefix="ecgxai-") as folder:
            copy = _write_copy(file, Path(folder))
            with state_unchanged(keras, file.name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what they tell is checked afterwards
                return keras.models.load_model(copy, safe_mode=True, compile=False)

    try:
        model = in_fresh_thread(work)
    except EcgXaiError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise
        raise ModelError(
            file.name,
            "model",
            f"Keras cannot load it ({type(error).__name__}: {error})",
            "save the model again with the current version of Keras",
        ) from None
    _check_weights(model, file)
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


def _check_weights(model: Any, file: ModelFile) -> None:
    """Every weight of the model is in the file: none was left at its random start."""
    arrays = (np.asarray(weight) for weight in model.weights)
    loaded = Counter(fingerprint(array) for array in arrays if array.dtype.kind == "f")
    if loaded - file.summary.arrays:
        raise ModelError(
            file.name,
            "weights",
            "some weights of the model are not in the file, so it would be partly untrained",
            "save the whole model again",
        )
