"""Read and check a model file without running any of it: container, configuration, weights.

Two containers are known by their first bytes, whatever the file is called: the Keras 3 zip
(``config.json``, ``metadata.json``, ``model.weights.h5``) and the legacy HDF5 file. Everything is
read into memory once, so that what was checked is what is loaded.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ecgxai_core.errors import ModelError
from ecgxai_core.models.safe.config_check import check_config
from ecgxai_core.models.safe.keras2 import as_keras_3, refuse_old_hard_sigmoid
from ecgxai_core.models.safe.weights_file import Fingerprint, open_h5, read_weights, rewritten
from ecgxai_core.records.files import open_regular, read_members
from ecgxai_core.settings import settings
from ecgxai_core.store.envelope import strict_json

__all__ = ["ModelFile", "parse_model_file", "read_bytes", "read_model_file"]

MAX_CONFIG_BYTES = 8_000_000
MAX_RATIO = 50
PYTORCH = {".pt", ".pth", ".ckpt"}
MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
OPTIMIZER = ("optimizer", "optimizer_weights")
H5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"
RESAVE = "save the model again with model.save('FILE.keras') in Keras 3"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file, read and taken apart.

    Attributes
    ----------
    name
        File name.
    kind
        ``"keras"`` (zip of Keras 3) or ``"h5"`` (legacy HDF5), recognised by content.
    config
        The model's configuration (of a zip, without training settings), checked.
    weights
        An HDF5 file of the weights (for ``"h5"`` of the configuration as well), rewritten from
        what was checked.
    arrays
        How often each weight array occurs in it (optimiser state left out).
    sha256
        Of the whole file.
    """

    name: str
    kind: Literal["keras", "h5"]
    config: dict[str, Any]
    weights: bytes
    arrays: Counter[Fingerprint]
    sha256: str


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file and take it apart.

    Raises
    ------
    ModelError
        Not a model, damaged, too large, with parts that a Keras model does not have, or with a
        configuration that is not one of plain layers.
    """
    data, sha256 = read_bytes(path)
    return parse_model_file(data, Path(path).name, sha256)


def read_bytes(path: str | os.PathLike[str]) -> tuple[bytes, str]:
    """The bytes of a model file and their SHA-256; refuses what is not a file or is too large."""
    limit = int(settings().max_model_mb * 1e6)
    shorten = "raise ECGXAI_MAX_MODEL_MB if the file is to be trusted"
    with open_regular(Path(path), limit, ModelError, shorten) as (stream, size):
        data = stream.read(size)
    return data, hashlib.sha256(data).hexdigest()


def parse_model_file(data: bytes, name: str, sha256: str) -> ModelFile:
    """Take the bytes of a model file apart (see :func:`read_model_file`)."""
    if Path(name).suffix.lower() in PYTORCH or b"/data.pkl" in data[:4096]:
        problem = "is a PyTorch file, a pickle that can run code, and is never opened"
        fix = (
            "load it where its class is, and call ecgxai_core.wrap(module, manifest), or export "
            "it: torch.onnx.export(module.eval(), example, 'FILE.onnx')"
        )
        raise ModelError(name, "format", problem, fix)
    if data.startswith(ZIP_SIGNATURE):
        return _parse_zip(data, name, sha256)
    if data.startswith(H5_SIGNATURE):
        return _parse_h5(data, name, sha256)
    raise ModelError(name, "", *_what_else(data))


def _what_else(data: bytes) -> tuple[str, str]:
    """Problem and fix for a file that is neither container."""
    if not data:
        return "is empty", "copy the file again"
    if data.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the model", "run 'git lfs pull'"
    if data.startswith(b"\x80"):
        return "is a Python pickle, which can run code, not a Keras model", RESAVE
    return "is neither a Keras 3 nor an HDF5 model", RESAVE


# ---- Keras 3 zip -----------------------------------------------------------------------------


def _parse_zip(data: bytes, name: str, sha256: str) -> ModelFile:
    parts = _zip_members(data, name)
    config = _without_training(_json_object(parts["config.json"], name, "config.json"))
    config = as_keras_3(config, name)
    check_config(config, name, needs_module=True)
    refuse_old_hard_sigmoid(config, _version(parts["metadata.json"]), name)
    weights = parts["model.weights.h5"]
    if not weights.startswith(H5_SIGNATURE):
        raise ModelError(name, "model.weights.h5", "is not an HDF5 file", RESAVE)
    clean = rewritten(weights, name, OPTIMIZER)
    return ModelFile(name, "keras", config, clean, read_weights(clean, name, ()), sha256)


def _zip_members(data: bytes, name: str) -> dict[str, bytes]:
    try:
        return dict(read_members(io.BytesIO(data), partial(_check_members, name=name)))
    except ValueError as error:
        raise ModelError(name, "", f"is damaged ({error})", "copy the file again") from None


def _check_members(members: list[zipfile.ZipInfo], name: str) -> None:
    """Exactly the three known members, none of them larger than it may be."""
    if sorted(member.filename for member in members) != sorted(MEMBERS):
        found = ", ".join(member.filename for member in members[:6])
        problem = f"a Keras model holds {', '.join(MEMBERS)}; here: {found}"
        raise ModelError(name, "zip members", problem, RESAVE)
    limit = int(settings().max_model_mb * 1e6)
    for member in members:
        most = limit if member.filename.endswith(".h5") else MAX_CONFIG_BYTES
        if member.file_size > most:
            problem = f"inflates to more than {most / 1e6:g} MB"
            raise ModelError(name, member.filename, problem, RESAVE)
        if member.file_size > max(1_000_000, MAX_RATIO * member.compress_size):
            problem = f"is compressed more than {MAX_RATIO}-fold"
            raise ModelError(name, member.filename, problem, RESAVE)


# ---- legacy HDF5 -----------------------------------------------------------------------------


def _parse_h5(data: bytes, name: str, sha256: str) -> ModelFile:
    clean = rewritten(data, name, OPTIMIZER)
    with open_h5(clean, name) as file:
        text = file.attrs.get("model_config")
        version = file.attrs.get("keras_version", b"")
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    if not isinstance(text, bytes):
        fix = "save the whole model (model.save), not only its weights"
        raise ModelError(name, "model_config", "the file holds weights but no model", fix)
    config = as_keras_3(_json_object(text, name, "model_config"), name)
    check_config(config, name, needs_module=False)
    version = version.decode("utf-8", "replace") if isinstance(version, bytes) else str(version)
    refuse_old_hard_sigmoid(config, version, name)
    return ModelFile(name, "h5", config, clean, read_weights(clean, name, ()), sha256)


# ---- configuration ---------------------------------------------------------------------------


def _json_object(text: bytes, name: str, field: str) -> dict[str, Any]:
    if len(text) > MAX_CONFIG_BYTES:
        raise ModelError(name, field, f"is larger than {MAX_CONFIG_BYTES / 1e6:g} MB", RESAVE)
    try:
        return strict_json(text, allow_nan=True)  # check_config names the layer that holds one
    except ValueError as error:
        raise ModelError(name, field, f"is not valid JSON ({error})", RESAVE) from None


def _version(metadata: bytes) -> str:
    """The Keras that saved a zip; empty where its ``metadata.json`` does not say."""
    try:
        return str(strict_json(metadata).get("keras_version", ""))
    except ValueError:
        return ""


def _without_training(config: dict[str, Any]) -> dict[str, Any]:
    """A copy without losses, metrics and optimisers: they may be the user's own code, and
    prediction does not need them. Objects nested deeper than any model are left to the checks."""

    def clean(value: Any, depth: int) -> Any:
        if isinstance(value, dict) and depth <= 200:
            kept = {key: part for key, part in value.items() if key != "compile_config"}
            return {key: clean(part, depth + 1) for key, part in kept.items()}
        if isinstance(value, list) and depth <= 200:
            return [clean(part, depth + 1) for part in value]
        return value

    return dict(clean(config, 0))
