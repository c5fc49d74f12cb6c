"""What every classifier offers, whatever library it was made with, and what it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ecgxai_core.models.manifest import Manifest
from ecgxai_core.types import BoolArray, Float32Array, IntArray

__all__ = ["Classifier", "Masking"]


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


@dataclass(frozen=True, slots=True)
class Masking:
    """What masked records of one model input are made from.

    Attributes
    ----------
    values, baseline
        ``float32[sample, lead]``: the model input, and what masked cells are copied from.
    edges
        ``int64[segment + 1]``: samples. What lies outside every segment (padding) is never masked.
    """

    values: Float32Array
    baseline: Float32Array
    edges: IntArray

    @property
    def n_segments(self) -> int:
        """Segments."""
        return len(self.edges) - 1

    @property
    def column(self) -> IntArray:
        """``int64[sample]``: the segment of each sample; :attr:`n_segments` = none."""
        found = np.searchsorted(self.edges, np.arange(len(self.values)), side="right") - 1
        inside = (found >= 0) & (found < self.n_segments)
        return np.where(inside, found, self.n_segments)

    def signals(self, keep: BoolArray) -> Float32Array:
        """``float32[n, sample, lead]`` of coalitions ``bool[n, lead, segment]``.

        Leads in the model's order; ``False`` = masked.
        """
        made = np.repeat(self.values[None], len(keep), axis=0)
        for index in range(self.n_segments):
            part = slice(int(self.edges[index]), int(self.edges[index + 1]))
            kept = keep[:, None, :, index]
            made[:, part] = np.where(kept, self.values[part], self.baseline[part])
        return made
