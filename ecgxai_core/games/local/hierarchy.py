"""Hierarchical Shapley values of a local network: maps whose columns and total add up.

On the scale before the activation the network is a sum over blocks of positions, and so are its
Shapley values. Each block sees a segment and a few others, so its part of the game is small: its
sum over the leads is exact, and the leads' shares follow from all its quads, or from those of a
chosen design by a Gaussian process (:mod:`ecgxai_core.games.gaussian`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ecgxai_core.games.contexts import Contexts, in_one_order, in_two_orders
from ecgxai_core.games.designs import design
from ecgxai_core.games.gaussian import (
    KERNELS,
    PLAIN_KERNELS,
    Kernel,
    Quads,
    complete_rows,
    context_weights,
    error_bound,
    exact_weights,
    solver,
)
from ecgxai_core.games.local.game import LocalGame
from ecgxai_core.games.local.windows import Windows
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import BoolArray, Float32Array, FloatArray, IntArray

__all__ = ["CORNERS", "LocalMap", "LocalQuads", "local_map"]

CORNERS = 4
"""Coalitions of a quad, each one pass for every ``period``-th segment."""

Report = Callable[[int, int], None]


class LocalQuads:
    """Quads of every block and every segment that it sees, as far as they have been evaluated.

    No position of a local network sees two segments that lie ``period`` apart. So one pass of the
    whole record plays the leads of every ``period``-th segment together: what a block of positions
    adds to the output depends on the one such segment that it sees, and on at most ``period - 1``
    others, its context. Context bit ``i`` is the segment ``i + 1`` places later, counted round the
    period, so the last bit is the segment before. Quads are kept for all classes: they depend
    neither on the target nor on the hierarchy.

    Parameters
    ----------
    game
        Coalitions of a network with a linear head.
    players
        ``int64[player]``: rows of the model's lead axis that are masked by themselves.
    windows
        For recomputation where the leads of a segment change; ``None`` = whole passes.

    Attributes
    ----------
    segment, block
        ``int64[pair]``: the segments, and the blocks that see each.
    period
        Distance of segments that no block sees together.
    n_segments, n_players, bits
        Segments of the record, leads that are masked by themselves, bits of a context.
    """

    def __init__(self, game: LocalGame, players: IntArray, windows: Windows | None = None) -> None:
        self._game, self._players, self._windows = game, players, windows
        layout = game.layout
        self.period = max(1, layout.span)
        self.n_segments, self.n_players, self.bits = game.n_segments, len(players), self.period - 1
        pairs = [
            (segment, block)
            for segment, (first, last) in enumerate(layout.touching)
            for block in range(first, last + 1)
        ]
        self.segment, self.block = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        self._chunks: list[FloatArray] = []
        self._kinds: dict[tuple[int, bytes], list[_Kind]] = {}

    @property
    def columns(self) -> int:
        """Rows of the design with all leads together; they come from the table of patterns."""
        return int(2 ** max(0, self.bits - 1))

    @property
    def complete(self) -> int:
        return complete_rows(self.bits, self.n_players)

    @property
    def nbytes(self) -> int:
        return sum(chunk.nbytes for chunk in self._chunks)

    @property
    def known(self) -> int:
        return sum(len(chunk) for chunk in self._chunks)

    def design(self, rows: int) -> Quads:
        """The first rows of the design."""
        return design(self.bits, self.n_players, rows, columns=True)

    def passes(self, rows: int) -> int:
        """Passes of a whole record for so many rows of the design, the table's not counted."""
        return max(0, min(rows, self.complete) - self.columns) * self._corners * self.period

    def work(self, rows: int) -> float:
        """Floating-point operations of so many rows, in those of a pass of a whole record."""
        passes, windows = self.passes(rows), self._windows
        if windows is None or not passes:
            return float(passes)
        return windows.bank_passes + windows.share * passes

    @property
    def _corners(self) -> int:
        return CORNERS if self.bits else 2

    @cached_property
    def worth(self) -> FloatArray:
        """``float64[class]``: the intact record's value less that of the fully masked one."""
        terms, layout = self._game.class_terms(), self._game.layout
        intact = (1 << (layout.last - layout.first + 1)) - 1
        blocks = np.arange(len(terms))
        return np.asarray((terms[blocks, intact] - terms[:, 0]).sum(axis=0))

    @cached_property
    def neighbours(self) -> list[tuple[int, ...]]:
        """For each pair the context bits that its block sees, rising."""
        layout, found = self._game.layout, []
        for segment, block in zip(self.segment, self.block, strict=True):
            seen = range(int(layout.first[block]), int(layout.last[block]) + 1)
            bits = {(other - segment) % self.period - 1 for other in seen if other != segment}
            found.append(tuple(sorted(int(bit) for bit in bits)))
        return found

    def other(self, pair: int, bit: int) -> int:
        """The segment that a context bit of a pair stands for."""
        segment, block = int(self.segment[pair]), int(self.block[pair])
        first = int(self._game.layout.first[block])
        ahead = (segment + bit + 1 - first) % self.period
        return first + ahead

    def kinds(self, rows: int, groups: IntArray | None) -> list[_Kind]:
        """Pairs by what their blocks see of the first rows, made once for all targets."""
        key = rows, b"" if groups is None else groups.tobytes()
        if key not in self._kinds:
            self._kinds[key] = _kinds(self, rows, groups)
        return self._kinds[key]

    def quads(self, rows: int, report: Report | None = None) -> FloatArray:
        """``float64[row, pair, class]`` for the first rows of the design, on the scale before the
        activation; what is not known yet is evaluated.

        ``report`` is called with (rows done, rows wanted).
        """
        rows = min(rows, self.complete)
        if not self._chunks:
            self._chunks.append(self._column_quads())
        while self.known < rows:
            self._chunks.append(self._next(self.known))
            if report is not None:
                report(min(self.known, rows), rows)
        if len(self._chunks) > 1:
            self._chunks = [np.concatenate(self._chunks)]
        return self._chunks[0][:rows]

    # ---- computing ---------------------------------------------------------------------------

    def _column_quads(self) -> FloatArray:
        """Quads of all leads together, from the table."""
        design, terms = self.design(self.columns), self._game.class_terms()
        found = np.empty((len(design), len(self.segment), terms.shape[2]))
        layout = self._game.layout
        for row, context in enumerate(design.contexts):
            total: FloatArray = np.zeros(found.shape[1:])
            for bits in (context, ~context):
                code = np.zeros(len(self.segment), dtype=np.int64)
                own = np.zeros_like(code)
                for place in range(self.period):
                    at = layout.first[self.block] + place
                    ahead = (at - self.segment) % self.period
                    on = np.concatenate([[False], bits])[ahead] & (at <= layout.last[self.block])
                    code += on.astype(np.int64) << place
                    own += (at == self.segment).astype(np.int64) << place
                total += terms[self.block, code + own] - terms[self.block, code]
            found[row] = total / 4.0
        return found

    def _next(self, row: int) -> FloatArray:
        """``float64[row, pair, class]`` of the next rows: by windows several at once, always the
        same, so that what is known already has no say."""
        if self._windows is None:
            return self._evaluated(row)[None]
        together = self._windows.rows_together(self._corners, self._game.n_leads)
        return self._recomputed(self._windows, range(row, min(row + together, self.complete)))

    def _evaluated(self, row: int) -> FloatArray:
        """``float64[pair, class]``: one row of the design, by whole passes."""
        corners = [(c[row], m[row]) for c, m in self.design(row + 1).corners()]
        found: FloatArray = np.empty((len(self.segment), self._game.n_classes))
        for residue in range(self.period):
            mine = np.flatnonzero(self.segment % self.period == residue)
            keep = np.stack([self._keep(residue, *corner) for corner in corners])
            one = self._game.block_terms(keep)[:, self.block[mine]]
            found[mine] = (one[::2] - one[1::2]).mean(axis=0) / 2.0
        return found

    def _recomputed(self, windows: Windows, rows: range) -> FloatArray:
        """``float64[row, pair, class]``: rows of the design, by windows."""
        game = self._game
        corners = [
            (context, mask)
            for contexts, masks in self.design(rows.stop).corners()
            for context, mask in zip(contexts[rows.start :], masks[rows.start :], strict=True)
        ]
        keep = [
            np.stack([self._keep(residue, *corner) for corner in corners])
            for residue in range(self.period)
        ]
        signals = np.stack([game.signals(own) for own in keep])
        contexts = np.stack([context for context, _ in corners])
        found: FloatArray = np.empty((len(rows), len(self.segment), game.n_classes))
        place = self.block - game.layout.touching[self.segment, 0]
        for segments, terms in windows.terms(self._whole_segments, contexts, signals):
            one = terms.astype(np.float64) / game.network.local.positions
            one = one.reshape(-1, len(rows), *one.shape[1:])
            quads = (one[::2] - one[1::2]).mean(axis=0) / 2.0
            mine = np.flatnonzero(np.isin(self.segment, segments))
            at = np.searchsorted(segments, self.segment[mine])
            found[:, mine] = quads[:, at, place[mine]]
        return found

    def _whole_segments(self, on: BoolArray) -> Float32Array:
        """Masked records of segments that are on, ``bool[n, segment]``."""
        return self._game.signals(np.repeat(on[:, None], self._game.n_leads, axis=1))

    def _keep(self, residue: int, context: BoolArray, mask: BoolArray) -> BoolArray:
        """``bool[lead, segment]``: leads of one residue class, the others as the context says."""
        game = self._game
        ahead = (np.arange(game.n_segments) - residue) % self.period
        on = np.concatenate([[False], context])[ahead]
        keep = np.repeat(on[None], game.n_leads, axis=0)
        keep[np.ix_(self._players, ahead == 0)] = mask[:, None]
        return keep


