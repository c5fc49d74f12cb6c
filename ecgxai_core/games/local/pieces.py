"""Which pieces of a record a coalition is put together from, where single leads are masked.

A piece is a run of neighbouring blocks, computed on a crop around them; it gives what each of its
blocks adds to the pooled features. Coalitions are planned in the given order:
a block whose cells an earlier one had is taken from there, and blocks that are still missing are
computed together where they are neighbours, because every crop pays for a halo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgxai_core.models.locality import Locality
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import BoolArray, IntArray

__all__ = ["MAX_SPAN", "Crop", "Pieces", "Plan", "Unit", "layout_of", "wholly_on_and_mixed"]

WHOLE_FROM = 1.0
"""A coalition whose new crops would cost more of a pass than this goes through the model whole."""

WORTH_IT = 0.75
"""Pieces, with their table, cost at most this share of whole passes, or are not worth padding."""

RUNS = (1, 2, 3, 4, 8, 16)
"""Crops are as long as so many neighbouring segments need, where most are equally long."""

RUN_SHARE = 0.25
"""No crop of several segments is longer than this share of the record."""

CROP_RATIO = 0.7
"""Ratio of the lengths of crops where segments are not alike: hardly any depends on the record."""

Unit = tuple[int, int, bytes]
"""First and last block of a run, and the packed cells of the segments that it sees."""

Plan = tuple[tuple[Unit, int], ...]
"""Units, and the block that is taken from each."""


@dataclass(frozen=True, slots=True)
class Crop:
    """Where a run of blocks is computed.

    ``begin`` and ``length`` in samples; ``use`` ``int64[block, 2]``: first and past-the-last
    position of each block in the crop; ``segments``: the first and the last that the run sees.
    """

    begin: int
    length: int
    use: IntArray
    segments: tuple[int, int]


class Pieces:
    """The crops of one record under one segmentation, and plans made of them."""

    def __init__(self, local: Locality, layout: Layout, n_samples: int) -> None:
        self._local, self._layout, self._n_samples = local, layout, n_samples
        self._lengths = self._crop_lengths()
        self._last = [self._reaches(begin) for begin in range(len(layout.start))]
        self._crops: dict[tuple[int, int], Crop] = {}

    @property
    def most_blocks(self) -> int:
        """At least the blocks of the longest run; a power of two, for few shapes."""
        most = max(end - begin + 1 for begin, end in enumerate(self._last))
        return int(1 << (most - 1).bit_length())

    def cost(self, unit: Unit) -> float:
        """Share of a whole pass that one unit takes."""
        return self.crop(unit[0], unit[1]).length / self._n_samples

    def plans(self, keep: BoolArray) -> list[Plan | None]:
        """What each coalition is put together from, beside the table.

        ``keep`` is ``bool[n, lead, segment]`` in the model's lead order. ``None`` = a whole pass is
        cheaper than the units that no earlier row of ``keep`` needs: along a deletion curve only
        windows whose mask changed are computed. Earlier calls do not count, so the same call always
        gives the same bytes.
        """
        on, mixed = wholly_on_and_mixed(keep)
        planned = self._planned(keep, mixed)
        units = {unit for plan in planned if plan for unit, _ in plan}
        spent = sum(sorted(self.cost(unit) for unit in units))
        if (~mixed.any(axis=1) & ~on.all(axis=1)).any():  # these fill the table anyway
            spent -= self._layout.table_passes
        saved = sum(bool(plan) for plan in planned)
        if spent + self._layout.table_passes <= WORTH_IT * saved:
            return planned
        return [None if plan else plan for plan in planned]

    def crop(self, begin: int, end: int) -> Crop:
        """Crop for the blocks ``begin`` to ``end``.

        It starts at a multiple of the stride and is as long as the record modulo the stride, so
        that every layer pads it where it would pad the record; positions whose reach leaves the
        crop are not used, except at the record's own borders.
        """
        known = self._crops.get((begin, end))
        if known is not None:
            return known
        layout, run = self._layout, slice(begin, end + 1)
        low, high = self._needed(begin, end)
        length = min(length for length in self._lengths if length >= high - low)
        low = min(low, self._n_samples - length)
        positions = np.stack([layout.start[run], layout.stop[run]], axis=1)
        segments = int(layout.first[begin]), int(layout.last[end])
        crop = Crop(low, length, positions - low // self._local.step, segments)
        self._crops[begin, end] = crop
        return crop

    # ---- inside ------------------------------------------------------------------------------

    def _planned(self, keep: BoolArray, mixed: BoolArray) -> list[Plan | None]:
        """Plans in which no coalition costs more than a whole pass."""
        layout = self._layout
        spans = [slice(f, e + 1) for f, e in zip(layout.first, layout.last, strict=True)]
        wanted = np.stack([mixed[:, seen].any(axis=1) for seen in spans], axis=1)
        cells = [np.packbits(keep[:, :, seen].reshape(len(keep), -1), axis=1) for seen in spans]
        known: dict[tuple[int, bytes], Unit] = {}
        plans: list[Plan | None] = []
        for row, blocks in enumerate(np.flatnonzero(here).tolist() for here in wanted):
            check_stop()
            keys = [(block, cells[block][row].tobytes()) for block in blocks]
            units = [
                self._unit(keep[row], begin, end)
                for begin, end in self._runs([key[0] for key in keys if key not in known])
            ]
            if sum(self.cost(unit) for unit in units) > WHOLE_FROM:
                plans.append(None)
                continue
            for begin, end, packed in units:
                for block in range(begin, end + 1):
                    known[block, cells[block][row].tobytes()] = (begin, end, packed)
            plans.append(tuple((known[key], key[0]) for key in keys))
        return plans

    def _unit(self, keep: BoolArray, begin: int, end: int) -> Unit:
        first, last = self.crop(begin, end).segments
        return begin, end, np.packbits(keep[:, first : last + 1]).tobytes()

    def _runs(self, blocks: list[int]) -> list[tuple[int, int]]:
        """Neighbours among the blocks together, as far as the longest crop reaches."""
        runs: list[tuple[int, int]] = []
        for block in blocks:
            if runs and block == runs[-1][1] + 1 and block <= self._last[runs[-1][0]]:
                runs[-1] = (runs[-1][0], block)
            else:
                runs.append((block, block))
        return runs

    def _reaches(self, begin: int) -> int:
        """The last block of the longest run that begins with this one."""
        longest = self._lengths[0] if self._lengths else 0
        end = begin
        while end + 1 < len(self._layout.start):
            low, high = self._needed(begin, end + 1)
            if high - low > longest:
                break
            end += 1
        return end

    def _needed(self, begin: int, end: int) -> tuple[int, int]:
        """Samples that the blocks ``begin`` to ``end`` see, from a multiple of the stride on."""
        local = self._local
        low = max(0, int(self._layout.start[begin]) * local.step + local.first)
        high = (int(self._layout.stop[end]) - 1) * local.step + local.last + 1
        return low // local.step * local.step, min(self._n_samples, high)

    def _crop_lengths(self) -> list[int]:
        """Lengths of crops, falling; few, because each is compiled, and its last batch padded."""
        step, n_samples = self._local.step, self._n_samples
        seen = [(int(begin), int(end)) for begin, end in self._layout.touching if end >= begin]
        if not seen:
            return []
        single = [self._longest([run], 1) for run in seen]
        least, most = 2 * self._local.field, RUN_SHARE * n_samples
        if 2 * single.count(max(single)) >= len(single):
            by_run = [self._longest(seen, count) for count in RUNS if count <= len(seen)]
            wanted = [least, *by_run[:1], *(length for length in by_run[1:] if length <= most)]
        else:
            wanted = [most]
            while wanted[-1] > least:
                wanted.append(max(least, wanted[-1] * CROP_RATIO))
            grain = RUN_SHARE * n_samples / 10
            wanted.append(np.ceil(max(single) / grain) * grain)
        lengths = sorted({int(np.ceil(length)) for length in wanted}, reverse=True)
        return [min(n_samples, one + (n_samples - one) % step) for one in lengths]

    def _longest(self, seen: list[tuple[int, int]], count: int) -> float:
        """Samples that so many neighbouring segments need at most."""
        runs = zip(seen, seen[count - 1 :], strict=False)
        needed = (self._needed(first[0], last[1]) for first, last in runs)
        return float(max(high - low for low, high in needed))


def wholly_on_and_mixed(keep: BoolArray) -> tuple[BoolArray, BoolArray]:
    """``bool[n, segment]``: all leads on; some on and some masked."""
    on = np.asarray(keep.all(axis=1), dtype=np.bool_)
    return on, np.asarray(keep.any(axis=1) & ~on, dtype=np.bool_)


MAX_SPAN = 9
"""Most segments in one receptive field: the table takes ``2 ** span`` patterned passes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which positions see which segments.

    ``start``, ``stop`` ``int64[block]``: positions of each block; ``first``, ``last``
    ``int64[block]``: segments that it sees, ``last = first - 1`` for none; ``touching``
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
