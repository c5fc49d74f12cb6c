"""What explanations of one record by one model share, whatever the target and the method.

Pooled sums of coalitions belong to all classes, so a second target or contrast of the same record
costs little more than a matrix product.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ecgxai_core.case import Case
from ecgxai_core.games.contrast import contrasted
from ecgxai_core.games.leads import has_independent_leads
from ecgxai_core.games.local.engine import engine_of
from ecgxai_core.games.local.pieces import MAX_SPAN, layout_of
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.params import ExplainParams
from ecgxai_core.signal.beats import find_beats
from ecgxai_core.signal.segments import SEGMENT_SEC, carried, segment
from ecgxai_core.types import ModelInput, QualityWarning, Segmentation, canonical_json

__all__ = ["Prepared", "Shelf", "segmentation_of", "settled_group"]


class Prepared:
    """The model input of a case, its segmentations and its games, each made once.

    ``case`` may have any target; all that counts is its record, classifier and window.
    """

    def __init__(self, case: Case) -> None:
        self.classifier = case.classifier
        self.model_input = case.model_input()
        self._cuts: dict[tuple[str, float | None, str, float | None], Segmentation] = {}
        self._games: dict[tuple[str, str, str], MaskedModel] = {}

    def segmentation(self, case: Case, params: ExplainParams) -> Segmentation:
        """As :func:`segmentation_of`."""
        row = case.diagnosis if params.segments == "uniform" else None
        seconds = None if row is None else row.segment_sec
        key = params.segments, params.window_sec, params.engine, seconds
        if key not in self._cuts:
            self._cuts[key] = segmentation_of(case, self.model_input, params)
        return self._cuts[key]

    def settled(
        self, uses: Sequence[str], params: ExplainParams
    ) -> tuple[ExplainParams, tuple[QualityWarning, ...]]:
        """The parameters of a method that uses those named, with the lead group that it has here:
        ``all`` where it does not ask, and where this record has no independent leads (a warning).
        """
        if "lead_group" not in uses:
            return params.updated(lead_group="all"), ()
        found = settled_group(params, self.model_input)
        return found, () if found == params else (ALL_LEADS,)

    def game(self, case: Case, params: ExplainParams) -> MaskedModel:
        """The game of the case's target, in contrast to another class if so chosen, with a count
        of its own. ``params`` are settled.
        """
        key = params.baseline, params.engine, params.lead_group
        if key not in self._games:
            self._games[key] = MaskedModel(self.classifier, self.model_input, case.target, *key)
        return contrasted(self._games[key].of(case.target), params.contrast)

    @property
    def nbytes(self) -> int:
        """About the memory that it takes."""
        return self.model_input.values.nbytes + sum(game.nbytes for game in self._games.values())


class Shelf:
    """What was prepared last, for a few records, within a limit of memory.

    Parameters
    ----------
    most
        Cases that are kept.
    limit_bytes
        Memory of all of them together.
    """

    def __init__(self, most: int = 4, limit_bytes: int = 256 * 2**20) -> None:
        self._most, self._limit = most, limit_bytes
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Give the memory back; what is asked for next is prepared anew."""
        with self._lock:
            self._kept.clear()

    @contextmanager
    def prepared(self, case: Case) -> Iterator[Prepared]:
        """What the case shares with others; nobody else has it meanwhile.

        What was computed before an error or a cancellation is kept.
        """
        key = canonical_json({**case.key(), "target": "", "classifier": id(case.classifier)})
        with self._lock:
            found = self._kept.pop(key, None)
        # an entry keeps its classifier, so an identity stands for one object
        found = found or Prepared(case)
        try:
            yield found
        finally:
            with self._lock:
                self._kept[key] = found
                sizes = {name: item.nbytes for name, item in self._kept.items()}
                while len(self._kept) > self._most or sum(sizes.values()) > self._limit:
                    sizes.pop(self._kept.popitem(last=False)[0])


ALL_LEADS = QualityWarning(
    "lead_group",
    "all leads were masked by themselves: III, aVR, aVL and aVF cannot follow I and II in what the "
    "model sees (a lead is missing, or Einthoven's law does not hold)",
)


def settled_group(params: ExplainParams, model_input: ModelInput) -> ExplainParams:
    """The parameters with the lead group that a model input allows."""
    if params.lead_group == "all" or has_independent_leads(model_input):
        return params
    return params.updated(lead_group="all")


def segmentation_of(case: Case, model_input: ModelInput, params: ExplainParams) -> Segmentation:
    """How an explanation with these parameters cuts what the model sees of a record.

    Beats and waves of a changed copy of a record are those of the original.
    """
    if params.segments == "uniform":
        row = case.diagnosis
        return segment(model_input, params, row.segment_sec if row is not None else SEGMENT_SEC)
    if case.origin is not None:
        first = case.origin.case
        cut = segmentation_of(first, first.model_input(), params)
        return carried(cut, case.origin.moved, model_input)
    if params.segments == "wave":
        return segment(model_input, params, SEGMENT_SEC)
    record, (start, stop) = case.record, model_input.seen_sec
    begin = round(start * record.fs)
    beats = find_beats(record.signal[:, begin : round(stop * record.fs)], record.fs, record.leads)
    peaks = (begin + beats.peaks) / record.fs
    cut = segment(model_input, params, SEGMENT_SEC, peaks, beats.confidence)
    if params.segments == "auto" and cut.kind == "wave" and not _plays(case, params, cut):
        return segment(model_input, params, SEGMENT_SEC, peaks, beats.confidence, local=False)
    return cut


def _plays(case: Case, params: ExplainParams, cut: Segmentation) -> bool:
    """Whether the local engine plays the games of a segmentation."""
    part = None if params.engine == "whole" else engine_of(case.classifier).part
    return part is not None and layout_of(part.local, cut.edges).span <= MAX_SPAN
