"""A PyTorch module as a classifier: exported to ONNX in memory, and then as any ONNX file.

Nothing is read from a file and nothing is unpickled: the module is the caller's own object.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_classifier import calibrated, probe_rows
from ecgxai_core.models.manifest import Manifest, load_manifest, manifest_from_json
from ecgxai_core.models.windows import combined
from ecgxai_core.types import Float32Array

if TYPE_CHECKING:
    from ecgxai_core.models.keras_classifier import KerasClassifier
    from ecgxai_core.models.onnx.runtime import OnnxClassifier

__all__ = ["Layout", "wrap"]

Layout = Literal["lead, sample", "sample, lead", "1, lead, sample"]
LAYOUTS: tuple[Layout, ...] = ("lead, sample", "sample, lead", "1, lead, sample")
PARITY = 1e-4
"""Largest difference of a probability from PyTorch's own, on the probe rows."""
UNKNOWN = "0" * 64


def wrap(
    module: Any,
    manifest: Manifest | Mapping[str, Any] | str | os.PathLike[str],
    layout: Layout | None = None,
) -> KerasClassifier | OnnxClassifier:
    """A PyTorch module as a classifier that every verb takes.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` with its weights. It is evaluated in evaluation mode and left as it
        was.
    manifest
        What it expects and returns: a manifest, its fields, or the JSON file; ``sha256`` may be
        absent, because there is no file.
    layout
        How it takes a record, behind the batch axis; ``None`` = the one layout that it accepts.

    Returns
    -------
    A classifier of a Keras network where the module has a form in ordinary layers, so that all
    methods and the exact engine work; else one that runs through ONNX Runtime, without gradients.

    Raises
    ------
    ModelError
        PyTorch, onnx or onnxruntime is missing, the module does not fit the manifest, cannot be
        exported, or gives other probabilities than PyTorch afterwards.
    """
    name = type(module).__name__
    try:
        import torch
    except ImportError:
        problem = "is to be a PyTorch module, and torch is not installed"
        raise ModelError(name, "module", problem, "pip install 'ecgxai_core[torch]'") from None
    from ecgxai_core.models.loading import load_exported

    if not isinstance(module, torch.nn.Module):
        fix = "give the module; a .pt file is never opened"
        raise ModelError(name, "module", "is not a torch.nn.Module", fix)
    known = _manifest(manifest)
    with _evaluated(module):
        chosen = _layout(torch, module, known, layout, name)
        data = _exported(torch, module, _example(torch, module, known, chosen), name)
        known = known.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
        classifier = load_exported(data, known, f"{name}.onnx")
        rows = probe_rows(known)
        own = _probabilities(torch, module, known, chosen, rows, classifier.is_softmax)
    gap = float(np.abs(classifier.predict(rows) - own).max())
    if not gap <= PARITY:
        problem = f"gives other probabilities than in PyTorch once exported (by up to {gap:.2g})"
        raise ModelError(name, "module", problem, "look for what is random or depends on the input")
    return classifier


def _manifest(given: Manifest | Mapping[str, Any] | str | os.PathLike[str]) -> Manifest:
    if isinstance(given, Manifest):
        return given
    if isinstance(given, Mapping):
        return manifest_from_json(json.dumps({"sha256": UNKNOWN, **given}).encode())
    return load_manifest(Path(given))


@contextmanager
def _evaluated(module: Any) -> Iterator[None]:
    """Evaluation mode, and afterwards what each part was in before."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def _example(torch: Any, module: Any, manifest: Manifest, layout: Layout) -> Any:
    rows = np.zeros((1, manifest.network_samples, len(manifest.leads)), np.float32)
    return _tensor(torch, module, rows, layout)


def _tensor(torch: Any, module: Any, rows: Float32Array, layout: Layout) -> Any:
    """``float32[n, sample, lead]`` as the module takes it, where its weights lie."""
    given = rows if layout == "sample, lead" else rows.transpose(0, 2, 1)
    if layout == "1, lead, sample":
        given = given[:, None]
    home = next((part.device for part in module.parameters()), torch.device("cpu"))
    return torch.from_numpy(np.ascontiguousarray(given)).to(home)


def _layout(torch: Any, module: Any, manifest: Manifest, asked: Layout | None, name: str) -> Layout:
    """The layout that the module accepts with one column per class."""
    faults, fits = {}, []
    for layout in LAYOUTS if asked is None else (asked,):
        try:
            with torch.no_grad():
                results = _results(module(_example(torch, module, manifest, layout)))
        except Exception as error:  # whatever a module raises for a shape it cannot take
            faults[layout] = str(error).splitlines()[0][:120] if str(error) else "fails"
            continue
        widths = [tuple(result.shape) for result in results]
        if (1, len(manifest.classes)) in widths:
            fits.append(layout)
        else:
            faults[layout] = f"gives {widths}, not one column for each of the classes"
    if len(fits) == 1:
        return fits[0]
    if not fits:
        said = "; ".join(f"[{layout}]: {fault}" for layout, fault in faults.items())
        problem = f"takes no record of {manifest.network_samples} samples ({said})"
        raise ModelError(name, "input", problem, "correct 'samples', 'leads' and 'classes'")
    problem = f"takes a record as {' and as '.join(f'[{layout}]' for layout in fits)}"
    raise ModelError(name, "input", problem, f"say which: layout={fits[0]!r}")


def _results(found: Any) -> list[Any]:
    if isinstance(found, Mapping):
        return list(found.values())
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _exported(torch: Any, module: Any, example: Any, name: str) -> bytes:
    stream, said_on_screen = io.BytesIO(), io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(said_on_screen),
            torch.no_grad(),
            _plain_attention(torch),
        ):
            warnings.simplefilter("ignore")  # what it warns of is compared afterwards
            torch.onnx.export(
                module, (example,), stream, input_names=["ecg"],
                dynamic_axes={"ecg": {0: "record"}}, dynamo=False,
            )  # fmt: skip
    except Exception as error:  # whatever the exporter raises
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        problem = f"torch.onnx.export refuses it ({said})"
        fix = "use operators that it knows, or export it to a file yourself"
        raise ModelError(name, "module", problem, fix) from None
    return stream.getvalue()


@contextmanager
def _plain_attention(torch: Any) -> Iterator[None]:
    """Attention as ordinary operators: its fast kernel cannot be exported."""
    mha = getattr(torch.backends, "mha", None)
    if mha is None:
        yield
        return
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)


def _probabilities(
    torch: Any,
    module: Any,
    manifest: Manifest,
    layout: Layout,
    rows: Float32Array,
    is_softmax: bool,
) -> Float32Array:
    """PyTorch's own, ``float32[n, class]``, window by window where there are windows."""
    length, n_classes = manifest.network_samples, len(manifest.classes)
    parts = []
    with torch.no_grad():
        for start in manifest.window_starts:
            given = _tensor(torch, module, rows[:, start : start + length], layout)
            results = [one.cpu().numpy() for one in _results(module(given))]
            parts.append(next(one for one in results if one.shape == (len(rows), n_classes)))
    by_row = np.stack(parts, axis=1)
    raw = np.stack([combined(one, manifest) for one in by_row])
    return calibrated(raw, manifest, is_softmax)
