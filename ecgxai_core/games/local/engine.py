"""Which engine plays the games of a model: the exact local one where its self-check passes.

The geometry of a network is read from its graph and then tested: a changed sample may affect only
the positions whose receptive field has it, and random coalitions must get the probabilities of the
whole model. Otherwise the local engine is off, with the reason. Recomputation layer by layer is
tried against whole passes in the same way, when it is first wanted.
"""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgxai_core.games.local.game import LocalGame, LocalPart
from ecgxai_core.games.local.hierarchy import LocalQuads
from ecgxai_core.games.local.windows import Windows
from ecgxai_core.models.locality import NotLocal
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.types import BoolArray, Float32Array, content_seed

__all__ = ["TOLERANCE", "Engine", "engine_of", "receptive_field", "windows_of"]

log = logging.getLogger(__name__)

CHECKED = 16
"""Random coalitions of each game that are compared with the whole model."""

TOLERANCE = 1e-4
"""Largest difference in probability with which the local engine stays on."""

CHECK_SEC = 0.5
TYPICAL_MV = {"mV": 0.3, "uV": 300.0, "adc": 300.0}


@dataclass(frozen=True, slots=True)
class Engine:
    """How the games of one model are played.

    ``part`` is the local part of the network, or ``None``: whole forward passes, for a ``reason``.
    ``error`` is the largest difference in probability from the whole model in the self-check,
    ``None`` where there was none.
    """

    part: LocalPart | None
    reason: str = ""
    error: float | None = None

    @property
    def name(self) -> str:
        """``local`` or ``whole``."""
        return "whole" if self.part is None else "local"


_engines: weakref.WeakKeyDictionary[Any, Engine] = weakref.WeakKeyDictionary()
_recomputes: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
_lock = threading.RLock()


def engine_of(classifier: Classifier) -> Engine:
    """The engine for a classifier, checked at first use and kept as long as the classifier."""
    with _lock:
        try:
            known = _engines.get(classifier)
        except TypeError:  # cannot be kept
            return Engine(None, "the classifier offers no local part")
        if known is None:
            known = _engines[classifier] = _checked(classifier)
        return known


def windows_of(classifier: Classifier, game: LocalGame) -> Windows | None:
    """Windows in which the leads of a game's segments are recomputed layer by layer.

    ``None`` where whole passes are less work, where the graph holds what is not known there, and
    where windows differ from whole passes. That is tried at first use.
    """
    increments = game.network.increments
    if isinstance(increments, str):
        return None
    windows = Windows(increments, game.layout, game.edges, game.network.local.samples)
    if not windows.is_worth_it:
        return None
    with _lock:
        if classifier not in _recomputes:
            _recomputes[classifier] = _same_in_windows(classifier, game.network)
        return windows if _recomputes[classifier] else None


def receptive_field(part: LocalPart, fs: float) -> str:
    """The receptive field of a local network, in words."""
    field = part.local.field / fs
    text = f"{field * 1000:.0f} ms" if field < 1 else f"{field:.1f} s"
    return f"{text}, regardless of order beyond"


def _checked(classifier: Classifier) -> Engine:
    cut = getattr(classifier, "local_part", None)
    if cut is None:
        return Engine(None, "the classifier offers no local part")
    part = cut()
    if isinstance(part, NotLocal):
        return Engine(None, part.reason)
    try:
        reason, error = _self_check(classifier, part)
    except Exception as fault:  # whatever TensorFlow raises
        log.warning("the local engine is off: %s: %s", type(fault).__name__, fault)
        return Engine(None, f"the self-check failed ({type(fault).__name__})")
    if reason:
        log.warning("the local engine is off: %s", reason)
        return Engine(None, reason, error)
    return Engine(part, "", error)


