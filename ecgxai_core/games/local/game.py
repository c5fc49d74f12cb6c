"""Coalitions of a network that is local until it pools over time, without whole forward passes.

Every position before the pooling sees only a few neighbouring segments. Positions that see the same
segments form a block; what a block adds to the pooled sum depends on the cells of its own segments.
So the value of a coalition is the sum over its blocks:

- where every segment of a block is wholly on or off, the sum stands in a table that a few patterned
  passes fill (four where segments are longer than the receptive field: all, none, even, odd);
- where single leads are masked, the network runs on crops around the blocks that are not known yet
  (:mod:`ecgxai_core.games.local.pieces`).

Both are exact: padding at the borders of the record, strides and dilation included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from ecgxai_core.games.local.pieces import Crop, Pieces, Plan, Unit, layout_of, wholly_on_and_mixed
from ecgxai_core.games.local.sums import SumGame
from ecgxai_core.models.increments import Increments
from ecgxai_core.models.local_network import PATTERN_ROWS, LinearHead
from ecgxai_core.models.locality import Locality
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["LocalGame", "LocalPart"]

_TOGETHER = np.zeros(1, dtype=np.int64)
"""One start: all rows are pooled together."""


class LocalPart(Protocol):
    """The part of :class:`ecgxai_core.models.local_network.LocalNetwork` that games use."""

    local: Locality
    is_max: BoolArray
    head: LinearHead | None

    @property
    def increments(self) -> Increments | str:
        """For recomputation in windows, or why there is none."""

    def features(self, values: Float32Array) -> Float32Array:
        """``float32[n, position, channel]`` of whole records."""

    def pooled_crops(self, make: _Make, use: IntArray, length: int) -> Float32Array:
        """``float32[n, range, channel]`` pooled over ranges of positions of each crop."""

    def probabilities(self, pooled: FloatArray) -> Float32Array:
        """``float32[n, class]`` of pooled features."""


class _Make(Protocol):
    def __call__(self, part: slice, /) -> Float32Array: ...


Follow = Callable[[Float32Array, Float32Array], Float32Array]


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
        self.edges = edges
        self._values, self._baseline, self._follow = values, baseline, follow
        segment = np.searchsorted(edges, np.arange(len(values)), side="right") - 1
        inside = (segment >= 0) & (segment < len(edges) - 1)
        self._segment = np.where(inside, segment, len(edges) - 1)  # the last column is never masked
        self.n_segments, self.n_leads = len(edges) - 1, values.shape[1]
        self._pieces = Pieces(network.local, self.layout, len(values))
        self._sums: dict[Unit, Float32Array] = {}
        self._table: FloatArray | None = None

    @property
    def n_classes(self) -> int:
        """Channels of a position: the classes, where the head is linear."""
        return len(self.network.is_max)

    @property
    def nbytes(self) -> int:
        """Memory of what has been computed."""
        sums = sum(found.nbytes + len(unit[2]) for unit, found in self._sums.items())
        return sums + (0 if self._table is None else self._table.nbytes)

    @property
    def table_passes(self) -> int:
        """Whole passes that fill the table of wholly masked segments."""
        return self.layout.table_passes

    def cost(self, unit: Unit) -> float:
        """Share of a whole pass that one unit takes."""
        return self._pieces.cost(unit)

    def plans(self, keep: BoolArray) -> list[Plan | None]:
        """What each coalition is put together from (:meth:`Pieces.plans`)."""
        return self._pieces.plans(keep)

    def pooled(self, keep: BoolArray, plans: list[Plan]) -> FloatArray:
        """``float64[n, channel]``: pooled features (means or maxima) of coalitions."""
        self._evaluate(plans)
        total = self._from_table(keep)
        for row, plan in enumerate(plans):
            if plan:
                parts = np.stack([self._sums[unit][block - unit[0]] for unit, block in plan])
                total[row] = self._joined(total[row], self._over_blocks(parts, _TOGETHER)[0])
        return np.where(self.network.is_max, total, total / self.network.local.positions)

    def sum_games(self) -> tuple[list[SumGame], str] | None:
        """The event game of every class on the scale before the activation, and the activation.

        ``None`` where the head is not one dense layer after an average.
        """
        head = self.network.head
        if head is None:
            return None
        terms = self.class_terms()
        layout = self.layout
        return [
            SumGame(self.n_segments, layout.first, layout.last, terms[:, :, c], float(bias))
            for c, bias in enumerate(head.bias)
        ], head.activation

    def class_terms(self) -> FloatArray:
        """``float64[block, code, class]``: what a block with all its segments wholly on or off adds
        to each class before the activation; bit j of the code = segment ``first + j`` is on.

        Needs a linear head.
        """
        return self._filled_table() / self.network.local.positions

    def block_terms(self, keep: BoolArray) -> FloatArray:
        """``float64[n, block, class]``: the same for any coalitions, by whole passes.

        ``keep`` is ``bool[n, lead, segment]`` in the model's lead order.
        """
        return self._block_sums(keep) / self.network.local.positions

    def signals(self, keep: BoolArray) -> Float32Array:
        """Masked records ``float32[n, sample, lead]`` of coalitions ``bool[n, lead, segment]``."""
        outside = np.ones((len(keep), keep.shape[1], 1), dtype=np.bool_)
        kept = np.concatenate([keep, outside], axis=2)
        by_sample = kept[:, :, self._segment].transpose(0, 2, 1)
        made = np.where(by_sample, self._values, self._baseline)
        return made if self._follow is None else self._follow(made, self._values)

    # ---- computing ---------------------------------------------------------------------------

    def _joined(self, left: FloatArray, right: FloatArray) -> FloatArray:
        if not self.network.is_max.any():
            return left + right
        return np.where(self.network.is_max, np.maximum(left, right), left + right)

    def _evaluate(self, plans: list[Plan]) -> None:
        """Compute the units that are not known yet, in batches of one crop length."""
        missing = sorted({unit for plan in plans for unit, _ in plan if unit not in self._sums})
        lengths: dict[int, list[Unit]] = {}
        for unit in missing:
            lengths.setdefault(self._pieces.crop(*unit[:2]).length, []).append(unit)
        for length, units in sorted(lengths.items()):
            use = np.zeros((len(units), self._pieces.most_blocks, 2), dtype=np.int64)
            for ranges, unit in zip(use, units, strict=True):
                ranges[: unit[1] - unit[0] + 1] = self._pieces.crop(*unit[:2]).use
            sums = self.network.pooled_crops(lambda part, u=units: self._made(u[part]), use, length)
            for unit, found in zip(units, sums, strict=True):
                self._sums[unit] = found[: unit[1] - unit[0] + 1].copy()

    def _made(self, units: list[Unit]) -> Float32Array:
        """``float32[unit, sample, lead]``: the crops with their cells masked."""
        parts = []
        for crop, cells in self._by_crop(units):
            inside = slice(crop.begin, crop.begin + crop.length)
            keep = np.ones((*cells.shape[:2], self.n_segments + 1), dtype=np.bool_)
            keep[:, :, crop.segments[0] : crop.segments[1] + 1] = cells
            by_sample = keep[:, :, self._segment[inside]].transpose(0, 2, 1)
            made = np.where(by_sample, self._values[inside], self._baseline[inside])
            parts.append(self._follow(made, self._values[inside]) if self._follow else made)
        return np.concatenate(parts)

    def _by_crop(self, units: list[Unit]) -> Iterator[tuple[Crop, BoolArray]]:
        """Neighbouring units of one place, with their cells ``bool[unit, lead, segment]``."""
        begin = 0
        while begin < len(units):
            end = begin
            while end < len(units) and units[end][:2] == units[begin][:2]:
                end += 1
            crop = self._pieces.crop(*units[begin][:2])
            width = crop.segments[1] - crop.segments[0] + 1
            packed = np.array([np.frombuffer(u[2], np.uint8) for u in units[begin:end]])
            bits = np.unpackbits(packed, axis=1, count=self.n_leads * width)
            yield crop, bits.reshape(-1, self.n_leads, width).astype(np.bool_)
            begin = end

    def _from_table(self, keep: BoolArray) -> FloatArray:
        """What the blocks without single masked leads add up to, ``float64[n, channel]``."""
        table, layout = self._filled_table(), self.layout
        on, mixed = wholly_on_and_mixed(keep)
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
            segments = np.arange(self.n_segments)
            on = (codes[:, None] >> (segments % span)) & 1 == 1
            table = np.zeros((len(layout.start), 2**span, len(self.network.is_max)))
            for begin in range(0, len(on), PATTERN_ROWS):  # sums of many patterns are large
                patterns = on[begin : begin + PATTERN_ROWS]
                keep = np.repeat(patterns[:, None], self.n_leads, axis=1)
                for pattern, sums in zip(patterns, self._block_sums(keep), strict=True):
                    for block in range(len(layout.start)):
                        seen = pattern[layout.first[block] : layout.last[block] + 1]
                        table[block, int(seen @ (1 << np.arange(len(seen))))] = sums[block]
            self._table = table
        return self._table

    def _block_sums(self, keep: BoolArray) -> FloatArray:
        """``float64[n, block, channel]`` of coalitions ``bool[n, lead, segment]``, whole passes."""
        found = np.empty((len(keep), len(self.layout.start), len(self.network.is_max)))
        for begin in range(0, len(keep), PATTERN_ROWS):  # features are large
            features = self.network.features(self.signals(keep[begin : begin + PATTERN_ROWS]))
            for place, one in enumerate(features, start=begin):
                found[place] = self._over_blocks(one, self.layout.start)
        return found

    def _over_blocks(self, features: Float32Array, start: IntArray) -> FloatArray:
        """``float64[block, channel]``: features ``[position, channel]`` pooled from each start."""
        is_max = self.network.is_max
        sums = np.add.reduceat(features, start, axis=0, dtype=np.float64)
        if is_max.any():
            tops = np.maximum.reduceat(features, start, axis=0)
            sums = np.where(is_max, tops, sums)
        return np.asarray(sums, dtype=np.float64)
