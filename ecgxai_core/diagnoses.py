"""The table of diagnoses, read from ``assets/diagnoses.toml``.

Each row has the names of a diagnosis, the codes scored as the same, where cardiology expects its
evidence (leads and windows around the R peak, with citations), and its defaults for segment length
and fusion weights. The file states the sources of its values.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ecgxai_core.errors import DiagnosisError
from ecgxai_core.settings import assets_dir
from ecgxai_core.types import STANDARD_LEADS

__all__ = [
    "Criterion",
    "Diagnosis",
    "DiagnosisTable",
    "Term",
    "Window",
    "aliases",
    "code_of",
    "diagnoses",
    "diagnosis",
    "find_diagnosis",
    "is_free_name",
    "known_codes",
    "load_table",
    "term_of",
    "terms",
    "window_kinds",
    "windows_sec",
]

_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the beat, in seconds from the R peak.

    ``fast`` applies instead at heart rates above ``fast_above`` per minute; ``wide_stop`` replaces
    the end in diagnoses with a wide QRS complex.
    """

    kind: str
    name: str
    start: float
    stop: float
    fast_above: float = math.inf
    fast: tuple[float, float] | None = None
    wide_stop: float | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One code with its names; several terms can be scored as one diagnosis.

    ``ptbxl`` lists the PTB-XL statements, ``ptbxl_axis`` the values of PTB-XL's ``heart_axis``, and
    ``ptbxl_class`` the PTB-XL superclass that correspond to this code.
    """

    code: str
    name: str
    abbreviations: tuple[str, ...] = ()
    ptbxl: tuple[str, ...] = ()
    ptbxl_axis: tuple[str, ...] = ()
    ptbxl_class: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One textbook criterion of a diagnosis, in adults.

    Attributes
    ----------
    text
        The criterion in words.
    measure
        What of the record decides it: a name of :data:`ecgxai_core.pipeline.criteria.OF_RECORD` or
        ``OF_LEAD``. Empty = this program cannot measure it; ``note`` then says why.
    leads
        The leads that it is looked for in; empty = all.
    of
        Of which leads the limits must hold: ``"every"``, or two that are neighbours (``"pair"``).
        Nothing for what is measured once per record.
    waves
        Labels of :data:`ecgxai_core.signal.segments.WAVE_LABELS` in which it is seen.
    at_least, above, at_most, below
        The limits, in the measurement's unit; ``None`` = none on this side.
    women
        Replaces the one limit in women, where that differs.
    citations
        Full references.
    note
        Where the measurement departs from the criterion, or why there is none.
    """

    text: str
    measure: str
    leads: tuple[str, ...]
    of: str
    waves: tuple[str, ...]
    at_least: float | None
    above: float | None
    at_most: float | None
    below: float | None
    women: float | None
    citations: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One canonical row of the table.

    Attributes
    ----------
    code, name, abbreviations
        SNOMED-CT code (or superclass name) and names of the canonical term.
    aliases
        All codes scored as this diagnosis, the canonical one first.
    strict_leads, lenient_leads, windows
        Where evidence is expected: leads, and kinds of :class:`Window`. Empty = not tabulated, and
        plausibility is undefined.
    segment_sec
        Default length of uniform segments, s.
    method_weights
        Fusion weight by method; empty = equal weights.
    prior_leads, prior_windows
        The published priors, kept to show the effect of scoring with priors.
    wide_qrs
        Whether windows use their ``wide_stop``.
    citations
        Full references.
    note
        Where the published evidence is doubtful or differs from the cited works.
    terms
        Names of every code in ``aliases``, in the same order.
    criteria
        Textbook criteria, the defining ones first; empty = none are tabulated.
    """

    code: str
    name: str
    abbreviations: tuple[str, ...]
    aliases: tuple[str, ...]
    strict_leads: tuple[str, ...]
    lenient_leads: tuple[str, ...]
    windows: tuple[str, ...]
    segment_sec: float
    method_weights: Mapping[str, float] = field(hash=False)
    prior_leads: tuple[str, ...]
    prior_windows: tuple[str, ...]
    wide_qrs: bool
    citations: tuple[str, ...]
    note: str
    terms: tuple[Term, ...]
    criteria: tuple[Criterion, ...] = ()

    @property
    def has_evidence(self) -> bool:
        """Whether evidence is tabulated, so that plausibility is defined."""
        return bool(self.strict_leads and self.windows)


@dataclass(frozen=True, slots=True)
class DiagnosisTable:
    """The whole file; ``names`` are those of codes without a row."""

    windows: Mapping[str, Window] = field(hash=False)
    diagnoses: tuple[Diagnosis, ...]
    by_code: Mapping[str, Diagnosis] = field(hash=False)
    by_abbreviation: Mapping[str, Diagnosis] = field(hash=False)
    names: Mapping[str, str] = field(hash=False)


def diagnoses() -> tuple[Diagnosis, ...]:
    """All canonical diagnoses, in file order."""
    return _table().diagnoses


def find_diagnosis(code: str) -> Diagnosis | None:
    """The canonical row of a code or abbreviation (any case), or ``None``."""
    table = _table()
    text = str(code).strip()
    return table.by_code.get(text) or table.by_abbreviation.get(text.casefold())


def diagnosis(code: str) -> Diagnosis:
    """The canonical row of a code or abbreviation (any case).

    Raises
    ------
    DiagnosisError
        The table has no such diagnosis.
    """
    found = find_diagnosis(code)
    if found is None:
        known = ", ".join((*row.abbreviations, row.code)[0] for row in diagnoses())
        fix = f"use a SNOMED-CT code or {known}"
        raise DiagnosisError("target", code, "is not in the table of diagnoses", fix)
    return found


def aliases(code: str) -> tuple[str, ...]:
    """All codes scored as the same diagnosis, canonical first; an unknown code is its own alias."""
    found = find_diagnosis(code)
    return found.aliases if found else (code,)


def terms() -> tuple[Term, ...]:
    """All codes of the table with their own names, including aliases."""
    return tuple(term for row in diagnoses() for term in row.terms)


def term_of(code: str) -> Term:
    """The names of exactly this code; a code that is not in the table is its own name."""
    found = _table().by_code.get(code)
    if found is None:
        return Term(code=code, name=_table().names.get(code, code))
    return next(term for term in found.terms if term.code == code)


def code_of(text: str) -> str:
    """The code that a code, abbreviation or name (any case) stands for; the text if none does.

    An alias gives its own code, not the canonical one. A name that a superclass shares with a code
    stands for the superclass.
    """
    wanted = " ".join(text.split())
    return _codes_by_name().get(wanted.lower(), wanted)


def is_free_name(name: str) -> bool:
    """Whether a class is neither in the table nor a number: a name that only its model gives.

    It has no expected evidence, and the codes of a record say nothing about it.
    """
    return name not in known_codes() and not _NUMBER.fullmatch(name)


def known_codes() -> frozenset[str]:
    """All codes and class names that have a name in the table, with or without a row."""
    return frozenset(_table().by_code) | frozenset(_table().names)


def window_kinds() -> tuple[str, ...]:
    """All window kinds, in file order."""
    return tuple(_table().windows)


def windows_sec(kind: str, row: Diagnosis | None, heart_rate: float) -> tuple[float, float]:
    """Start and stop of one window in seconds from the R peak.

    Parameters
    ----------
    kind
        Window kind, such as ``"pre"``.
    row
        The diagnosis; a wide QRS complex extends some windows. ``None`` = narrow.
    heart_rate
        Per minute; NaN (unknown) counts as not fast.

    Raises
    ------
    DiagnosisError
        The window kind is unknown.
    """
    window = _table().windows.get(kind)
    if window is None:
        known = ", ".join(window_kinds())
        raise DiagnosisError("window", kind, "is not a window kind", f"use one of {known}")
    start, stop = window.start, window.stop
    if window.fast is not None and heart_rate > window.fast_above:
        start, stop = window.fast
    if window.wide_stop is not None and row is not None and row.wide_qrs:
        stop = window.wide_stop
    return start, stop


@lru_cache(maxsize=1)
def _codes_by_name() -> dict[str, str]:
    """Code by everything that stands for it in the table, in small letters."""
    codes = {name.lower(): code for code, name in _table().names.items()}
    for term in reversed(terms()):
        for name in (term.name, *term.abbreviations):
            codes[name.lower()] = term.code
    return codes | {code.lower(): code for code in known_codes()}


@lru_cache(maxsize=1)
def _table() -> DiagnosisTable:
    return load_table(assets_dir() / "diagnoses.toml")


def load_table(path: Path) -> DiagnosisTable:
    """Read and validate a table of diagnoses.

    Raises
    ------
    DiagnosisError
        The file is missing, is not TOML, or violates a rule of the table.
    """
    try:
        file = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = " ".join(str(part) for part in first["loc"])
        raise DiagnosisError(path.name, place, first["msg"], "correct the row") from None
    except (OSError, ValueError) as error:
        reason = type(error).__name__ if isinstance(error, OSError) else error
        raise DiagnosisError(path.name, "", f"cannot be read: {reason}", "restore it") from None
    windows = {kind: _window(kind, row) for kind, row in file.windows.items()}
    rows = tuple(_diagnosis(row, file, path.name) for row in file.diagnosis)
    by_code, by_abbreviation = _indexes(rows, path.name)
    twice = sorted(file.names.keys() & by_code.keys())
    if twice:
        raise DiagnosisError(path.name, twice[0], "has a row with its name", "keep one of them")
    return DiagnosisTable(windows, rows, by_code, by_abbreviation, file.names)


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise ValueError("the texts must be distinct")
    return values


def _standard(leads: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [lead for lead in leads if lead not in STANDARD_LEADS]
    if unknown:
        raise ValueError(f"has unknown leads {unknown}")
    return leads


Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Code = Annotated[str, Field(pattern=r"^([0-9]{6,18}|[A-Z]{2,8})$")]
"""A SNOMED-CT code, or the name of a superclass."""
Names = Annotated[tuple[Text, ...], AfterValidator(_distinct)]
Leads = Annotated[Names, AfterValidator(_standard)]


class _Row(BaseModel):
    """A TOML table with known fields only."""

    model_config = ConfigDict(extra="forbid")


class _WindowRow(_Row):
    name: Text
    start: Number
    stop: Number
    fast_above: Number = math.inf
    fast_start: Number | None = None
    fast_stop: Number | None = None
    wide_stop: Number | None = None

    @model_validator(mode="after")
    def _starts_before_its_end(self) -> Self:
        if (self.fast_start is None) != (self.fast_stop is None):
            raise ValueError("fast_start and fast_stop belong together")
        spans = [(self.start, self.stop), (self.fast_start, self.fast_stop)]
        for start, stop in (*spans, (self.start, self.wide_stop)):
            if start is not None and stop is not None and start >= stop:
                raise ValueError("the start must be before the end")
        return self


class _TermRow(_Row):
    code: Code
    name: Text
    abbreviations: Names = ()
    ptbxl: Names = ()
    ptbxl_axis: Names = ()
    ptbxl_class: Text | None = None
    note: str = ""


class _CriterionRow(_Row):
    text: Text
    measure: str = ""
    leads: Leads = ()
    of: Literal["every", "pair"] = "every"
    waves: Names
    at_least: Number | None = None
    above: Number | None = None
    at_most: Number | None = None
    below: Number | None = None
    women: Number | None = None
    citations: Annotated[Names, Field(min_length=1)]
    note: str = ""

    @model_validator(mode="after")
    def _is_measured_or_says_why_not(self) -> Self:
        limits = [v for v in (self.at_least, self.above, self.at_most, self.below) if v is not None]
        if self.measure and not limits:
            raise ValueError("a measured criterion needs a limit")
        if not self.measure and (limits or not self.note):
            raise ValueError(
                "a criterion that is not measured has no limit, and a note that says why"
            )
        if self.women is not None and len(limits) != 1:
            raise ValueError("women: only beside a single limit")
        return self


class _DiagnosisRow(_TermRow):
    alias: tuple[_TermRow, ...] = ()
    strict_leads: Leads = ()
    lenient_leads: Leads = ()
    windows: Names = ()
    segment_sec: Annotated[Number, Field(gt=0)]
    method_weights: dict[str, Annotated[Number, Field(gt=0)]] = {}
    prior_leads: Leads = ()
    prior_windows: Names = ()
    wide_qrs: Annotated[bool, Field(strict=True)] = False
    citations: Annotated[Names, Field(min_length=1)]
    criterion: tuple[_CriterionRow, ...] = ()

    @model_validator(mode="after")
    def _has_all_evidence_or_none(self) -> Self:
        evidence = [bool(part) for part in (self.strict_leads, self.lenient_leads, self.windows)]
        if any(evidence) is (self.ptbxl_class is not None) or len(set(evidence)) != 1:
            raise ValueError("leads and windows: all, or none for a superclass")
        return self


class _File(_Row):
    version: Literal[1] = Field(alias="schema")
    references: dict[str, str]
    windows: dict[str, _WindowRow]
    diagnosis: tuple[_DiagnosisRow, ...]
    names: dict[Code, Text] = {}


def _window(kind: str, row: _WindowRow) -> Window:
    fast = None
    if row.fast_start is not None and row.fast_stop is not None:
        fast = (row.fast_start, row.fast_stop)
    return Window(kind, row.name, row.start, row.stop, row.fast_above, fast, row.wide_stop)


def _diagnosis(row: _DiagnosisRow, file: _File, where: str) -> Diagnosis:
    named: list[tuple[Mapping[str, object], tuple[str, ...]]] = [
        (file.windows, (*row.windows, *row.prior_windows)),
        (file.references, row.citations),
        *((file.references, item.citations) for item in row.criterion),
    ]
    for known, used in named:
        unknown = [name for name in used if name not in known]
        if unknown:
            problem = f"has unknown entries {unknown}"
            raise DiagnosisError(where, f"diagnosis {row.code}", problem, "correct the row")
    terms = [
        Term(**{name: getattr(term, name) for name in _TermRow.model_fields})
        for term in (row, *row.alias)
    ]
    own = set(_DiagnosisRow.model_fields) - {
        "alias", "criterion", "ptbxl", "ptbxl_axis", "ptbxl_class",
    }  # fmt: skip
    values = {name: getattr(row, name) for name in own}
    values["citations"] = tuple(file.references[key] for key in row.citations)
    return Diagnosis(
        **values,
        aliases=tuple(term.code for term in terms),
        terms=tuple(terms),
        criteria=tuple(_criterion(item, file.references) for item in row.criterion),
    )


def _criterion(row: _CriterionRow, references: Mapping[str, str]) -> Criterion:
    values = {name: getattr(row, name) for name in _CriterionRow.model_fields}
    return Criterion(**{**values, "citations": tuple(references[key] for key in row.citations)})


def _indexes(
    rows: tuple[Diagnosis, ...], file: str
) -> tuple[dict[str, Diagnosis], dict[str, Diagnosis]]:
    by_code: dict[str, Diagnosis] = {}
    by_abbreviation: dict[str, Diagnosis] = {}
    statements: set[str] = set()
    for row in rows:
        for term in row.terms:
            marks = {f"ptbxl {s}" for s in term.ptbxl} | {f"axis {s}" for s in term.ptbxl_axis}
            short = {text.casefold() for text in term.abbreviations}
            if term.code in by_code or short & by_abbreviation.keys() or marks & statements:
                raise DiagnosisError(file, term.code, "a name is given twice", "keep one of them")
            by_code[term.code] = row
            by_abbreviation.update(dict.fromkeys(short, row))
            statements |= marks
    return by_code, by_abbreviation
