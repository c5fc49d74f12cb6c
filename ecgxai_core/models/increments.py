"""Layer-by-layer recomputation: of a local network, only the positions that a change reaches.

A change of ``w`` samples changes, after a layer with the receptive field ``r``, at most
``w + r - 1`` positions. All others are those of a record that is known already, the context. So
each layer runs on the changed positions and on as many of the context's beside them (the halo) as
its kernel needs; strides, dilation, pooling, residual sums and the borders of the record included.
Nakandala, Kumar and Papakonstantinou, Incremental and approximate inference for faster
occlusion-based deep CNN explanations, SIGMOD 2019.

:mod:`ecgxai_core.models.keras_increments` reads the operations from a Keras graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ecgxai_core.types import Float32Array, FloatArray, IntArray

__all__ = ["LOWEST", "Halo", "Increments", "Node"]

LOWEST = float(np.finfo(np.float32).min)
"""What lies outside a record for a maximum."""

CONTEXT_ROWS = 4
"""Contexts that go through the network together."""


@dataclass(frozen=True)
class Node:
    """One operation. Position ``p`` takes the positions ``p * stride - left`` to ``+ reach`` of its
    sources, sees the samples ``p * step + first`` to ``+ last``, and outside a source stands
    ``fill``.

    ``make`` takes ``[n, 1, position, channel]`` of each source, already padded; ``counts``: an
    average over what lies inside only. ``work``: multiplications and additions of one position.
    """

    make: Callable[..., Any] | None
    sources: tuple[int, ...] = ()
    stride: int = 1
    left: int = 0
    reach: int = 0
    fill: float = 0.0
    counts: bool = False
    work: int = 0
    step: int = 1
    first: int = 0
    last: int = 0
    length: int = 0
    channels: int = 0

    @property
    def low(self) -> int:
        """First position, after that of the window, that a change reaches."""
        return -(self.last // self.step)

    @property
    def high(self) -> int:
        """Last such position, less the window's length in positions."""
        return (-1 - self.first) // self.step


