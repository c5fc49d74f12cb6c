"""A model input with cells that can be masked: the one place where masked records are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgxai_core.types import BoolArray, Float32Array, IntArray

__all__ = ["Masking"]


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
