"""Designs: which coalitions are evaluated to estimate Shapley values.

Each next row is the one that lowers the summed posterior variance of the Shapley values most
(Bayesian quadrature; greedy as in Seo et al., Gaussian process regression: active data selection
and test point rejection, IJCNN 2000). The variance does not depend on the game, so a design depends
only on the number of players and context bits and is made once.

A row is a quad of :mod:`ecgxai_core.games.gaussian`: a context and a coalition, with their
complements. It costs four evaluations, or two without contexts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ecgxai_core.errors import RunError
from ecgxai_core.games.contexts import Contexts, in_one_order
from ecgxai_core.games.gaussian import (
    JITTER,
    Kernel,
    Quads,
    complete_rows,
    context_covariance,
    context_expected,
    lead_covariance,
    lead_cross,
)
from ecgxai_core.settings import assets_dir
from ecgxai_core.store.atomic import read_arrays, write_arrays_atomic
from ecgxai_core.types import BoolArray, FloatArray, IntArray, content_seed

__all__ = ["SHIPPED_ROWS", "design"]

SHIPPED = "designs.safetensors"
SHIPPED_ROWS = 384
"""Rows of each shipped design, as far as there are so many."""

SHIPPED_PLAYERS = (8, 12)
SHIPPED_BITS = 8

CHOOSING = Kernel(rho_player=0.5, rho_context=0.8, trend=4.0)
"""The kernel by which rows are chosen: near what real games turn out to have."""

POOL = 2**16
"""Rows among which the next one is chosen, at most; from more than so many they are drawn."""

DRAWN = 2**12
"""Rows that are drawn where there are more than :data:`POOL`."""

STEPS = (32, 64, 128, 256, 512, 1024, 2048)


def design(bits: int, players: int, rows: int, *, columns: bool = False) -> Quads:
    """The first ``rows`` rows (or all) of the design for a number of context bits and players.

    With ``columns`` the design begins with the rows of all players together in every context: they
    give the sum of the Shapley values, and cost nothing where contexts are tabulated. A longer
    design begins with the same rows; the first holds the full and the empty coalition.
    """
    count = min(rows, complete_rows(bits, players))
    shipped = _shipped().get((bits, players)) if columns or not bits else None
    if shipped is not None and count <= len(shipped):
        return shipped.first(count)
    step = next((size for size in STEPS if size >= count), count)
    return _chosen(bits, players, min(step, complete_rows(bits, players)), columns).first(count)


def write_designs(path: Path) -> None:
    """Write the designs of the games that every record has: 8 or 12 leads beside up to 8 segments.

    :func:`design` makes any other at first use.
    """
    arrays = {}
    for players in SHIPPED_PLAYERS:
        for bits in range(SHIPPED_BITS + 1):
            count = min(SHIPPED_ROWS, complete_rows(bits, players))
            made = _chosen(bits, players, count, True)
            codes = np.stack([_codes(made.contexts), _codes(made.masks)], axis=1)
            arrays[f"{bits}.{players}"] = codes.astype(np.uint16)
    write_arrays_atomic(path, arrays)


@lru_cache(maxsize=1)
def _shipped() -> dict[tuple[int, int], Quads]:
    """Designs by bits and players; none where the file is missing or was changed."""
    try:
        arrays = read_arrays(assets_dir() / SHIPPED).arrays
    except RunError:
        return {}
    found = {}
    for name, codes in arrays.items():
        bits, players = (int(part) for part in name.split("."))
        found[bits, players] = Quads(_bits(codes[:, 0], bits), _bits(codes[:, 1], players))
    return found


@lru_cache(maxsize=64)
def _chosen(bits: int, players: int, count: int, columns: bool) -> Quads:
    rows = _candidates(bits, players)
    count = min(count, len(rows))
    choice = _Choice(rows, in_one_order(bits), count)
    whole = np.flatnonzero(choice.rows.masks.all(axis=1))
    order = list(range(len(whole))) if columns and bits <= SHIPPED_BITS else [0]
    for row in order[:count]:
        choice.take(row)
    while len(choice.taken) < count:
        choice.take(choice.best())
    taken = choice.taken
    return Quads(choice.rows.contexts[taken], choice.rows.masks[taken])


def _candidates(bits: int, players: int) -> Quads:
    """Rows to choose from; first the full coalition in every context, the full context first.

    A context without its first bit, or a coalition without its last player, is the complement of
    one that is there.
    """
    if complete_rows(bits, players) > POOL:
        return _drawn(bits, players)
    contexts = _bits(np.arange(2**bits - 1, -1, -1), bits)
    contexts = contexts[contexts[:, 0]] if bits else contexts
    masks = _bits(np.arange(2**players - 1, 2 ** (players - 1) - 1, -1), players)
    return Quads(np.tile(contexts, (len(masks), 1)), np.repeat(masks, len(contexts), axis=0))


def _drawn(bits: int, players: int) -> Quads:
    """Rows drawn as random orders meet them; of tabulated contexts the full coalitions are all in.

    The chance of a player to be on is itself drawn uniformly, as in the multilinear extension.
    """
    rng = np.random.default_rng(content_seed("design", bits, players))
    contexts = rng.random((DRAWN, bits)) < rng.random((DRAWN, 1))
    masks = rng.random((DRAWN, players)) < rng.random((DRAWN, 1))
    masks[: DRAWN // 16] = True
    whole = _candidates(bits, 1).contexts if bits <= SHIPPED_BITS else np.ones((1, bits), np.bool_)
    contexts = np.concatenate([whole, contexts])
    masks = np.concatenate([np.ones((len(whole), players), np.bool_), masks])
    flip_context = ~contexts[:, :1] if bits else np.zeros((len(masks), 1), np.bool_)
    both = np.concatenate([contexts ^ flip_context, masks ^ ~masks[:, -1:]], axis=1)
    _, first = np.unique(both, axis=0, return_index=True)
    both = both[np.sort(first)]
    full = both[:, bits:].all(axis=1)
    both = np.concatenate([both[full], both[~full]])
    return Quads(both[:, :bits], both[:, bits:])


@dataclass
class _Choice:
    """Posterior covariances of the rows that could be taken, given those that were."""

    rows: Quads
    contexts: Contexts
    count: int
    taken: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        expected = context_expected(self.rows.contexts, CHOOSING, self.contexts)
        self._cross: FloatArray = lead_cross(self.rows.masks, CHOOSING) * expected
        self._left: FloatArray = np.full(len(self.rows), 1.0 + JITTER)
        self._known = np.zeros((self.count, len(self.rows)))

    def best(self) -> int:
        """The row that lowers the variance most; of equals the first."""
        gain = (self._cross**2).sum(axis=0) / np.maximum(self._left, JITTER)
        gain[self._left < 10 * JITTER] = -1.0  # known from the others
        gain[self.taken] = -2.0
        return int(np.argmax(np.round(gain / gain.max(), 9)))

    def take(self, row: int) -> None:
        """Condition on one more row (one step of a pivoted Cholesky decomposition)."""
        one = slice(row, row + 1)
        rows = self.rows
        column = lead_covariance(rows.masks[one], rows.masks, CHOOSING)[0]
        column *= context_covariance(rows.contexts[one], rows.contexts, CHOOSING)[0]
        column[row] += JITTER
        known = self._known[: len(self.taken)]
        column -= np.einsum("ij,i->j", known, known[:, row])
        root = np.sqrt(self._left[row])
        step = column / root
        self._cross = self._cross - (self._cross[:, one] / root) * step
        self._left = self._left - step**2
        self._known[len(self.taken)] = step
        self.taken.append(row)


def _codes(bits: BoolArray) -> IntArray:
    return np.asarray(bits @ (1 << np.arange(bits.shape[1])), dtype=np.int64).reshape(len(bits))


def _bits(codes: IntArray, count: int) -> BoolArray:
    wide = np.asarray(codes, dtype=np.int64)
    return np.asarray((wide[:, None] >> np.arange(count)) & 1 == 1, dtype=np.bool_)
