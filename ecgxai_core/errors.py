"""One small tree of errors; each says what is wrong, where, which rule it breaks and what to do.

Command line and dashboard print ``str(error)``: one line, for people. Anything that is not an
:class:`EcgXaiError` is a fault of the program, never of its input.
"""

from __future__ import annotations

import os

__all__ = [
    "CacheError",
    "DiagnosisError",
    "EcgXaiError",
    "ExplanationError",
    "ModelError",
    "ParameterError",
    "RecordError",
    "RunError",
    "cannot_be_written",
]


def _one_line(text: object, limit: int = 300) -> str:
    """Printable, single-line, bounded form of something that may come from a hostile file."""
    start = str(text)[: 10 * limit]  # a file's text may be megabytes long
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cannot_be_written(path: str | os.PathLike[str], error: OSError) -> str:
    """The problem of a file that could not be written: which folder (its last name, never the whole
    path of the machine), and what the operating system says."""
    folder = os.path.basename(os.path.dirname(os.path.abspath(path))) or "/"
    reason = error.strerror or type(error).__name__
    return f"cannot be written into the folder {folder!r} ({reason})"


class EcgXaiError(Exception):
    """Something a person can put right.

    Parameters
    ----------
    where
        The file (name only, never a path of the machine), parameter or object at fault.
    field
        The part of it that is wrong, such as ``"fs"`` or ``"line 3, gain"``; may be empty.
    problem
        What is wrong and which rule it breaks.
    fix
        What the person can do about it.
    """

    def __init__(self, where: object, field: object, problem: object, fix: object) -> None:
        self.where = _one_line(where)
        self.field = _one_line(field)
        self.problem = _one_line(problem)
        self.fix = _one_line(fix)
        super().__init__(self.where, self.field, self.problem, self.fix)

    def __str__(self) -> str:
        place = f"{self.where}: {self.field}" if self.field else self.where
        return f"{place}: {self.problem}. Fix: {self.fix}"


class RecordError(EcgXaiError):
    """A record that is refused: ``where`` is its file, ``field`` the part that breaks a rule."""


class ModelError(EcgXaiError):
    """A model or manifest that is refused."""


class DiagnosisError(EcgXaiError):
    """A target that the table of diagnoses, or the model, does not have."""


class ParameterError(EcgXaiError):
    """A parameter out of its bounds."""


class ExplanationError(EcgXaiError):
    """An explanation that cannot be computed for this record and model."""


class CacheError(EcgXaiError):
    """A cache that cannot be used; callers carry on without it."""


class RunError(EcgXaiError):
    """A run directory or run request that cannot be used."""
