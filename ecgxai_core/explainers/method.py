"""What an explanation method is, what it is given, and what it returns.

A new method is one module with one function ``Task -> Explanation`` and one entry in
:data:`ecgxai_core.explainers.METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import Diagnosis
from ecgxai_core.explainers.cost import Cost, Size
from ecgxai_core.games.links import to_link
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.params import ExplainParams
from ecgxai_core.progress import Progress
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import (
    BoolArray,
    Float32Array,
    FloatArray,
    ModelInput,
    QualityWarning,
    Record,
    Segmentation,
    content_seed,
)

__all__ = [
    "COMMON",
    "Explanation",
    "Family",
    "Method",
    "Progress",
    "Task",
    "cell_sums",
    "dense",
    "spread_over_leads",
    "stretched",
]

COMMON: tuple[str, ...] = ("segments", "window_sec", "baseline", "engine", "contrast", "seed")
"""Parameters that the diagnostics of every result depend on, whatever its method uses."""

Family = Literal["perturbation", "occlusion", "gradient", "attention"]


@dataclass(frozen=True)
class Task:
    """One prediction to be explained.

    ``case``: the record, the classifier and the target whose probability is explained; ``model``:
    the model with masking, of the target alone or with a contrast, with a count of forward passes
    for this task alone; ``segmentation`` of what the model sees; ``params`` of the method;
    ``progress`` is called after each step, or ``None``; ``preview`` with what the method has found
    so far, or ``None`` where nobody wants to see it; ``warnings`` of how the task was settled.
    """

    case: Case
    model: MaskedModel
    segmentation: Segmentation
    params: ExplainParams
    progress: Progress | None = None
    preview: Callable[[Explanation], None] | None = None
    warnings: tuple[QualityWarning, ...] = ()

    @property
    def record(self) -> Record:
        return self.case.record

    @property
    def target(self) -> str:
        return self.case.target

    @property
    def diagnosis(self) -> Diagnosis | None:
        return self.case.diagnosis

    @property
    def leads(self) -> tuple[str, ...]:
        return self.model.leads

    @property
    def model_input(self) -> ModelInput:
        return self.model.model_input

    def seed(self, *purpose: Any) -> int:
        """Seed from the content of this task and a purpose; nothing else enters."""
        return content_seed(self.record.digest, self.target, list(purpose), self.params.seed)

    def values(self, keep: BoolArray) -> FloatArray:
        """``float64[n]``: value of coalitions ``bool[n, lead, segment]`` on ``params.link``."""
        return to_link(self.model.probabilities(keep, self.segmentation), self.params.link)

    def report(self, done: int, total: int, what: str) -> None:
        """Report progress; stops the work if that was requested."""
        check_stop()
        if self.progress is not None:
            self.progress(done, total, what)

    def show(self, found: Explanation) -> None:
        """Show what was found so far; stops the work if that was requested.

        What a method finds in the end must not depend on whether anybody looks.
        """
        check_stop()
        if self.preview is not None:
            self.preview(found)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a method found: arrays on the task's grid (see :class:`~ecgxai_core.types.Attribution`).

    ``weights``, ``explored`` and ``standard_errors`` are ``[lead, segment]``; ``event_values`` and
    ``event_errors`` are ``[segment]``. ``worth``: v(record) - v(reference) on the link, where the
    method measured it on a scale or from a reference of its own; ``None`` = as the games play it.
    """

    weights: FloatArray
    explored: BoolArray
    standard_errors: FloatArray | None = None
    event_values: FloatArray | None = None
    event_errors: FloatArray | None = None
    worth: float | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """One entry of the registry.

    Attributes
    ----------
    name
        Registry name, as on the command line.
    title
        Name for people.
    family
        Kind of evidence; agreement of two methods of one family says little.
    signed
        Whether negative weights mean evidence against the target.
    uses
        Names of the :class:`~ecgxai_core.params.ExplainParams` that influence its result.
        ``contrast`` is not among them: it belongs to the value that every method explains.
    description
        One sentence for people.
    run
        The method.
    cost
        What it costs, in forward passes by the parameter that drives them, for a size of grid.
    gap
        Name of the diagnostic that says how far the weights fail to add up, as a share of what
        they should add up to; empty where they are not meant to.
    """

    name: str
    title: str
    family: Family
    signed: bool
    uses: tuple[str, ...]
    description: str
    run: Callable[[Task], Explanation]
    cost: Callable[[ExplainParams, Size], Cost]
    gap: str = ""

    def parameters(self, params: ExplainParams) -> dict[str, Any]:
        """Every parameter that its result depends on, in plain JSON form: what it uses and
        :data:`COMMON`. Results whose other parameters differ are the same, byte for byte.
        """
        given = params.as_key()
        return {name: given[name] for name in sorted({*self.uses, *COMMON})}


# A weight belongs to its whole cell: signed values are summed, and of unsigned ones the mean
# magnitude times the number of samples is the sum of magnitudes. So the density (weight per second)
# is the mean over the cell's samples times the sampling rate, whatever the cell's length. Padding
# lies in no cell.


def cell_sums(samples: Float32Array | FloatArray, task: Task) -> FloatArray:
    """``float64[lead, segment]``: sums over the samples of each cell.

    Parameters
    ----------
    samples
        ``[sample, lead]`` in the model's lead order; take magnitudes before, where they count.
    """
    columns = [task.model_input.leads.index(lead) for lead in task.leads]
    edges = task.segmentation.edges
    inside = samples[edges[0] : edges[-1], columns].astype(np.float64)
    return np.asarray(np.add.reduceat(inside, edges[:-1] - edges[0], axis=0).T)


def spread_over_leads(by_segment: FloatArray, n_leads: int) -> FloatArray:
    """``float64[lead, segment]``: a value of all leads together, shared evenly among them."""
    return np.repeat(by_segment[None] / n_leads, n_leads, axis=0)


def stretched(values: FloatArray, samples: int) -> FloatArray:
    """``float64[sample, ...]``: values at ``n`` moments along time, linear between their middles.

    The moments are taken as equal parts of the input: exact for layers that keep or divide its
    length, off by up to the lost samples for convolutions without padding.
    """
    n_moments = len(values)
    if n_moments == samples:
        return values
    middle = (np.arange(samples) + 0.5) * n_moments / samples - 0.5
    low = np.clip(np.floor(middle).astype(np.int64), 0, n_moments - 1)
    high = np.minimum(low + 1, n_moments - 1)
    part = np.clip(middle - low, 0.0, 1.0).reshape((-1,) + (1,) * (values.ndim - 1))
    return np.asarray(values[low] * (1 - part) + values[high] * part)


def dense(task: Task, weights: FloatArray, worth: float | None = None, **facts: Any) -> Explanation:
    """An explanation of every cell of the leads that are players; a segment's event value is the
    sum over its leads.

    ``worth`` as for :class:`Explanation`; ``facts`` are diagnostics.
    """
    explored = np.zeros(weights.shape, dtype=np.bool_)
    explored[task.model.player_rows] = True
    return Explanation(
        weights=weights,
        explored=explored,
        event_values=weights.sum(axis=0),
        worth=worth,
        diagnostics=facts,
    )
