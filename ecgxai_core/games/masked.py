"""The model as a function of coalitions: every masked record that is predicted is made here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from ecgxai_core.errors import DiagnosisError, ModelError
from ecgxai_core.games.baselines import baseline_signal
from ecgxai_core.games.designs import SHIPPED_ROWS
from ecgxai_core.games.leads import check_limbs, follow_limbs
from ecgxai_core.games.links import beyond_logit
from ecgxai_core.games.local.engine import Engine, engine_of, windows_of
from ecgxai_core.games.local.game import LocalGame
from ecgxai_core.games.local.hierarchy import CORNERS, LocalMap, LocalQuads, Report, local_map
from ecgxai_core.games.local.pieces import MAX_SPAN, Unit, layout_of
from ecgxai_core.games.local.sums import EventGame
from ecgxai_core.models.protocol import Classifier, Masking
from ecgxai_core.records.leads import INDEPENDENT_LEADS
from ecgxai_core.types import (
    STANDARD_LEADS,
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    ModelInput,
    Segmentation,
)

__all__ = ["LinearGame", "MaskedModel"]

INTACT = b"intact"
"""Key of the unmasked record, whatever the segmentation."""

CHUNK_BYTES = 96 * 2**20
"""Masked records are made and predicted in chunks of at most this many bytes of signal."""

LOCAL_ROWS = 4096
"""Coalitions that the local engine puts together at once."""


_ROW_BYTES = 300
"""Of one coalition in memory, beside its probabilities."""


@dataclass
class _Memo:
    """What is known of all classes, shared by all games played on one model input.

    ``probabilities`` by coalition, ``float32[class]`` each; ``events`` by link and class too.
    """

    probabilities: dict[bytes, Float32Array] = field(default_factory=dict)
    games: dict[bytes, LocalGame | None] = field(default_factory=dict)
    events: dict[tuple[bytes, str, int], EventGame | None] = field(default_factory=dict)
    quads: dict[bytes, LocalQuads] = field(default_factory=dict)
    evaluations: int = 0

    @property
    def nbytes(self) -> int:
        """About what it takes."""
        known = sum(_ROW_BYTES + value.nbytes for value in self.probabilities.values())
        games = sum(game.nbytes for game in self.games.values() if game is not None)
        return known + games + sum(quads.nbytes for quads in self.quads.values())


@dataclass(frozen=True, slots=True)
class LinearGame:
    """A target, or a target against another class, as a weighted sum of a local network's classes.

    ``quads`` are known for all classes; ``combination`` ``float64[class]`` is the sum that is
    explained; ``count`` is called with the passes that the used rows have taken.

    Notes
    -----
    Values are on the logit itself: unlike probabilities they are never too near 0 or 1.
    """

    quads: LocalQuads
    combination: FloatArray
    count: Callable[[float], None]

    def map(
        self, rows: int, groups: IntArray | None = None, report: Report | None = None
    ) -> LocalMap:
        """Owen values, or Winter values of segments in groups, from so many rows of the design
        beyond those of all leads together (:func:`~ecgxai_core.games.local.hierarchy.local_map`).
        """
        rows += self.quads.columns
        self.count(self.quads.work(rows))
        return local_map(self.quads, self.combination, rows, groups, report)

    @property
    def worth(self) -> float:
        """v(record) - v(baseline)."""
        return float(self.quads.worth @ self.combination)

    def limit(self, evaluations: int | None) -> int:
        """Rows for so many evaluations a segment; as many as designs are shipped for by default."""
        most = SHIPPED_ROWS if evaluations is None else max(1, evaluations // CORNERS)
        return min(most, self.quads.complete - self.quads.columns)

    def evaluations(self, rows: int) -> int:
        """Masked leads of segments that so many rows of the design stand for."""
        return self.quads.passes(rows) // self.quads.period * self.quads.n_segments


class MaskedModel:
    """Probability of one target for one model input with some cells masked.

    Where the model allows it the exact local engine puts coalitions together from pieces of the
    record (:mod:`ecgxai_core.games.local.game`); otherwise, and where that would cost more, the
    masked record goes through the model as a whole. Which of the two depends on the call alone.

    Every coalition (the packed bits of ``keep`` and the edges of the segmentation) is evaluated
    once, for all users of the memory.

    Parameters
    ----------
    classifier
        The model.
    model_input
        What it sees of the record.
    target
        SNOMED-CT code, one of the classifier's classes.
    baseline
        What replaces a masked cell (see :func:`ecgxai_core.games.baselines.baseline_signal`).
    engine
        ``auto``: the local engine where it is exact; ``whole``: never.
    filled_by
        The segmentation that ``baseline`` fills cells by; ``None`` = that of each call. Maps are
        evaluated on finer grids than they were made on, and must meet the same baseline there.
    lead_group
        ``all``: every lead is masked by itself. ``independent``: III, aVR, aVL and aVF follow I and
        II (:mod:`ecgxai_core.games.leads`); what ``keep`` says of them is not read.

    Raises
    ------
    DiagnosisError
        The classifier has no such class.
    """

    def __init__(
        self,
        classifier: Classifier,
        model_input: ModelInput,
        target: str,
        baseline: str,
        engine: str = "auto",
        lead_group: str = "all",
        filled_by: Segmentation | None = None,
    ) -> None:
        if target not in classifier.classes:
            known = ", ".join(classifier.classes)
            raise DiagnosisError(target, "target", "the model has no such output", f"use {known}")
        self.classifier = classifier
        self.model_input = model_input
        self.target = target
        self.baseline = baseline
        self.leads: tuple[str, ...] = tuple(
            lead for lead in STANDARD_LEADS if lead in model_input.leads
        )
        if len(self.leads) != len(model_input.leads):
            problem = f"unknown or repeated leads among {', '.join(model_input.leads)}"
            fix = f"use each of {', '.join(STANDARD_LEADS)} at most once"
            raise ModelError("model input", "leads", problem, fix)
        self._column = classifier.classes.index(target)
        self._order = [self.leads.index(lead) for lead in model_input.leads]
        self._wanted = engine
        self.lead_group = lead_group
        self._filled_by = filled_by
        if lead_group == "independent":
            check_limbs(model_input)
        self._memo = _Memo()
        self._asked: set[bytes] = set()
        self._asked_units: dict[tuple[bytes, Unit], float] = {}
        self._asked_tables: dict[bytes, int] = {}
        self._asked_quads: dict[bytes, float] = {}
        self._valued = self._cut = 0
        self._clipped_in_closed_form = 0.0

    def of(self, target: str) -> MaskedModel:
        """The same game of another class, with the same memory and a count of its own.

        Its ``forward_passes`` count all its own requests, cached or not, so that diagnostics do not
        depend on which methods or targets came first.
        """
        filler = self.baseline, self._wanted, self.lead_group, self._filled_by
        other = MaskedModel(self.classifier, self.model_input, target, *filler)
        other._memo = self._memo
        return other

    def shared(self) -> MaskedModel:
        """The same game with a count of its own."""
        return self.of(self.target)

    @property
    def nbytes(self) -> int:
        """About what the memory takes."""
        return self._memo.nbytes

    @property
    def forward_passes(self) -> float:
        """What was asked for through this object, in passes of a whole record.

        Different masked records (the intact one included), crops by their length, and what is
        recomputed layer by layer by its floating-point operations.
        """
        parts = sum(sorted(self._asked_units.values())) + sum(sorted(self._asked_quads.values()))
        return len(self._asked) + sum(self._asked_tables.values()) + round(parts, 6)

    @property
    def clipped_fraction(self) -> float:
        """Share of the values asked for that are too near 0 or 1 for the logit, and cut there."""
        played = self._cut / self._valued if self._valued else 0.0
        return max(played, self._clipped_in_closed_form)

    def clipped_on(self, link: str) -> float:
        """:attr:`clipped_fraction` where values are explained on ``link``; a probability itself is
        never cut."""
        return self.clipped_fraction if link == "logit" else 0.0

    @property
    def engine(self) -> Engine:
        if self._wanted == "whole":
            return Engine(None, "whole passes were asked for")
        return engine_of(self.classifier)

    def is_local(self, segmentation: Segmentation) -> bool:
        """Whether the local engine plays the games of this segmentation."""
        return self._game(segmentation) is not None

    @property
    def evaluations(self) -> int:
        """Masked records that really went through the model, for all that share the memory."""
        return self._memo.evaluations

    @property
    def probability(self) -> float:
        """Probability of the target on the unmasked record."""
        intact = self.model_input.values[None]
        return float(self._look_up([INTACT], lambda _: self.classifier.predict(intact))[0])

    def baseline_probability(self, segmentation: Segmentation) -> float:
        """Probability of the target with every cell masked; one whole pass, as a method without
        games needs no table of pieces."""
        nothing = np.zeros((1, len(self.leads), len(segmentation)), dtype=np.bool_)
        found = self._whole(self._of_players(nothing), segmentation)
        self._valued += 1
        self._cut += int(beyond_logit(found).sum())
        return float(found[0])

    def probabilities(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """Probability of the target for each coalition.

        Parameters
        ----------
        keep
            ``bool[n, lead, segment]``, leads in the order of :attr:`leads`; ``False`` = masked.
        segmentation
            Segments of the model input. Samples outside every segment (padding) stay as they are.

        Returns
        -------
        ``float64[n]``.
        """
        if keep.ndim != 3 or keep.shape[1:] != (len(self.leads), len(segmentation)):
            raise ValueError(
                f"keep {keep.shape} does not fit {len(self.leads)} leads x {len(segmentation)}"
            )
        keep = self._of_players(keep)
        game = self._game(segmentation)
        if game is None:
            found = self._whole(keep, segmentation)
        else:
            parts = [
                self._local(game, keep[begin : begin + LOCAL_ROWS], segmentation)
                for begin in range(0, max(1, len(keep)), LOCAL_ROWS)
            ]
            found = np.concatenate(parts)
        self._valued += len(found)
        self._cut += int(beyond_logit(found).sum())
        return found

    def event_game(self, segmentation: Segmentation, link: str) -> EventGame | None:
        """The event game in closed form; ``None`` where the model does not allow it."""
        game = self._game(segmentation)
        if game is None:
            return None
        key = (_prefix(segmentation), link, self._column)
        self._asked_tables[key[0]] = game.table_passes
        if key not in self._memo.events:
            found = game.sum_games()
            self._memo.events[key] = found and EventGame(
                tuple(found[0]), self._column, found[1], link
            )
        closed = self._memo.events[key]
        if closed is not None:
            clipped = max(self._clipped_in_closed_form, closed.clipped_fraction)
            self._clipped_in_closed_form = clipped
        return closed

    def linear_game(self, segmentation: Segmentation, link: str) -> LinearGame | None:
        """The target on the logit as a sum over blocks of a local network.

        ``None`` for another link or activation, and where the local engine does not play.
        """
        game = self._game(segmentation)
        head = None if game is None or link != "logit" else game.network.head
        if game is None or head is None or head.activation != "sigmoid":
            return None
        prefix = _prefix(segmentation)
        if prefix not in self._memo.quads:
            rows = [self.model_input.leads.index(self.leads[row]) for row in self.player_rows]
            windows = windows_of(self.classifier, game)
            self._memo.quads[prefix] = LocalQuads(game, np.array(rows, dtype=np.int64), windows)

        def count(passes: float) -> None:
            self._asked_tables[prefix] = game.table_passes
            self._asked_quads[prefix] = max(passes, self._asked_quads.get(prefix, 0))

        combination = np.zeros(len(head.bias))
        combination[self._column] = 1.0
        return LinearGame(self._memo.quads[prefix], combination, count)

    @property
    def player_rows(self) -> IntArray:
        """``int64[player]``: rows of the lead axis that are masked by themselves."""
        rows = range(len(self.leads))
        every = self.lead_group == "all"
        return np.array([r for r in rows if every or self.leads[r] in INDEPENDENT_LEADS], np.int64)

    # ---- inside ------------------------------------------------------------------------------

    def _of_players(self, keep: BoolArray) -> BoolArray:
        """The same coalitions with the rows of derived leads as those of I and II say."""
        if self.lead_group == "all":
            return keep
        limbs = keep[:, self.leads.index("I")] & keep[:, self.leads.index("II")]
        out = keep.copy()
        for row in np.setdiff1d(np.arange(len(self.leads)), self.player_rows):
            out[:, row] = limbs
        return out

    def _follow(self, signals: Float32Array, values: Float32Array) -> Float32Array:
        return follow_limbs(signals, values, self.model_input.leads)

    def _filler(self, segmentation: Segmentation) -> Float32Array:
        """What masked cells are copied from, ``float32[sample, lead]``."""
        return baseline_signal(self.baseline, self.model_input, self._filled_by or segmentation)

    def _game(self, segmentation: Segmentation) -> LocalGame | None:
        """The local engine on this segmentation, where it can be used."""
        part = self.engine.part
        if part is None:
            return None
        prefix = _prefix(segmentation)
        if prefix not in self._memo.games:
            values, edges = self.model_input.values, segmentation.edges
            follow = None if self.lead_group == "all" else self._follow
            short = layout_of(part.local, edges).span > MAX_SPAN
            self._memo.games[prefix] = (
                None
                if short
                else LocalGame(part, values, self._filler(segmentation), edges, follow)
            )
        return self._memo.games[prefix]

    def _local(self, game: LocalGame, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """Probabilities through the local engine; whole passes for coalitions that cost less so."""
        prefix = _prefix(segmentation)
        in_model_order = keep[:, self._order, :]
        plans = game.plans(in_model_order)
        intact = np.asarray(keep.all(axis=(1, 2)))
        pieces = [row for row, plan in enumerate(plans) if plan is not None and not intact[row]]
        whole = [row for row in range(len(keep)) if plans[row] is None or intact[row]]
        found = np.empty(len(keep))
        if whole:
            found[whole] = self._whole(keep[whole], segmentation)
        chosen = [plan for plan in (plans[row] for row in pieces) if plan is not None]
        if chosen:
            pooled = game.pooled(in_model_order[pieces], chosen)
            found[pieces] = game.network.probabilities(pooled)[:, self._column]
            self._asked_tables[prefix] = game.table_passes
            units = {unit for plan in chosen for unit, _ in plan}
            self._asked_units.update(((prefix, unit), game.cost(unit)) for unit in units)
        return found

    def _whole(self, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """Probabilities through whole passes, from memory where they are known."""
        prefix = _prefix(segmentation)
        packed = np.packbits(keep.reshape(len(keep), -1), axis=1)
        keys = [
            INTACT if all_kept else prefix + row.tobytes()
            for row, all_kept in zip(packed, np.asarray(keep.all(axis=(1, 2))), strict=True)
        ]
        in_model_order = keep[:, self._order, :]
        return self._look_up(keys, lambda rows: self._predicted(in_model_order[rows], segmentation))

    def _look_up(
        self, keys: Sequence[bytes], predicted: Callable[[list[int]], Float32Array]
    ) -> FloatArray:
        """``float64[key]`` of the target: from memory, else by ``predicted(rows)``, each key once.

        ``predicted`` gives ``float32[row, class]``.
        """
        self._asked.update(keys)
        known = self._memo.probabilities
        first_row = {key: row for row, key in reversed(list(enumerate(keys))) if key not in known}
        rows = sorted(first_row.values())
        chunk = max(1, CHUNK_BYTES // self.model_input.values.nbytes)
        for begin in range(0, len(rows), chunk):
            part = rows[begin : begin + chunk]
            known.update((keys[row], p) for row, p in zip(part, predicted(part), strict=True))
            self._memo.evaluations += len(part)
        return np.array([known[key][self._column] for key in keys], dtype=np.float64)

    def _predicted(self, keep: BoolArray, segmentation: Segmentation) -> Float32Array:
        """``float32[n, class]`` of coalitions in the model's lead order, through whole passes."""
        values = self.model_input.values
        masking = Masking(values, self._filler(segmentation), segmentation.edges)
        if self.lead_group == "independent":
            return self.classifier.predict(self._follow(masking.signals(keep), values))
        on_device = getattr(self.classifier, "predict_masked", None)
        if on_device is not None:
            return cast(Float32Array, on_device(masking, keep))
        return self.classifier.predict(masking.signals(keep))


def _prefix(segmentation: Segmentation) -> bytes:
    """Tells segmentations of one model input apart."""
    return hashlib.sha256(segmentation.edges.tobytes()).digest()[:16]
