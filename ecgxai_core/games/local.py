"""Coalitions of a network that is local until it pools over time, without whole forward passes.

Every position before the pooling sees a few neighbouring segments only. The positions that see the
same segments form a block; what a block adds to the pooled sum depends on the cells of its own
segments. So the value of a coalition is put together from the sums of its blocks:

- where every segment of a block is wholly on or off, the sum stands in a table that a few patterned
  passes fill (four where segments are longer than the receptive field: all, none, even, odd);
- where single leads are masked, the network runs on a crop around them.

Both are exact: padding at the borders of the record, strides and dilation included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ecgxai_core.games.sums import SumGame
from ecgxai_core.models.local_network import PATTERN_ROWS, LinearHead
from ecgxai_core.models.locality import Locality
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["MAX_SPAN", "Layout", "LocalGame", "LocalPart", "layout_of"]

MAX_SPAN = 5
"""Most segments that one position may see: the table takes ``2 ** span`` patterned passes."""

WHOLE_FROM = 0.7
"""A coalition whose crops would cost more of a pass than this goes through the model whole."""

CROP_RATIO = 0.8
"""Crops come in lengths of this ratio, from the longest down, so that few shapes are compiled."""


class LocalPart(Protocol):
    """What is asked of :class:`ecgxai_core.models.local_network.LocalNetwork`."""

    local: Locality
    is_max: BoolArray

    def features(self, values: Float32Array) -> Float32Array:
        """``float32[n, position, channel]`` of whole records."""

    def crop_rows(self, length: int) -> int:
        """Crops in one batch."""

    def pooled_crops(self, make: _Make, use: IntArray, length: int) -> FloatArray:
        """``float64[n, channel]`` pooled over a range of positions of each crop."""

    def probabilities(self, pooled: FloatArray) -> Float32Array:
        """``float32[n, class]`` of pooled features."""

    def linear_head(self) -> LinearHead | None:
        """The head, where it is one dense layer."""


class _Make(Protocol):
    def __call__(self, part: slice, /) -> Float32Array: ...


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
    neighbours
        ``int64[segment, 2]``: first and last segment that share a block with it.
    """

    start: IntArray
    stop: IntArray
    first: IntArray
    last: IntArray
    touching: IntArray
    neighbours: IntArray

    @property
    def span(self) -> int:
        """Most segments that one position sees."""
        return int((self.last - self.first).max()) + 1


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
    neighbours = np.empty((n_segments, 2), dtype=np.int64)
    for segment in range(n_segments):
        seen = np.flatnonzero((first <= segment) & (segment <= last))
        if not len(seen):  # shorter than a stride: nothing sees it
            touching[segment], neighbours[segment] = (0, -1), (segment, segment)
            continue
        touching[segment] = seen[0], seen[-1]
        neighbours[segment] = first[seen].min(), last[seen].max()
    return Layout(start, stop, first, last, touching, neighbours)


@dataclass(frozen=True, slots=True)
class _Crop:
    """Where a run of blocks is computed: samples of the crop, positions in it, segments needed."""

    begin: int
    length: int
    use: tuple[int, int]
    segments: tuple[int, int]


Follow = Callable[[Float32Array, Float32Array], Float32Array]
Unit = tuple[int, int, bytes]
"""First and last block of a run, and the packed cells of the segments that it sees."""


