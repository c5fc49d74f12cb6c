"""What an explanation method is, what it is given, and what it returns.

A new method is one module with one function ``Task -> Explanation`` and one entry in
:data:`ecgxai_core.explain.METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ecgxai_core.diagnoses import Diagnosis
from ecgxai_core.games.contrast import ContrastModel
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import (
    BoolArray,
    FloatArray,
    ModelInput,
    Record,
    Segmentation,
    content_seed,
)

__all__ = ["COMMON", "Explanation", "Family", "Method", "Progress", "Task"]

COMMON: tuple[str, ...] = ("segments", "window_sec", "baseline", "engine", "against", "seed")
"""Parameters that every result carries facts of, whether its method uses them or not: the grid,
what a masked cell becomes and the model's answer to it, the engine, what is explained, the seed."""

Family = Literal["perturbation", "occlusion", "gradient", "attention"]

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what was just done)."""


@dataclass(frozen=True)
class Task:
    """One prediction to be explained.

    Attributes
    ----------
    record, target
        The record, and the SNOMED-CT code whose probability is explained.
    model
        The model with masking, of the target alone or against another class; its count of forward
        passes belongs to this task alone.
    segmentation
        How the seen part of the record is cut.
    params
        Parameters of the method.
    diagnosis
        The target's row in the table of diagnoses, where it has one.
    progress
        Called after each step, or ``None``.
    """

    record: Record
    target: str
    model: MaskedModel | ContrastModel
    segmentation: Segmentation
    params: ExplainParams
    diagnosis: Diagnosis | None = None
    progress: Progress | None = None

    @property
    def leads(self) -> tuple[str, ...]:
        """Rows of the grid."""
        return self.model.leads

    @property
    def model_input(self) -> ModelInput:
        """What the model sees."""
        return self.model.model_input

    def seed(self, *purpose: Any) -> int:
        """Seed from the content of this task and a purpose; nothing else enters."""
        return content_seed(self.record.digest, self.target, list(purpose), self.params.seed)

    def report(self, done: int, total: int, what: str) -> None:
        """Tell the caller how far the work is."""
        if self.progress is not None:
            self.progress(done, total, what)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a method found: arrays on the task's grid (see :class:`~ecgxai_core.types.Attribution`).

    ``weights``, ``explored`` and ``standard_errors`` are ``[lead, segment]``; ``event_values`` and
    ``event_errors`` are ``[segment]``.
    """

    weights: FloatArray
    explored: BoolArray
    standard_errors: FloatArray | None = None
    event_values: FloatArray | None = None
    event_errors: FloatArray | None = None
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
        Kind of evidence it rests on; agreement of two methods of one family says little.
    signed
        Whether negative weights mean evidence against the target.
    uses
        Names of the :class:`~ecgxai_core.params.ExplainParams` that influence its result.
        ``against`` is not among them: the class to stand against belongs to the value that every
        method explains.
    description
        One sentence for people.
    run
        The method.
    """

    name: str
    title: str
    family: Family
    signed: bool
    uses: tuple[str, ...]
    description: str
    run: Callable[[Task], Explanation]

    def parameters(self, params: ExplainParams) -> dict[str, Any]:
        """Every parameter that its result depends on, in plain JSON form: what it uses and
        :data:`COMMON`. Results whose other parameters differ are the same, byte for byte.
        """
        given = params.as_key()
        return {name: given[name] for name in sorted({*self.uses, *COMMON})}
