"""What every explanation and every score is about: a record, a classifier, a target, a window."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ecgxai_core.diagnoses import Diagnosis, aliases, diagnosis, find_diagnosis
from ecgxai_core.errors import DiagnosisError
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.training_range import range_digest
from ecgxai_core.signal.segments import Moved
from ecgxai_core.types import ModelInput, Record, warning_rows

__all__ = ["Case", "Origin", "find_target"]


def find_target(text: str, classifier: Classifier) -> str:
    """The model's output for a SNOMED-CT code, an alias or an abbreviation.

    A code that the model has stands for itself; otherwise the first code that is scored as the
    same diagnosis and that the model has.

    Raises
    ------
    DiagnosisError
        Neither the table nor the model knows it, or the model has no such output.
    """
    if text in classifier.classes:
        return text
    row = diagnosis(text)
    known = [code for code in aliases(row.code) if code in classifier.classes]
    if not known:
        outputs = ", ".join(classifier.classes)
        raise DiagnosisError(
            text, "target", f"the model has no output for {row.name}", f"it has {outputs}"
        )
    return known[0]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What a changed record was made of: ``case`` of the original, and where its moments lie now.

    ``moved`` is a dataclass of numbers.
    """

    case: Case
    moved: Moved

    def key(self) -> dict[str, Any]:
        """For cache keys: what the segments of the changed record depend on."""
        moved: Any = self.moved
        return {
            "record": self.case.record.digest,
            "start_sec": self.case.start_sec,
            "moved": {"kind": type(moved).__name__, **asdict(moved)},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A record, a classifier, a target, and where the model's window starts.

    Attributes
    ----------
    record, classifier
        The ECG and the model.
    target
        One of the classifier's classes; a case may be made with any of its names (SNOMED-CT code,
        alias, abbreviation).
    start_sec
        Start of the model's window, seconds of the record; ``None`` = as the manifest says.
    origin
        Where the record is a changed copy of another: waves and beats keep the segments that the
        original has.

    Raises
    ------
    DiagnosisError
        The model has no such target.
    """

    record: Record
    classifier: Classifier
    target: str
    start_sec: float | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", find_target(self.target, self.classifier))

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The target's row in the table of diagnoses, where it has one."""
        return find_diagnosis(self.target)

    def model_input(self) -> ModelInput:
        """What the model sees of the record.

        Raises
        ------
        ModelError
            The record does not fit the model.
        """
        return prepare(self.record, self.classifier.manifest, self.start_sec)

    def changed(self, **changes: Any) -> Case:
        """A copy with another record, classifier, target or window."""
        return replace(self, **changes)

    def disturbed(self, record: Record, moved: Moved, start_sec: float | None = None) -> Case:
        """The same question of a changed copy of the record, cut into the same segments."""
        return replace(self, record=record, start_sec=start_sec, origin=Origin(self, moved))

    def key(self) -> dict[str, Any]:
        """The part that all cache keys of this case share: what it depends on or carries."""
        return {
            "record": self.record.digest,
            "name": self.record.name,
            "warnings": warning_rows(self.record.warnings),
            "synthetic": self.record.synthetic,
            "model": self.classifier.digest,
            "training_range": range_digest(self.classifier),
            "target": self.target,
            "start_sec": self.start_sec,
            **({} if self.origin is None else {"origin": self.origin.key()}),
        }