class LocalGame:
    """All coalitions of one model input under one segmentation and baseline.

    Parameters
    ----------
    network
        The local part and the head of the model.
    values, baseline
        ``float32[sample, lead]``: the model input, and what masked cells are copied from.
    edges
        ``int64[segment + 1]``: samples.
    follow
        Masked pieces ``float32[n, sample, lead]`` and the unmasked piece -> pieces in which leads
        that depend on others have followed them.
    """

    def __init__(
        self,
        network: LocalPart,
        values: Float32Array,
        baseline: Float32Array,
        edges: IntArray,
        follow: Follow | None = None,
    ) -> None:
        self.network = network
        self.layout = layout_of(network.local, edges)
        self._values, self._baseline, self._follow = values, baseline, follow
        segment = np.searchsorted(edges, np.arange(len(values)), side="right") - 1
        inside = (segment >= 0) & (segment < len(edges) - 1)
        self._segment = np.where(inside, segment, len(edges) - 1)  # the last column is never masked
        self._n_segments = len(edges) - 1
        self._lengths = self._crop_lengths()
        self._crops: dict[tuple[int, int], _Crop] = {}
        self._sums: dict[Unit, FloatArray] = {}
        self._table: FloatArray | None = None

    @property
    def table_passes(self) -> int:
        """Whole passes that fill the table of wholly masked segments."""
        return int(2**self.layout.span)

    def cost(self, unit: Unit) -> float:
        """Share of a whole pass that one unit takes."""
        return self._crop(unit[0], unit[1]).length / len(self._values)

    def plans(self, keep: BoolArray) -> list[tuple[Unit, ...] | None]:
        """The units that each coalition is put together from, beside the table.

        ``keep`` is ``bool[n, lead, segment]`` in the model's lead order. ``None`` = a whole pass is
        cheaper than the units that no earlier row of ``keep`` needs: along a deletion curve only
        windows whose mask changed are computed. What was asked for in other calls has no say, so
        the same call always gives the same bytes.
        """
        _, mixed = _wholly_on_and_mixed(keep)
        planned: set[Unit] = set()
        plans: list[tuple[Unit, ...] | None] = []
        for row, here in zip(keep, mixed, strict=True):
            units = self._units(row, here) if here.any() else ()
            fresh = [unit for unit in units if unit not in planned]
            if sum(self.cost(unit) for unit in fresh) > WHOLE_FROM:
                plans.append(None)
                continue
            planned.update(fresh)
            plans.append(units)
        return plans

    def pooled(self, keep: BoolArray, plans: list[tuple[Unit, ...]]) -> FloatArray:
        """``float64[n, channel]``: pooled features (means or maxima) of coalitions."""
        self._evaluate(plans)
        total = self._from_table(keep)
        for row, units in enumerate(plans):
            for unit in units:
                total[row] = self._joined(total[row], self._sums[unit])
        return np.where(self.network.is_max, total, total / self.network.local.positions)

    def sum_games(self) -> tuple[list[SumGame], str] | None:
        """The event game of every class on the scale before the activation, and the activation.

        ``None`` where the head is not one dense layer after an average.
        """
        head = self.network.linear_head()
        if head is None or self.network.is_max.any():
            return None
        terms = self._filled_table() @ (head.kernel / self.network.local.positions)
        layout = self.layout
        return [
            SumGame(self._n_segments, layout.first, layout.last, terms[:, :, c], float(bias))
            for c, bias in enumerate(head.bias)
        ], head.activation

    # ---- planning ----------------------------------------------------------------------------

    def _units(self, keep: BoolArray, mixed: BoolArray) -> tuple[Unit, ...]:
        units = []
        for begin, end in self._runs(mixed):
            first, last = self._crop(begin, end).segments
            units.append((begin, end, np.packbits(keep[:, first : last + 1]).tobytes()))
        return tuple(units)

    def _runs(self, mixed: BoolArray) -> list[tuple[int, int]]:
        """Runs of blocks: those around a lone mixed segment together, the others one by one."""
        layout, runs = self.layout, []
        crowded: set[int] = set()
        for segment in np.flatnonzero(mixed):
            begin, end = (int(b) for b in layout.touching[segment])
            low, high = layout.neighbours[segment]
            if end < begin:
                continue
            if mixed[low : high + 1].sum() == 1:
                runs.append((begin, end))
            else:
                crowded.update(range(begin, end + 1))
        return sorted({*runs, *((block, block) for block in crowded)})

    def _crop(self, begin: int, end: int) -> _Crop:
        """Crop for the blocks ``begin`` to ``end``.

        It starts at a multiple of the stride and is as long as the record modulo the stride, so
        that every layer pads it where it would pad the record; positions whose reach leaves the
        crop are not used, except at the record's own borders.
        """
        known = self._crops.get((begin, end))
        if known is not None:
            return known
        local, layout = self.network.local, self.layout
        n_samples = len(self._values)
        start, stop = int(layout.start[begin]), int(layout.stop[end])
        low, high = self._needed(begin, end)
        length = min(length for length in self._lengths if length >= high - low)
        low = min(low, n_samples - length)
        use = (start - low // local.step, stop - low // local.step)
        seen = layout.last[begin : end + 1] >= layout.first[begin : end + 1]
        segments = (
            int(layout.first[begin : end + 1][seen].min()),
            int(layout.last[begin : end + 1][seen].max()),
        )
        crop = _Crop(low, length, use, segments)
        self._crops[(begin, end)] = crop
        return crop

    def _needed(self, begin: int, end: int) -> tuple[int, int]:
        """Samples that the blocks ``begin`` to ``end`` see, from a multiple of the stride on."""
        local = self.network.local
        low = max(0, int(self.layout.start[begin]) * local.step + local.first)
        high = (int(self.layout.stop[end]) - 1) * local.step + local.last + 1
        return low // local.step * local.step, min(len(self._values), high)

    def _crop_lengths(self) -> list[int]:
        """Lengths of crops: the longest window around one segment, and a ladder below it."""
        step, n_samples = self.network.local.step, len(self._values)
        seen = [(int(b), int(e)) for b, e in self.layout.touching if e >= b]
        if not seen:
            return []
        longest = max(high - low for low, high in (self._needed(*run) for run in seen))
        wanted = [float(longest)]  # even where the record is shorter than half the field
        while wanted[-1] * CROP_RATIO >= self.network.local.field / 2 and len(wanted) < 24:
            wanted.append(wanted[-1] * CROP_RATIO)
        rounded = [int(np.ceil(length)) for length in wanted]
        return [min(n_samples, length + (n_samples - length) % step) for length in rounded]

    # ---- computing ---------------------------------------------------------------------------

    def _joined(self, left: FloatArray, right: FloatArray) -> FloatArray:
        if not self.network.is_max.any():
            return left + right
        return np.where(self.network.is_max, np.maximum(left, right), left + right)

    def _evaluate(self, plans: list[tuple[Unit, ...]]) -> None:
        """Compute the units that are not known yet, in batches of one crop length."""
        missing = sorted({u for units in plans for u in units if u not in self._sums})
        lengths: dict[int, list[Unit]] = {}
        for unit in missing:
            lengths.setdefault(self._crop(unit[0], unit[1]).length, []).append(unit)
        for length, units in sorted(lengths.items()):
            use = np.array([self._crop(u[0], u[1]).use for u in units], dtype=np.int64)
            sums = self.network.pooled_crops(lambda part, u=units: self._made(u[part]), use, length)
            self._sums.update(zip(units, sums, strict=True))

    def _made(self, units: list[Unit]) -> Float32Array:
        """``float32[unit, sample, lead]``: the crops with their cells masked."""
        parts = []
        for crop, cells in self._by_crop(units):
            inside = slice(crop.begin, crop.begin + crop.length)
            keep = np.ones((*cells.shape[:2], self._n_segments + 1), dtype=np.bool_)
            keep[:, :, crop.segments[0] : crop.segments[1] + 1] = cells
            by_sample = keep[:, :, self._segment[inside]].transpose(0, 2, 1)
            made = np.where(by_sample, self._values[inside], self._baseline[inside])
            parts.append(self._followed(made, inside))
        return np.concatenate(parts)

    def _followed(self, signals: Float32Array, inside: slice) -> Float32Array:
        if self._follow is None:
            return signals
        return self._follow(signals, self._values[inside])

    def _by_crop(self, units: list[Unit]) -> Iterator[tuple[_Crop, BoolArray]]:
        """Neighbouring units of one place, with their cells ``bool[unit, lead, segment]``."""
        n_leads = self._values.shape[1]
        begin = 0
        while begin < len(units):
            end = begin
            while end < len(units) and units[end][:2] == units[begin][:2]:
                end += 1
            crop = self._crop(*units[begin][:2])
            width = crop.segments[1] - crop.segments[0] + 1
            packed = np.array([np.frombuffer(u[2], np.uint8) for u in units[begin:end]])
            bits = np.unpackbits(packed, axis=1, count=n_leads * width)
            yield crop, bits.reshape(-1, n_leads, width).astype(np.bool_)
            begin = end

    def _from_table(self, keep: BoolArray) -> FloatArray:
        """What the blocks without single masked leads add up to, ``float64[n, channel]``."""
        table, layout = self._filled_table(), self.layout
        on, mixed = _wholly_on_and_mixed(keep)
        is_max = self.network.is_max
        total = np.where(is_max, -np.inf, 0.0) + np.zeros((len(keep), 1))
        for block in range(len(layout.start)):
            seen = slice(layout.first[block], layout.last[block] + 1)
            rows = np.flatnonzero(~mixed[:, seen].any(axis=1))
            bits = on[rows, seen]
            code = bits @ (1 << np.arange(bits.shape[1]))
            total[rows] = self._joined(total[rows], table[block, code])
        return total

    def _filled_table(self) -> FloatArray:
        """``float64[block, code, channel]``: bit j of the code = segment ``first + j`` is on."""
        if self._table is None:
            layout, span = self.layout, max(1, self.layout.span)
            codes = np.arange(2**span)
            segments = np.arange(self._n_segments)
            on = (codes[:, None] >> (segments % span)) & 1 == 1
            keep = np.concatenate([on, np.ones((len(on), 1), dtype=np.bool_)], axis=1)
            table = np.zeros((len(layout.start), 2**span, len(self.network.is_max)))
            for begin in range(0, len(on), PATTERN_ROWS):  # features are large
                rows = slice(begin, begin + PATTERN_ROWS)
                kept = keep[rows][:, self._segment, None]
                signals = np.where(kept, self._values, self._baseline).astype(np.float32)
                features = self.network.features(self._followed(signals, slice(None)))
                for pattern, found in zip(on[rows], features, strict=True):
                    sums = self._block_sums(found)
                    for block in range(len(layout.start)):
                        seen = pattern[layout.first[block] : layout.last[block] + 1]
                        table[block, int(seen @ (1 << np.arange(len(seen))))] = sums[block]
            self._table = table
        return self._table

    def _block_sums(self, features: Float32Array) -> FloatArray:
        """``float64[block, channel]`` of the features ``[position, channel]`` of one record."""
        is_max, start = self.network.is_max, self.layout.start
        sums = np.add.reduceat(features, start, axis=0, dtype=np.float64)
        if is_max.any():
            tops = np.maximum.reduceat(features, start, axis=0)
            sums = np.where(is_max, tops, sums)
        return np.asarray(sums, dtype=np.float64)


def _wholly_on_and_mixed(keep: BoolArray) -> tuple[BoolArray, BoolArray]:
    """``bool[n, segment]``: all leads on; some on and some masked."""
    on = np.asarray(keep.all(axis=1), dtype=np.bool_)
    return on, np.asarray(keep.any(axis=1) & ~on, dtype=np.bool_)
