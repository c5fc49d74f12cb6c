"""Leads of single segments, recomputed layer by layer where they change.

A masked segment lies in a context: the others, each wholly on or off. What the context adds to a
window's layers beside the changed positions, its halo, depends on the few segments to its left and
to its right only. So a bank of halos, one for each of their patterns, is made by a few whole passes
and serves every coalition of leads (:mod:`ecgxai_core.models.increments`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ecgxai_core.games.local.pieces import Layout
from ecgxai_core.models.increments import CONTEXT_ROWS, Halo, Increments
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import BoolArray, Float32Array, IntArray

__all__ = ["Windows"]

GRAIN = 4
"""Windows are a multiple of so many samples long, for fewer shapes and larger batches."""

ROWS_TOGETHER = 8
"""Rows of a design that are evaluated together, at most: small batches are slow."""

SIGNAL_BYTES = 64 * 2**20
"""Masked records that are made together, about."""

BATCH_POSITIONS = 2**15
"""Positions of one batch of windows, about: memory does not grow with segments or masks."""

BANK_BYTES = 192 * 2**20
"""A larger bank is not made; whole passes serve instead."""

WORTH_IT = 0.8
"""Windows are recomputed where that takes at most this share of the operations of whole passes."""

Signals = Callable[[BoolArray], Float32Array]
"""Segments that are on, ``bool[n, segment]`` -> masked records ``float32[n, sample, lead]``."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Segments whose windows are equally long; ``clip``: some reach beyond the record."""

    segments: IntArray
    length: int
    clip: bool