def _self_check(classifier: Classifier, part: LocalPart) -> tuple[str, float | None]:
    """Why the local engine may not be used (empty: it may), and its largest error."""
    manifest = classifier.manifest
    local = part.local
    length = max(round(CHECK_SEC * manifest.fs), local.field)
    n_segments = manifest.samples // length
    if n_segments < 2:
        return f"one position sees {local.field} of {manifest.samples} samples", None
    rng = np.random.default_rng(content_seed("engine check", classifier.digest))
    values, baseline = (_noise(manifest, rng) for _ in range(2))
    reason = _reach_differs(part, values)
    if reason:
        return reason, None
    edges = np.linspace(0, manifest.samples, n_segments + 1).astype(np.int64)
    game = LocalGame(part, values, baseline, edges)
    keep = _coalitions(len(manifest.leads), n_segments, rng)
    plans = [(row, plan) for row, plan in enumerate(game.plans(keep)) if plan is not None]
    rows = [row for row, _ in plans]
    found = part.probabilities(game.pooled(keep[rows], [plan for _, plan in plans]))
    segment = np.clip(np.searchsorted(edges, np.arange(len(values)), "right") - 1, 0, None)
    by_sample = keep[rows][:, :, np.minimum(segment, n_segments - 1)].transpose(0, 2, 1)
    right = classifier.predict(np.where(by_sample, values, baseline).astype(np.float32))
    error = float(np.abs(found.astype(np.float64) - right).max())
    if not error <= TOLERANCE:
        return f"its probabilities differ from the whole model's by up to {error:.2g}", error
    return "", error


def _same_in_windows(classifier: Classifier, part: LocalPart) -> bool:
    """Whether quads by windows are those by whole passes: short segments and long ones, in the
    middle and at both ends of the record."""
    manifest, local = classifier.manifest, part.local
    rng = np.random.default_rng(content_seed("window check", classifier.digest))
    values, baseline = (_noise(manifest, rng) for _ in range(2))
    short, middle, end = max(2, local.field // 3), manifest.samples // 2, manifest.samples
    edges = np.unique([0, short, 2 * short, middle, middle + short, end - short, end])
    game, players = LocalGame(part, values, baseline, edges), np.arange(values.shape[1])
    increments = part.increments
    assert not isinstance(increments, str)
    windows = Windows(increments, game.layout, edges, local.samples)
    try:
        passes, recomputed = (LocalQuads(game, players, how) for how in (None, windows))
        rows = passes.columns + 1
        error = np.abs(passes.quads(rows)[-1] - recomputed.quads(rows)[-1]).sum(axis=0).max()
    except Exception as fault:  # whatever TensorFlow raises
        log.warning("no recomputation by layers: %s: %s", type(fault).__name__, fault)
        return False
    if not error <= TOLERANCE:
        log.warning("no recomputation by layers: it differs by up to %.2g on the logit", error)
        return False
    return True


def _noise(manifest: Manifest, rng: np.random.Generator) -> Float32Array:
    """``float32[sample, lead]``: smooth noise of the size of an ECG as the model sees it."""
    size = TYPICAL_MV[manifest.units] if manifest.normalisation.kind == "none" else 1.0
    shape = (manifest.samples, len(manifest.leads))
    rough = rng.standard_normal(shape)
    smooth = np.cumsum(rough, axis=0) / np.sqrt(manifest.samples)
    return np.asarray(size * (0.5 * rough + smooth), dtype=np.float32)


def _coalitions(n_leads: int, n_segments: int, rng: np.random.Generator) -> BoolArray:
    """Random coalitions of the event game, the lead-in-event game and the cell game."""
    keep = np.ones((3 * CHECKED, n_leads, n_segments), dtype=np.bool_)
    keep[:CHECKED] = (rng.random((CHECKED, n_segments)) < 0.5)[:, None]
    for row in range(CHECKED, 3 * CHECKED):
        # borders first; in the cell game two to five neighbouring segments
        segment = (0, n_segments - 1)[row % 2] if row % 4 < 2 else int(rng.integers(n_segments))
        more = 0 if row < 2 * CHECKED else 1 + row // 4 % 4
        run = slice(max(0, segment - more), segment + 1)
        keep[row, :, run] = rng.random(keep[row, :, run].shape) < 0.5
    return keep


def _reach_differs(part: LocalPart, values: Float32Array) -> str:
    """Nudge single samples; only positions that should see them may change."""
    local = part.local
    samples = (0, local.samples // 3, local.samples // 2 + 1, local.samples - 1)
    nudged = np.repeat(values[None], len(samples), axis=0)
    plain = part.features(nudged)
    if plain.shape[1] != local.positions:
        return f"has {plain.shape[1]} positions where its graph says {local.positions}"
    for row, sample in enumerate(samples):
        nudged[row, sample] += 1 + np.abs(values).max()
    changed = (part.features(nudged) != plain).any(axis=2)  # row by row: places may differ in bits
    low = np.arange(local.positions) * local.step + local.first
    for row, sample in enumerate(samples):
        seen = (low <= sample) & (sample <= low + local.last - local.first)
        if (changed[row] & ~seen).any():
            where = int(np.flatnonzero(changed[row] & ~seen)[0])
            return f"position {where} sees sample {sample}, which its graph says it does not"
    return ""
