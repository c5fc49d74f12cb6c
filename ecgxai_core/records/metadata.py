"""What the comment lines of a header say about the person: labels, age, sex, synthetic or not.

Challenge headers write ``#Dx: 164889003,426783006`` (2020) or ``# Dx: ...`` (2021), LUDB
``#<age>: 51``, INCART ``#<age>: 65 <sex>: F <diagnoses> ...`` in one line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ecgxai_core.diagnoses import code_of
from ecgxai_core.types import QualityWarning

__all__ = ["MAX_AGE", "Metadata", "odd_age", "parse_comments", "parse_sex"]

_PAIR = re.compile(r"<?(\w{1,20})>?\s*:\s*(.*)", re.ASCII)
_BRACKETED = re.compile(r"<(\w{1,20})>[ \t]{0,9}:?", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_.+-]{1,40}", re.ASCII)
_AGE = re.compile(r"\d{1,3}(\.\d{1,20})?", re.ASCII)
_BETWEEN_CODES = re.compile(r"[,;]")
_UNKNOWN = {"", "unknown", "nan", "none", "n/a", "na", "-"}
MAX_AGE = 120.0
"""Years; the oldest person on record reached 122."""
_MAX_LABELS = 200
_MOST_TOLD = 20
_KEY = re.compile(r"[a-z_]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Metadata:
    """``labels`` is ``None`` where there is no ``#Dx`` field, it says unknown, or not all of it can
    be read."""

    labels: tuple[str, ...] | None = None
    age: float | None = None
    sex: str | None = None
    synthetic: bool = False
    warnings: tuple[QualityWarning, ...] = ()


def parse_comments(comments: Sequence[str]) -> Metadata:
    """Metadata from the comment lines (without their ``#``) of a header."""
    fields: dict[str, list[str]] = {}
    for key, text in (pair for comment in comments for pair in _pairs(comment)):
        fields.setdefault(key.lower(), []).append(text.strip())
    warnings: list[QualityWarning] = []
    labels = _labels(fields.get("dx", []), warnings)
    warnings += _told(fields.get("warning", []))
    age = _age(fields.get("age", []), warnings)
    sex = next((s for s in map(parse_sex, fields.get("sex", [])) if s), None)
    # Anything but a plain no counts as yes: better a real record marked synthetic than the reverse.
    denials = {"false", "no", "0"}
    synthetic = any(text.lower() not in denials for text in fields.get("synthetic", []))
    return Metadata(labels, age, sex, synthetic, tuple(warnings))


def _pairs(comment: str) -> list[tuple[str, str]]:
    """``Key: text``, or several ``<key>: text`` one after the other."""
    if comment.startswith("<"):
        parts = _BRACKETED.split(comment)[1:]
        return list(zip(parts[::2], parts[1::2], strict=True))
    match = _PAIR.fullmatch(comment)
    return [(match[1], match[2])] if match else []


def parse_sex(text: str) -> str | None:
    """``"F"``, ``"Female"`` -> ``"female"``; ``"M"``, ``"male"`` -> ``"male"``; else ``None``."""
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get(
        text.strip().lower()
    )


def _labels(lines: list[str], warnings: list[QualityWarning]) -> tuple[str, ...] | None:
    """Codes of all ``#Dx`` lines, in order, without repeats.

    Names and abbreviations of the table of diagnoses become codes. An entry that cannot be read may
    be any diagnosis: the record then counts as not labelled, never as one without them all.
    """
    if len(lines) > 1:
        text = f"{len(lines)} #Dx lines; their codes are taken together"
        warnings.append(QualityWarning("duplicate_dx", text))
    if not lines or all(line.lower() in _UNKNOWN - {""} for line in lines):
        return None
    words = [word.strip() for line in lines for word in _BETWEEN_CODES.split(line)]
    codes = list(dict.fromkeys(code_of(w) for w in words if w.lower() not in _UNKNOWN))
    kept = [code for code in codes if _CODE.fullmatch(code)][:_MAX_LABELS]
    if len(kept) == len(codes):
        return tuple(kept)
    text = (
        f"{len(codes) - len(kept)} entries of #Dx are neither codes nor names of the table of "
        "diagnoses; the record counts as not labelled"
    )
    warnings.append(QualityWarning("unreadable_dx", text))
    return None


def _told(lines: list[str]) -> list[QualityWarning]:
    """Warnings that were written into the header when the record was imported."""
    parts = (line.partition(":") for line in lines[:_MOST_TOLD])
    return [QualityWarning(c, text.strip()[:300]) for c, _, text in parts if _KEY.fullmatch(c)]


def _age(texts: list[str], warnings: list[QualityWarning]) -> float | None:
    """Years; PTB-XL hides ages over 89 as 300, which no one is."""
    if not texts or texts[0].lower() in _UNKNOWN:
        return None
    age = float(texts[0]) if _AGE.fullmatch(texts[0]) else math.nan
    if age <= MAX_AGE:
        return age
    warnings.append(odd_age())
    return None


def odd_age() -> QualityWarning:
    """The warning of an impossible age."""
    return QualityWarning("odd_age", f"the age is not from 0 to {MAX_AGE:g} years")