CHOOSING_ROWS = 64
"""Rows beyond the tabulated ones on which kernels are compared: hundreds of blocks share one."""


@dataclass(frozen=True, slots=True)
class LocalMap:
    """Hierarchical Shapley values of leads in segments.

    ``values``, ``errors`` ``float64[player, segment]``: values on the scale before the activation,
    and standard errors; ``columns`` ``float64[segment]``: exact values of the segments; ``rows`` of
    the design were used, all that there are where ``exact``.
    """

    values: FloatArray
    errors: FloatArray
    columns: FloatArray
    rows: int
    exact: bool

    @property
    def error_bound(self) -> float:
        """What the norm of all errors stays below with a confidence of 95 %."""
        return error_bound(self.errors**2)


@dataclass(frozen=True)
class _Kind:
    """Pairs whose blocks see the same context bits, joined in the same way.

    ``rows`` are the rows of the design that differ for them; ``quads`` what they look like, and
    ``choosing`` those on which kernels are compared, whether evaluated or not.
    """

    pairs: IntArray
    contexts: Contexts
    quads: Quads
    rows: IntArray
    choosing: Quads


def local_map(
    quads: LocalQuads,
    combination: FloatArray,
    rows: int,
    groups: IntArray | None = None,
    report: Report | None = None,
) -> LocalMap:
    """Hierarchical Shapley values from the first ``rows`` rows of the design.

    Parameters
    ----------
    quads, report
        The network's quads; called while they are evaluated.
    combination
        ``float64[class]``: which sum of classes is explained.
    groups
        ``int64[segment]``: the group of each (beats > waves > leads, Winter); ``None`` = segments
        > leads (Owen).
    """
    rows = min(rows, quads.complete)
    values = np.einsum("rpc,c->rp", quads.quads(rows, report), combination)
    kinds = quads.kinds(rows, groups)
    by_pair = np.zeros((len(quads.segment), quads.n_players))
    columns = np.zeros(len(by_pair))
    spread = np.zeros((int(quads.segment.max()) + 1, quads.n_players, rows))
    kernel = _kernel(quads, values, kinds)
    exact = True
    for kind in kinds:
        check_stop()  # hundreds of rows take a tenth of a second each
        own = values[kind.rows][:, kind.pairs]
        whole = kind.quads.masks.all(axis=1)
        chance = context_weights(kind.quads.contexts[whole], kind.contexts)
        columns[kind.pairs] = 2.0 * np.einsum("r,rp->p", chance, own[whole])
        if len(kind.rows) == complete_rows(kind.contexts.n_bits, quads.n_players):
            weights = exact_weights(kind.quads, kind.contexts)
            by_pair[kind.pairs] = np.einsum("rj,rp->pj", weights, own)
            continue
        exact = False
        one = solver(kind.quads, kernel, kind.contexts)
        innovations = one.innovations(own)
        by_pair[kind.pairs] = one.mean(innovations).T
        deviation = np.sqrt(np.maximum(0.0, np.diag(one.covariance(len(own)))))
        _add_spread(spread, quads.segment[kind.pairs], deviation, innovations, kind.rows)
    # blocks are added up by segment; what a column lacks is spread evenly over its leads
    summed, total = np.zeros((quads.n_segments, quads.n_players)), np.zeros(quads.n_segments)
    np.add.at(summed, quads.segment, by_pair)
    np.add.at(total, quads.segment, columns)
    summed += ((total - summed.sum(axis=1)) / quads.n_players)[:, None]
    errors = np.zeros_like(summed)
    errors[: len(spread)] = np.sqrt((spread**2).sum(axis=2))
    return LocalMap(summed.T, errors.T, total, rows, exact)


