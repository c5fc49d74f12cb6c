"""The model as a function of coalitions: every masked record that is predicted is made here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from ecgxai_core.errors import DiagnosisError, ModelError
from ecgxai_core.games.baselines import baseline_signal
from ecgxai_core.games.engine import Engine, engine_of
from ecgxai_core.games.events import EventGame
from ecgxai_core.games.layout import MAX_SPAN, layout_of
from ecgxai_core.games.leads import check_limbs, follow_limbs
from ecgxai_core.games.links import beyond_logit
from ecgxai_core.games.local import LocalGame
from ecgxai_core.games.pieces import Unit
from ecgxai_core.models.masking import Masking
from ecgxai_core.models.protocol import Classifier
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

__all__ = ["MaskedModel"]

INTACT = b"intact"
"""Key of the unmasked record, whatever the segmentation."""

CHUNK_BYTES = 96 * 2**20
"""Masked records are made and predicted in chunks of at most this many bytes of signal."""

LOCAL_ROWS = 4096
"""Coalitions that the local engine puts together at once."""


@dataclass
class _Memo:
    """Probabilities by coalition, shared by all games played on one model input."""

    probabilities: dict[bytes, float] = field(default_factory=dict)
    games: dict[bytes, LocalGame | None] = field(default_factory=dict)
    events: dict[tuple[bytes, str], EventGame | None] = field(default_factory=dict)
    evaluations: int = 0


class MaskedModel:
    """Probability of one target for one model input with some cells masked.

    Where the model allows it the exact local engine puts coalitions together from pieces of the
    record (:mod:`ecgxai_core.games.local`); otherwise, and where that would cost more, the masked
    record goes through the model as a whole. Which of the two depends on the call alone.

    A coalition is evaluated once, whoever asks for it: coalitions are told apart by the packed
    bits of ``keep`` and the edges of the segmentation. The intact record and duplicates cost
    nothing the second time.

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
        judged on finer grids than they were made on, and must meet the same baseline there.
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
            raise ModelError(
                "model input",
                "leads",
                f"unknown or repeated leads among {', '.join(model_input.leads)}",
                f"use each of {', '.join(STANDARD_LEADS)} at most once",
            )
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
        self._valued = self._cut = 0
        self._cut_in_closed_form = 0.0

    def shared(self) -> MaskedModel:
        """The same model and memory with a count of its own.

        ``forward_passes`` of what is returned counts what its user asks for, as if nobody else had
        asked before: diagnostics then do not depend on which methods ran first.
        """
        other = MaskedModel(
            self.classifier,
            self.model_input,
            self.target,
            self.baseline,
            self._wanted,
            self.lead_group,
            self._filled_by,
        )
        other._memo = self._memo
        return other

    @property
    def forward_passes(self) -> float:
        """What was asked for through this object, in passes of a whole record.

        Different masked records (the intact one included), and crops by their length.
        """
        crops = sum(sorted(self._asked_units.values()))
        return len(self._asked) + sum(self._asked_tables.values()) + round(crops, 6)

    @property
    def share_cut(self) -> float:
        """Share of the values asked for that are too near 0 or 1 for the logit, and cut there."""
        played = self._cut / self._valued if self._valued else 0.0
        return max(played, self._cut_in_closed_form)

    @property
    def engine(self) -> Engine:
        """How the games of this model are played."""
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
        """Probability of the target with every cell masked."""
        nothing = np.zeros((1, len(self.leads), len(segmentation)), dtype=np.bool_)
        return float(self.probabilities(nothing, segmentation)[0])

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
        key = (_prefix(segmentation), link)
        if key not in self._memo.events:
            found = game.sum_games()
            self._memo.events[key] = (
                None if found is None else EventGame(tuple(found[0]), self._column, found[1], link)
            )
        self._asked_tables[key[0]] = game.table_passes
        closed = self._memo.events[key]
        if closed is not None:
            self._cut_in_closed_form = max(self._cut_in_closed_form, closed.share_cut)
        return closed

    @property
    def player_rows(self) -> IntArray:
        """``int64[player]``: rows of the lead axis that are masked by themselves."""
        rows = range(len(self.leads))
        if self.lead_group == "all":
            return np.array(rows, dtype=np.int64)
        return np.array([r for r in rows if self.leads[r] in INDEPENDENT_LEADS], dtype=np.int64)

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
            short = layout_of(part.local, segmentation.edges).span > MAX_SPAN
            baseline = self._filler(segmentation)
            self._memo.games[prefix] = (
                None
                if short
                else LocalGame(
                    part,
                    self.model_input.values,
                    baseline,
                    segmentation.edges,
                    None if self.lead_group == "all" else self._follow,
                )
            )
        return self._memo.games[prefix]

    def _local(self, game: LocalGame, keep: BoolArray, segmentation: Segmentation) -> FloatArray:
        """Probabilities through the local engine; whole passes for coalitions that cost less so."""
        prefix = _prefix(segmentation)
        in_model_order = keep[:, self._order, :]
        plans = game.plans(in_model_order)
        intact = np.asarray(keep.all(axis=(1, 2)), dtype=np.bool_)
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
        flat = keep.reshape(len(keep), -1)
        packed = np.packbits(flat, axis=1)
        whole = np.asarray(flat.all(axis=1), dtype=np.bool_)
        keys = [
            INTACT if all_kept else prefix + row.tobytes()
            for row, all_kept in zip(packed, whole, strict=True)
        ]
        in_model_order = keep[:, self._order, :]
        return self._look_up(keys, lambda rows: self._predicted(in_model_order[rows], segmentation))

    def _look_up(
        self, keys: Sequence[bytes], predicted: Callable[[list[int]], Float32Array]
    ) -> FloatArray:
        """``float64[key]``: from memory, else by ``predicted(rows)``, each key once.

        ``predicted`` gives ``float32[row, class]``.
        """
        self._asked.update(keys)
        known = self._memo.probabilities
        first_row = {key: row for row, key in reversed(list(enumerate(keys))) if key not in known}
        rows = sorted(first_row.values())
        chunk = max(1, CHUNK_BYTES // self.model_input.values.nbytes)
        for begin in range(0, len(rows), chunk):
            part = rows[begin : begin + chunk]
            column = predicted(part)[:, self._column]
            known.update((keys[row], float(p)) for row, p in zip(part, column, strict=True))
            self._memo.evaluations += len(part)
        return np.array([known[key] for key in keys], dtype=np.float64)

    def _predicted(self, keep: BoolArray, segmentation: Segmentation) -> Float32Array:
        """``float32[n, class]`` of coalitions in the model's lead order, through whole passes."""
        values = self.model_input.values
        baseline = self._filler(segmentation)
        masking = Masking(values, baseline, segmentation.edges)
        if self.lead_group == "independent":
            return self.classifier.predict(self._follow(masking.signals(keep), values))
        on_device = getattr(self.classifier, "predict_masked", None)
        if on_device is not None:
            return cast(Float32Array, on_device(masking, keep))
        return self.classifier.predict(masking.signals(keep))


def _prefix(segmentation: Segmentation) -> bytes:
    """Tells segmentations of one model input apart."""
    return hashlib.sha256(segmentation.edges.tobytes()).digest()[:16]
