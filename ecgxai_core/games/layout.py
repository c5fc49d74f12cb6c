"""Which positions of a local network see which segments of a record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgxai_core.models.locality import Locality
from ecgxai_core.types import IntArray

__all__ = ["MAX_SPAN", "Layout", "layout_of"]

MAX_SPAN = 5
"""Most segments that one position may see: the table takes ``2 ** span`` patterned passes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which positions see which segments.

    Attributes
    ----------
    start, stop
        ``int64[block]``: positions of each block.
    first, last
        ``int64[block]``: segments that it sees; ``last = first - 1`` for none.
    touching
        ``int64[segment, 2]``: first and last block that see a segment.
    """

    start: IntArray
    stop: IntArray
    first: IntArray
    last: IntArray
    touching: IntArray

    @property
    def span(self) -> int:
        """Most segments that one position sees."""
        return int((self.last - self.first).max()) + 1

    @property
    def table_passes(self) -> int:
        """Whole passes that give every block with all segments wholly on or off."""
        return int(2**self.span)


def layout_of(local: Locality, edges: IntArray) -> Layout:
    """Blocks of positions for segments with the given edges (samples)."""
    position = np.arange(local.positions)
    low = position * local.step + local.first
    high = position * local.step + local.last
    n_segments = len(edges) - 1
    first = np.clip(np.searchsorted(edges, low, side="right") - 1, 0, n_segments - 1)
    last = np.clip(np.searchsorted(edges, high, side="right") - 1, 0, n_segments - 1)
    outside = (high < edges[0]) | (low >= edges[-1])
    last = np.where(outside, first - 1, last)
    change = np.flatnonzero(np.diff(first) | np.diff(last)) + 1
    start = np.concatenate([[0], change])
    stop = np.concatenate([change, [local.positions]])
    first, last = first[start], last[start]
    touching = np.empty((n_segments, 2), dtype=np.int64)
    for segment in range(n_segments):
        seen = np.flatnonzero((first <= segment) & (segment <= last))
        # shorter than a stride: nothing sees it
        touching[segment] = (seen[0], seen[-1]) if len(seen) else (0, -1)
    return Layout(start, stop, first, last, touching)