def _kinds(quads: LocalQuads, rows: int, groups: IntArray | None) -> list[_Kind]:
    found: dict[tuple[tuple[int, ...], Contexts], list[int]] = {}
    for pair, bits in enumerate(quads.neighbours):
        contexts = in_one_order(len(bits))
        if groups is not None:
            others = groups[[quads.other(pair, bit) for bit in bits]]
            contexts = in_two_orders(others, int(groups[quads.segment[pair]]))
        found.setdefault((bits, contexts), []).append(pair)
    design, compared = quads.design(rows), quads.design(quads.columns + CHOOSING_ROWS)
    kinds = []
    for (bits, contexts), pairs in found.items():
        seen, at = design.seen_by(bits)
        choosing, _ = compared.seen_by(bits)
        kinds.append(_Kind(np.array(pairs, dtype=np.int64), contexts, seen, at, choosing))
    return kinds


def _kernel(quads: LocalQuads, values: FloatArray, kinds: list[_Kind]) -> Kernel:
    """The kernel under which all blocks together are most likely."""
    grid = KERNELS if quads.bits else PLAIN_KERNELS
    limit = quads.columns + CHOOSING_ROWS
    likelihood = np.zeros(len(grid))
    for kind in kinds:
        rows = kind.rows[kind.rows < limit]
        own = values[rows][:, kind.pairs]
        own = own[:, np.any(own, axis=0)]
        for place, kernel in enumerate(grid):
            check_stop()
            one = solver(kind.choosing, kernel, kind.contexts)  # its first rows are these
            likelihood[place] += one.log_likelihood(one.innovations(own)).sum()
    return grid[int(np.argmax(likelihood))]


def _add_spread(
    spread: FloatArray,
    segment: IntArray,
    deviation: FloatArray,
    innovations: FloatArray,
    rows: IntArray,
) -> None:
    """Add up posterior deviations of blocks, in the direction of their innovations.

    The errors of the blocks of one segment are correlated. Their covariance is taken as the
    correlation of their innovations times their own posterior deviations, so the variance of a
    segment's sum is the squared norm of the summed (deviation x innovations).
    """
    scaled = innovations / np.sqrt(len(rows))
    for place, own in enumerate(segment):
        spread[own][:, rows] += deviation[:, None] * scaled[:, place]
