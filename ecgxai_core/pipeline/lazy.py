"""A classifier that loads its network only when a forward pass is really needed.

Cache keys need the digest of a model, not the model: a run that finds everything in the cache
never imports TensorFlow.
"""

from __future__ import annotations

import threading
from pathlib import Path

from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.loading import load_classifier, read_model
from ecgxai_core.models.local_network import LocalNetwork
from ecgxai_core.models.locality import NotLocal
from ecgxai_core.models.manifest import Manifest, model_digest
from ecgxai_core.models.masking import Masking
from ecgxai_core.types import BoolArray, Float32Array

__all__ = ["LazyClassifier"]


class LazyClassifier:
    """The classifier of a model file; see :class:`ecgxai_core.models.protocol.Classifier`.

    The manifest and the digest are checked at once, so a wrong file is refused before any work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _, self._manifest = read_model(path)
        self._digest = model_digest(self._manifest)
        self._loaded: KerasClassifier | None = None
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

    def loaded(self) -> KerasClassifier:
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

    def local_part(self) -> LocalNetwork | NotLocal:
        """See :meth:`ecgxai_core.models.keras_classifier.KerasClassifier.local_part`."""
        return self.loaded().local_part()
