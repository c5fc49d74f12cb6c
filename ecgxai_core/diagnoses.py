"""The one table of diagnoses, read from ``assets/diagnoses.toml``.

Each row says how a diagnosis is named, which codes are scored as the same, where cardiology expects
its evidence (leads and windows around the R peak, with citations), and its defaults for segment
length and fusion weights. The file explains where its values come from.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ecgxai_core.errors import DiagnosisError
from ecgxai_core.settings import assets_dir
from ecgxai_core.types import STANDARD_LEADS

__all__ = [
    "Diagnosis",
    "DiagnosisTable",
    "Term",
    "Window",
    "aliases",
    "diagnoses",
    "diagnosis",
    "find_diagnosis",
    "known_codes",
    "load_table",
    "term_of",
    "terms",
    "window_kinds",
    "windows_sec",
]

_SCHEMA = 1
_CODE = re.compile(r"[0-9]{6,18}|[A-Z]{2,8}")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the beat, in seconds from the R peak.

    ``fast`` holds instead at heart rates above ``fast_above`` per minute; ``wide_stop`` replaces
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

    ``ptbxl`` are the PTB-XL statements, ``ptbxl_axis`` the values of PTB-XL's ``heart_axis`` and
    ``ptbxl_class`` the PTB-XL superclass that stand for this code.
    """

    code: str
    name: str
    abbreviations: tuple[str, ...] = ()
    ptbxl: tuple[str, ...] = ()
    ptbxl_axis: tuple[str, ...] = ()
    ptbxl_class: str | None = None
    note: str = ""


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
        Where evidence is expected: leads, and kinds of :class:`Window`. Empty = no evidence row,
        and plausibility is undefined.
    segment_sec
        Default length of uniform segments.
    method_weights
        Fusion weight by method; empty = equal weights.
    prior_leads, prior_windows
        The published priors, kept to show what scoring with priors does.
    wide_qrs
        Whether windows use their ``wide_stop``.
    citations
        Full references.
    note
        Where the published evidence is doubtful or differs from the cited works.
    terms
        Names of every code in ``aliases``, in the same order.
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

    @property
    def has_evidence(self) -> bool:
        """Whether plausibility is defined for it."""
        return bool(self.strict_leads and self.windows)


@dataclass(frozen=True, slots=True)
class DiagnosisTable:
    """The whole file: windows by kind, diagnoses in file order, rows by every code, names alone."""

    windows: Mapping[str, Window] = field(hash=False)
    diagnoses: tuple[Diagnosis, ...]
    by_code: Mapping[str, Diagnosis] = field(hash=False)
    by_abbreviation: Mapping[str, Diagnosis] = field(hash=False)
    names: Mapping[str, str] = field(hash=False)
    """Names of codes that have no row."""


def diagnoses() -> tuple[Diagnosis, ...]:
    """Every canonical diagnosis, in the order of the file."""
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
        known = ", ".join(row.abbreviations[0] if row.abbreviations else row.code
                          for row in diagnoses())  # fmt: skip
        raise DiagnosisError(
            "target", code, "is not in the table of diagnoses", f"use a SNOMED-CT code or {known}"
        )
    return found


def aliases(code: str) -> tuple[str, ...]:
    """All codes scored as the same diagnosis, canonical first; a code not in the table alone."""
    found = find_diagnosis(code)
    return found.aliases if found else (code,)


def terms() -> tuple[Term, ...]:
    """Every code of the table with its own names, aliases included."""
    return tuple(term for row in diagnoses() for term in row.terms)


def term_of(code: str) -> Term:
    """The names of exactly this code, as the program shows them: that of its row, or the name alone
    where it has no evidence row; a code that the table lacks is named by itself."""
    found = _table().by_code.get(code)
    if found is None:
        return Term(code=code, name=_table().names.get(code, code))
    return next(term for term in found.terms if term.code == code)


def known_codes() -> frozenset[str]:
    """Every code and class name that the table has a name for, with an evidence row or without."""
    return frozenset(_table().by_code) | frozenset(_table().names)


def window_kinds() -> tuple[str, ...]:
    """Names of all window kinds, in the order of the file."""
    return tuple(_table().windows)


def windows_sec(kind: str, row: Diagnosis | None, heart_rate: float) -> tuple[float, float]:
    """Start and stop of one window in seconds from the R peak.

    Parameters
    ----------
    kind
        Window kind, such as ``"pre"``.
    row
        The diagnosis; a wide QRS complex widens some windows. ``None`` = a narrow one.
    heart_rate
        Per minute; NaN (unknown) counts as not fast.

    Raises
    ------
    DiagnosisError
        No such window kind.
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
def _table() -> DiagnosisTable:
    return load_table(assets_dir() / "diagnoses.toml")


def load_table(path: Path) -> DiagnosisTable:
    """Read and check a table of diagnoses.

    Raises
    ------
    DiagnosisError
        The file is missing, is not TOML, or breaks a rule of the table.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = type(error).__name__ if isinstance(error, OSError) else error
        raise DiagnosisError(path.name, "", f"cannot be read: {reason}", "restore it") from None
    top = _Fields(raw, path.name, "file")
    if top.take("schema", int) != _SCHEMA:
        raise top.error("schema", f"is not {_SCHEMA}")
    references = {k: str(v) for k, v in top.take("references", dict).items()}
    windows = {
        kind: _window(kind, _Fields(value, path.name, f"window {kind}"))
        for kind, value in top.take("windows", dict).items()
    }
    rows = tuple(
        _diagnosis(_Fields(value, path.name, f"diagnosis {number}"), references, windows)
        for number, value in enumerate(top.take("diagnosis", list), start=1)
    )
    by_code, by_abbreviation = _indexes(rows, path.name)
    names = _names(_Fields(top.take("names", dict, {}), path.name, "names"), by_code)
    top.done()
    return DiagnosisTable(windows, rows, by_code, by_abbreviation, names)


