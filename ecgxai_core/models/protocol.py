"""What every classifier offers, whatever library it was made with."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ecgxai_core.models.manifest import Manifest
from ecgxai_core.types import Float32Array

__all__ = ["Classifier"]


@runtime_checkable
class Classifier(Protocol):
    """A model with its manifest.

    A prediction depends on its own row of ``values`` and on nothing else: the same bytes come back
    for any number of rows, any order of them and in any process.
    """

    @property
    def manifest(self) -> Manifest:
        """What the model expects and returns."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over the model file and the manifest."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """SNOMED-CT codes of the output columns."""
        ...

    def predict(self, values: Float32Array) -> Float32Array:
        """Probabilities of model inputs.

        Parameters
        ----------
        values
            ``float32[n, sample, lead]`` in the model's units and lead order
            (see :func:`ecgxai_core.models.preprocess.prepare`).

        Returns
        -------
        ``float32[n, class]``, in [0, 1], temperature applied.
        """
        ...