class Windows:
    """Windows of one record under one segmentation, in contexts that repeat every ``period``.

    Parameters
    ----------
    increments
        The network.
    layout
        Which positions see which segments.
    edges
        ``int64[segment + 1]``: samples.
    samples
        Length of the record.
    """

    def __init__(
        self, increments: Increments, layout: Layout, edges: IntArray, samples: int
    ) -> None:
        self._increments, self._layout = increments, layout
        self.period = max(1, layout.span)
        step, self._samples = increments.step, samples
        grain = step * -(-GRAIN // step)
        self._begin = edges[:-1] // step * step
        self._length = -(-(edges[1:] - self._begin) // grain) * grain
        self._clip = ~increments.is_inside(self._begin, self._length)
        self._length[self._clip] = self._length[self._clip].max(initial=grain)  # few: one batch
        n_segments, most = len(edges) - 1, self.period - 1
        segment, reach = np.arange(n_segments), increments.reach
        first = np.searchsorted(edges, self._begin - reach[0], side="right") - 1
        last = np.searchsorted(edges, self._begin + self._length - 1 + reach[1], side="right") - 1
        before = np.minimum(segment - np.clip(first, 0, segment), most)
        after = np.minimum(np.clip(last, segment, n_segments - 1) - segment, most)
        self._seen = before, after
        self._offset = tuple(
            np.concatenate([[0], np.cumsum(2**count)[:-1]]) for count in self._seen
        )

    @property
    def bank_bytes(self) -> int:
        """Memory of the bank of halos, made or not."""
        return sum(4 * rows * numbers for rows, numbers in self._bank_shapes)

    @property
    def bank_passes(self) -> int:
        """Whole passes that make the bank."""
        return len(self._patterns)

    @property
    def share(self) -> float:
        """Operations of one coalition of leads in every segment, as a share of those by whole
        passes, each of which has every ``period``-th segment."""
        shape = self._increments
        work = sum(len(g.segments) * shape.work(g.length) for g in self._groups)
        return work / (self.period * shape.whole_work)

    @property
    def is_worth_it(self) -> bool:
        return self.share <= WORTH_IT and self.bank_bytes <= BANK_BYTES

    def rows_together(self, corners: int, n_leads: int) -> int:
        """Rows of a design that are evaluated together; depends on nothing that was asked."""
        one = 4 * corners * self.period * self._samples * n_leads
        return int(np.clip(SIGNAL_BYTES // one, 1, ROWS_TOGETHER))

    def terms(
        self, make: Signals, contexts: BoolArray, signals: Float32Array
    ) -> list[tuple[IntArray, Float32Array]]:
        """What the blocks that see a segment add to each class, for coalitions of its leads.

        Parameters
        ----------
        make
            Makes the records of the bank.
        contexts
            ``bool[corner, bit]``: which other segments are on, as seen from the masked one; bit
            ``i`` is the segment ``i + 1`` places later, counted round the period.
        signals
            ``float32[residue, corner, sample, lead]``: records in which the leads of every
            ``period``-th segment are masked.

        Returns
        -------
        Segments and ``float32[corner, segment, block, class]``, blocks from the first that sees the
        segment on; what follows the last is meaningless.
        """
        bank = self._filled_bank(make)
        codes = self._codes(contexts)
        found = []
        for group in self._groups:
            windows = len(contexts) * len(group.segments)
            check_stop(windows * self._increments.work(group.length) / self._increments.whole_work)
            parts = [
                self._group_terms(part, bank, codes, signals)
                for part in self._parts(group, len(contexts))
            ]
            found.append((group.segments, np.concatenate(parts, axis=1)))
        return found

    # ---- inside ------------------------------------------------------------------------------

    @cached_property
    def _groups(self) -> list[_Group]:
        touching = self._layout.touching
        seen = touching[:, 1] >= touching[:, 0]
        found = []
        for length, clipped in sorted(set(zip(self._length[seen], self._clip[seen], strict=True))):
            mine = seen & (self._length == length) & (self._clip == clipped)
            found.append(_Group(np.flatnonzero(mine), int(length), bool(clipped)))
        return found

    def _parts(self, group: _Group, corners: int) -> list[_Group]:
        """A group in parts of few enough positions."""
        positions = self._increments.positions(group.length)
        most = max(1, BATCH_POSITIONS // (corners * positions))
        ends = range(most, len(group.segments), most)
        pieces = np.split(group.segments, list(ends))
        return [_Group(piece, group.length, group.clip) for piece in pieces]

    def _group_terms(
        self, group: _Group, bank: tuple[Any, Any], codes: list[IntArray], signals: Float32Array
    ) -> Float32Array:
        segments, corners = group.segments, signals.shape[1]
        begin = self._begin[segments]
        sample = np.minimum(begin[:, None] + np.arange(group.length), self._samples - 1)
        residue = (segments % self.period)[:, None]
        made = np.moveaxis(signals[residue, :, sample], 2, 0)  # [corner, segment, sample, lead]
        left, right = (self._rows(side, codes[side][:, None])[:, segments] for side in (0, 1))
        ranges = self._ranges[segments]
        found = self._increments.window_sums(
            np.ascontiguousarray(made).reshape(-1, *made.shape[2:]),
            np.tile(begin, corners),
            bank,
            (left.ravel(), right.ravel()),
            np.tile(ranges, (corners, 1, 1)),
            group.clip,
        )
        return found.reshape(corners, len(segments), *found.shape[1:])

    @cached_property
    def _ranges(self) -> IntArray:
        """``int64[segment, block, 2]``: positions of the blocks that see a segment."""
        layout = self._layout
        most = int((layout.touching[:, 1] - layout.touching[:, 0]).max()) + 1
        found = np.zeros((len(layout.touching), most, 2), dtype=np.int64)
        for own, (first, last) in zip(found, layout.touching, strict=True):
            blocks = slice(first, last + 1)
            own[: last + 1 - first, 0] = layout.start[blocks]
            own[: last + 1 - first, 1] = layout.stop[blocks]
        return found

    def _codes(self, contexts: BoolArray) -> list[IntArray]:
        """``int64[corner]``: bit ``j`` = the segment ``j + 1`` places before is on, or after."""
        bits = np.arange(contexts.shape[1])
        return [contexts[:, ::-1] @ (1 << bits), contexts @ (1 << bits)]

    def _filled_bank(self, make: Signals) -> tuple[Any, Any]:
        """The bank; a model keeps that of one record, the last."""
        kept = self._increments.kept
        if kept is not None and kept[0] is self:
            left, right = kept[1]
            return left, right
        import tensorflow as tf

        self._increments.kept = None  # not two of them at once
        left, right = self._made_bank(make)
        bank = tf.constant(left), tf.constant(right)
        self._increments.kept = self, bank
        return bank

    def _made_bank(self, make: Signals) -> tuple[Float32Array, Float32Array]:
        """``float32[row, number]``: for each segment the halo of each pattern beside it."""
        left, right = (np.zeros(shape, np.float32) for shape in self._bank_shapes)
        segment = np.arange(len(self._begin))
        for start in range(0, len(self._patterns), CONTEXT_ROWS):
            check_stop(CONTEXT_ROWS)
            part = self._patterns[start : start + CONTEXT_ROWS]
            tensors = self._increments.contexts(make(part[:, segment % self.period]))
            for row, pattern in enumerate(part):
                for side, bank in enumerate((left, right)):
                    bank[self._places(pattern)[side]] = self._halo(tensors, row, side)
        return left, right

    @property
    def _bank_shapes(self) -> list[tuple[int, int]]:
        """Rows and numbers of the bank on the left and on the right."""
        numbers = self._increments.halo_numbers
        return [(int((2**seen).sum()), n) for seen, n in zip(self._seen, numbers, strict=True)]

    @cached_property
    def _patterns(self) -> BoolArray:
        """``bool[n, residue]``: patterns of the record that fill every row, found greedily.

        Those with an even number of residues on are enough: the masked segment's own is free.
        """
        codes = np.arange(2**self.period)
        every = (codes[:, None] >> np.arange(self.period)) & 1 == 1
        every = every[every.sum(axis=1) % 2 == 0]
        rows = [shape[0] for shape in self._bank_shapes]
        places = [self._places(pattern) for pattern in every]
        both = np.array([np.concatenate([left, rows[0] + right]) for left, right in places])
        missing, chosen = np.ones(sum(rows), dtype=np.bool_), []
        while missing.any():
            chosen.append(int(np.argmax(missing[both].sum(axis=1))))
            missing[both[chosen[-1]]] = False
        return np.asarray(every[chosen], dtype=np.bool_)

    def _places(self, pattern: BoolArray) -> tuple[IntArray, IntArray]:
        """``int64[segment]``: rows of the bank, left and right, that a pattern gives."""
        segment = np.arange(len(self._begin))[:, None]
        bits = pattern[(segment + 1 + np.arange(self.period - 1)) % self.period]
        left, right = self._codes(bits)
        return self._rows(0, left), self._rows(1, right)

    def _rows(self, side: int, code: IntArray) -> IntArray:
        """Rows of the bank for what each segment sees of the codes ``[..., segment]``."""
        return np.asarray(self._offset[side] + (code & ((1 << self._seen[side]) - 1)))

    def _halo(self, tensors: list[Float32Array], row: int, side: int) -> Float32Array:
        """``float32[segment, number]``: one side's halos, one after another."""
        edge = self._begin + (self._length if side else 0)
        parts = [np.zeros((len(edge), 0), np.float32)]
        for halo in self._increments.halos:
            parts.append(_taken(tensors[halo.tensor][row], halo, edge, side))
        return np.concatenate(parts, axis=1)


def _taken(tensor: Float32Array, halo: Halo, edge: IntArray, side: int) -> Float32Array:
    """``float32[segment, number]`` of one tensor ``[position, channel]``."""
    first, end = halo.right if side else halo.left
    position = (edge // halo.step)[:, None] + np.arange(first, end)
    taken: Float32Array = tensor[np.clip(position, 0, len(tensor) - 1)]
    outside = (position < 0) | (position >= len(tensor))
    taken[outside] = halo.fill
    return taken.reshape(len(edge), (end - first) * halo.channels)