class _Fields:
    """Takes the fields of one TOML table by name and type; what is left over is an error."""

    def __init__(self, values: Any, file: str, place: str) -> None:
        self.file, self.place = file, place
        if not isinstance(values, dict):
            raise self.error("", "is not a table")
        self.values: dict[str, Any] = dict(values)
        if "code" in values:
            self.place = f"{place} ({values['code']})"

    def error(self, name: str, problem: str) -> DiagnosisError:
        return DiagnosisError(self.file, f"{self.place} {name}".strip(), problem, "correct the row")

    def take(self, name: str, kind: type, default: Any = None) -> Any:
        if name not in self.values:
            if default is None:
                raise self.error(name, "is missing")
            return default
        value = self.values.pop(name)
        # bool is an int in Python; a table that says `true` for a number is a slip
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise self.error(name, f"is not of type {kind.__name__}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = float(self.take(name, float, default))
        if not math.isfinite(value):
            raise self.error(name, "is not finite")
        return value

    def names(self, name: str, known: Mapping[str, Any] | tuple[str, ...] = ()) -> tuple[str, ...]:
        values = self.take(name, list, [])
        if not all(isinstance(v, str) and v for v in values) or len(set(values)) != len(values):
            raise self.error(name, "must be distinct texts")
        unknown = [v for v in values if known and v not in known]
        if unknown:
            raise self.error(name, f"has unknown entries {unknown}")
        return tuple(values)

    def done(self) -> None:
        if self.values:
            raise self.error(", ".join(sorted(self.values)), "is not a known field")


def _window(kind: str, fields: _Fields) -> Window:
    fast = None
    if "fast_start" in fields.values:
        fast = (fields.number("fast_start"), fields.number("fast_stop"))
    window = Window(
        kind=kind,
        name=fields.take("name", str),
        start=fields.number("start"),
        stop=fields.number("stop"),
        fast_above=fields.number("fast_above") if fast else math.inf,
        fast=fast,
        wide_stop=fields.number("wide_stop") if "wide_stop" in fields.values else None,
    )
    fields.done()
    spans = [(window.start, window.stop), fast or (0.0, 1.0)]
    spans.append((window.start, window.wide_stop if window.wide_stop is not None else window.stop))
    if any(start >= stop for start, stop in spans):
        raise fields.error("start", "must lie before the end")
    return window


def _term(fields: _Fields) -> Term:
    code = fields.take("code", str)
    if not _CODE.fullmatch(code):
        raise fields.error("code", "is neither a SNOMED-CT code nor a superclass name")
    return Term(
        code=code,
        name=fields.take("name", str),
        abbreviations=fields.names("abbreviations"),
        ptbxl=fields.names("ptbxl"),
        ptbxl_axis=fields.names("ptbxl_axis"),
        ptbxl_class=fields.take("ptbxl_class", str, "") or None,
        note=fields.take("note", str, ""),
    )


def _diagnosis(
    fields: _Fields, references: Mapping[str, str], windows: Mapping[str, Window]
) -> Diagnosis:
    main = _term(fields)
    others = []
    for number, value in enumerate(fields.take("alias", list, []), start=1):
        alias = _Fields(value, fields.file, f"{fields.place} alias {number}")
        others.append(_term(alias))
        alias.done()
    row = Diagnosis(
        code=main.code,
        name=main.name,
        abbreviations=main.abbreviations,
        aliases=(main.code, *(term.code for term in others)),
        strict_leads=fields.names("strict_leads", STANDARD_LEADS),
        lenient_leads=fields.names("lenient_leads", STANDARD_LEADS),
        windows=fields.names("windows", windows),
        segment_sec=fields.number("segment_sec"),
        method_weights=_weights(fields),
        prior_leads=fields.names("prior_leads", STANDARD_LEADS),
        prior_windows=fields.names("prior_windows", windows),
        wide_qrs=fields.take("wide_qrs", bool, False),
        citations=tuple(references[key] for key in fields.names("citations", references)),
        note=main.note,
        terms=(main, *others),
    )
    fields.done()
    if row.segment_sec <= 0:
        raise fields.error("segment_sec", "must be above 0")
    if not row.citations:
        raise fields.error("citations", "must name at least one reference")
    evidence = [bool(row.strict_leads), bool(row.lenient_leads), bool(row.windows)]
    if any(evidence) is (main.ptbxl_class is not None) or len(set(evidence)) != 1:
        raise fields.error("strict_leads", "leads and windows: all, or none in a superclass")
    return row


def _weights(fields: _Fields) -> dict[str, float]:
    weights = fields.take("method_weights", dict, {})
    if not all(isinstance(v, float) and math.isfinite(v) and v > 0 for v in weights.values()):
        raise fields.error("method_weights", "must be numbers above 0")
    return dict(weights)


def _names(fields: _Fields, rows: Mapping[str, Diagnosis]) -> dict[str, str]:
    """Names of codes without a row."""
    for code, name in fields.values.items():
        if not _CODE.fullmatch(code) or not isinstance(name, str) or not name:
            raise fields.error(code, "is not a code with its name")
        if code in rows:
            raise fields.error(code, "has a row, which names it")
    return fields.values


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