@dataclass(frozen=True, slots=True)
class Halo:
    """Positions of one tensor of the context that a layer needs beside the changed ones.

    ``tensor``: which of :meth:`Increments.contexts`; ``step`` samples from one of its positions to
    the next; ``left`` and ``right``: first and past-the-last position, relative to the window's
    first and past-the-last one; ``fill``: what stands outside the record.
    """

    tensor: int
    step: int
    left: tuple[int, int]
    right: tuple[int, int]
    fill: float
    channels: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers that it takes on either side."""
        left, right = self.left, self.right
        return (left[1] - left[0]) * self.channels, (right[1] - right[0]) * self.channels


class Increments:
    """The local part of a network, recomputed where a window of the record changes.

    Parameters
    ----------
    nodes
        Operations in an order in which they can be computed; the first is the input, the last what
        is pooled.
    head
        ``float64[channel, class]``: what a position adds to each class.

    Attributes
    ----------
    kept
        Place for one record's halos and whose they are: they are large, so a model has one.
    """

    def __init__(self, nodes: list[Node], head: FloatArray) -> None:
        self._nodes = nodes
        self._head = np.asarray(head, dtype=np.float32)
        self.step = nodes[-1].step
        self._edges = _edges(nodes)
        self._kept = list(dict.fromkeys(source for source, *_ in self.halo_keys))
        self._compiled: dict[bool, Any] = {}
        self.kept: tuple[Any, Any] | None = None

    # ---- geometry ----------------------------------------------------------------------------

    @cached_property
    def halos(self) -> list[Halo]:
        """What a window needs of its context."""
        found = []
        for source, need_low, need_high, fill in self.halo_keys:
            node = self._nodes[source]
            left = (need_low, max(need_low, node.low))
            right = (min(node.high, need_high) + 1, need_high + 1)
            place = self._kept.index(source)
            found.append(Halo(place, node.step, left, right, fill, node.channels))
        return found

    @cached_property
    def halo_numbers(self) -> tuple[int, int]:
        """Numbers that all halos take on the left and on the right."""
        left, right = (sum(halo.sizes[side] for halo in self.halos) for side in (0, 1))
        return left, right

    @property
    def reach(self) -> tuple[int, int]:
        """Samples before and after a window on which its halo depends."""
        low = high = 0
        for halo in self.halos:
            node = self._nodes[self._kept[halo.tensor]]
            if halo.sizes[0]:
                low = min(low, halo.left[0] * node.step + node.first)
            if halo.sizes[1]:
                high = max(high, (halo.right[1] - 1) * node.step + node.last + 1)
        return -low, high

    @property
    def first_position(self) -> int:
        """First changed position, after that of the window."""
        return self._nodes[-1].low

    def is_inside(self, begin: IntArray, length: IntArray) -> Any:
        """``bool[window]``: neither the window nor its halo reaches beyond the record."""
        inside = np.ones(len(begin), dtype=np.bool_)
        for node in self._nodes:
            for source in node.sources:
                low, high = _needed(node)
                of = self._nodes[source]
                inside &= begin // of.step + low >= 0
                inside &= (begin + length) // of.step + high < of.length
        return inside

    @property
    def whole_work(self) -> int:
        """Floating-point operations of one pass of the whole record."""
        return sum(node.work * node.length for node in self._nodes)

    def positions(self, length: int) -> int:
        """Changed positions of what is pooled, for a window of so many samples."""
        last = self._nodes[-1]
        return length // last.step + last.high - last.low + 1

    def work(self, length: int) -> int:
        """Floating-point operations of one window of so many samples."""
        return sum(
            node.work * (length // node.step + node.high - node.low + 1) for node in self._nodes
        )

    # ---- computing ---------------------------------------------------------------------------

    def contexts(self, signals: Float32Array) -> list[Float32Array]:
        """``float32[n, position, channel]`` of each tensor that halos are taken from.

        ``signals`` is ``float32[n, sample, lead]``, at most :data:`CONTEXT_ROWS` of them.
        """
        rows = len(signals)
        batch = np.zeros((CONTEXT_ROWS, *signals.shape[1:]), dtype=np.float32)
        batch[:rows] = signals
        return [np.asarray(found)[:rows, 0] for found in self._whole(batch)]

    def window_sums(
        self,
        signals: Float32Array,
        begin: IntArray,
        halos: tuple[Any, Any],
        rows: tuple[IntArray, IntArray],
        ranges: IntArray,
        clip: bool,
    ) -> Float32Array:
        """What ranges of positions add to each class, where a window of the record was changed.

        Parameters
        ----------
        signals
            ``float32[n, sample, lead]``: the changed windows, a multiple of the stride long.
        begin
            ``int64[n]``: their first samples, multiples of the stride.
        halos
            Two tables ``float32[row, number]``: halos on the left and on the right, one after
            another.
        rows
            ``int64[n]`` each: the row of each table for every window.
        ranges
            ``int64[n, range, 2]``: first and past-the-last position of the record; all are reached
            by the window.
        clip
            Whether any window is not :meth:`is_inside`.

        Returns
        -------
        ``float32[n, range, class]``.
        """
        at = begin // self.step
        ranges = ranges - (at + self.first_position)[:, None, None]
        with_limits = self._function(clip)
        found = with_limits(
            signals,
            at.astype(np.int32),
            *halos,
            *(one.astype(np.int32) for one in rows),
            ranges.astype(np.int32),
        )
        return np.asarray(found)

    # ---- inside ------------------------------------------------------------------------------

    @cached_property
    def halo_keys(self) -> list[tuple[int, int, int, float]]:
        """The edges that take anything of the context: (operation, first, last, fill)."""
        found = []
        for edge in dict.fromkeys(self._edges):
            source, need_low, need_high, _ = edge
            node = self._nodes[source]
            if need_low < node.low or need_high > node.high:
                found.append(edge)
        return found

    @cached_property
    def _whole(self) -> Any:
        import tensorflow as tf

        first = self._nodes[0]

        def run(batch: Any) -> list[Any]:
            known = self._run(batch[:, None], _Whole())
            return [known[source] for source in self._kept]

        shape = tf.TensorSpec((CONTEXT_ROWS, first.length, first.channels), tf.float32)
        return tf.function(run, input_signature=[shape], autograph=False)

    def _function(self, clip: bool) -> Any:
        if clip not in self._compiled:
            self._compiled[clip] = self._window_function(clip)
        return self._compiled[clip]

    def _window_function(self, clip: bool) -> Any:
        import tensorflow as tf

        def run(
            signals: Any, at: Any, left: Any, right: Any, lefts: Any, rights: Any, ranges: Any
        ) -> Any:
            sides = tf.gather(left, lefts), tf.gather(right, rights)
            assemble = _Window(self, at, sides, clip)
            features = self._run(signals[:, None], assemble)[-1]
            if clip:
                last = self._nodes[-1]
                inside = assemble.inside(last, last.low, tf.shape(features)[2])
                features = tf.where(inside, features, 0.0)
            features = features[:, 0]
            position = tf.range(tf.shape(features)[1])
            chosen = (position >= ranges[..., :1]) & (position < ranges[..., 1:])
            sums = tf.matmul(tf.cast(chosen, tf.float32), features)
            return tf.tensordot(sums, tf.constant(self._head), axes=1)

        left, right = self.halo_numbers
        signature = [
            tf.TensorSpec((None, None, self._nodes[0].channels), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, left), tf.float32),
            tf.TensorSpec((None, right), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, None, 2), tf.int32),
        ]
        return tf.function(run, input_signature=signature, autograph=False)

    def _run(self, start: Any, assemble: _Whole | _Window) -> list[Any]:
        """The value of every node, ``[n, 1, position, channel]``."""
        import tensorflow as tf

        known = [start]
        for node in self._nodes[1:]:
            assert node.make is not None
            given = [assemble(node, s, self._nodes[s], known[s]) for s in node.sources]
            made = node.make(*given)
            if node.counts:
                inside = assemble.inside_of(node, self._nodes[node.sources[0]], given[0])
                if inside is not None:
                    made = tf.math.divide_no_nan(made, node.make(inside))
            known.append(made)
        return known


class _Whole:
    """What operations take where the whole record is computed."""

    def __call__(self, node: Node, place: int, source: Node, value: Any) -> Any:
        import tensorflow as tf

        right = (node.length - 1) * node.stride - node.left + node.reach + 1 - source.length
        if not node.left and right <= 0:
            return value[:, :, : source.length + right]
        padding = [[0, 0], [0, 0], [node.left, max(0, right)], [0, 0]]
        end = node.left + source.length + right
        return tf.pad(value, padding, constant_values=node.fill)[:, :, :end]

    def inside_of(self, node: Node, source: Node, given: Any) -> Any:
        """``[n, 1, position, 1]``: 1 inside the record, 0 in the padding."""
        import tensorflow as tf

        ones = tf.ones([1, 1, source.length, 1])
        return self(replace(node, fill=0.0), 0, source, ones)


class _Window:
    """What operations take where a window is computed: the halo, what has changed, the halo."""

    def __init__(self, owner: Increments, at: Any, sides: tuple[Any, Any], clip: bool) -> None:
        import tensorflow as tf

        self._owner, self._at, self._clip = owner, at, clip
        self._known: dict[Any, Any] = {}
        self._halos: dict[Any, tuple[list[Any], list[Any]]] = {}
        places = [0, 0]
        for key, halo in zip(owner.halo_keys, owner.halos, strict=True):
            pieces: tuple[list[Any], list[Any]] = [], []
            for side, size in enumerate(halo.sizes):
                if size:
                    own = sides[side][:, places[side] : places[side] + size]
                    shape = [-1, 1, size // halo.channels, halo.channels]
                    pieces[side].append(tf.reshape(own, shape))
                places[side] += size
            self._halos[key] = pieces

    def __call__(self, node: Node, place: int, source: Node, value: Any) -> Any:
        import tensorflow as tf

        low, high = _needed(node)
        key = place, low, high, node.fill
        if key not in self._known:
            end = tf.shape(value)[2] - max(0, source.high - high)
            parts = [value[:, :, max(0, low - source.low) : end]]
            if key in self._halos:
                left, right = self._halos[key]
                parts = [*left, *parts, *right]
            made = tf.concat(parts, axis=2) if len(parts) > 1 else parts[0]
            if self._clip:
                made = tf.where(self.inside(source, low, tf.shape(made)[2]), made, node.fill)
            self._known[key] = made
        return self._known[key]

    def inside(self, node: Node, low: int, length: Any) -> Any:
        """``bool[n, 1, position, 1]``: which positions from ``low`` on the record has."""
        import tensorflow as tf

        begin = self._at * (self._owner.step // node.step) + low
        position = begin[:, None] + tf.range(length)
        return ((position >= 0) & (position < node.length))[:, None, :, None]

    def inside_of(self, node: Node, source: Node, given: Any) -> Any:
        """1 inside the record, 0 outside; ``None`` where nothing is outside."""
        import tensorflow as tf

        if not self._clip:
            return None
        inside = self.inside(source, _needed(node)[0], tf.shape(given)[2])
        return tf.cast(inside, tf.float32)


def _needed(node: Node) -> tuple[int, int]:
    """Of each source, the first position needed and the last, as ``low`` and ``high`` say."""
    low = node.low * node.stride - node.left
    return low, node.high * node.stride - node.left + node.reach


def _edges(nodes: list[Node]) -> list[tuple[int, int, int, float]]:
    return [(source, *_needed(node), node.fill) for node in nodes for source in node.sources]
