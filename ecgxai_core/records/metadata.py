"""What the comment lines of a header say about the person: labels, age, sex, synthetic or not.

Challenge headers write ``#Dx: 164889003,426783006`` (2020) or ``# Dx: ...`` (2021), LUDB
``#<age>: 51``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ecgxai_core.types import QualityWarning

__all__ = ["Metadata", "parse_comments", "parse_sex"]

_PAIR = re.compile(r"<?(\w{1,20})>?\s*:\s*(.*)", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_.+-]{1,40}", re.ASCII)
_AGE = re.compile(r"\d{1,3}(\.\d{1,6})?", re.ASCII)
_UNKNOWN = {"", "unknown", "nan", "none", "n/a", "na", "-"}
_MAX_AGE = 120.0
_MAX_LABELS = 200


@dataclass(frozen=True, slots=True)
class Metadata:
    """``labels`` is ``None`` where there is no ``#Dx`` field, or it says unknown."""

    labels: tuple[str, ...] | None = None
    age: float | None = None
    sex: str | None = None
    synthetic: bool = False
    warnings: tuple[QualityWarning, ...] = ()


def parse_comments(comments: Sequence[str]) -> Metadata:
    """Metadata from the comment lines (without their ``#``) of a header."""
    fields: dict[str, list[str]] = {}
    for comment in comments:
        match = _PAIR.fullmatch(comment)
        if match:
            fields.setdefault(match[1].lower(), []).append(match[2].strip())
    warnings: list[QualityWarning] = []
    labels = _labels(fields.get("dx", []), warnings)
    age = _age(fields.get("age", []), warnings)
    sex = next((s for s in map(parse_sex, fields.get("sex", [])) if s), None)
    # whatever is said but a plain no counts as yes: rather a real record marked synthetic
    denials = {"false", "no", "0"}
    synthetic = any(text.lower() not in denials for text in fields.get("synthetic", []))
    return Metadata(labels, age, sex, synthetic, tuple(warnings))


def parse_sex(text: str) -> str | None:
    """``"F"``, ``"Female"`` -> ``"female"``; ``"M"``, ``"male"`` -> ``"male"``; else ``None``."""
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get(
        text.strip().lower()
    )


def _labels(lines: list[str], warnings: list[QualityWarning]) -> tuple[str, ...] | None:
    """Codes of all ``#Dx`` lines, in order, without repeats."""
    if len(lines) > 1:
        text = f"{len(lines)} #Dx lines; their codes are taken together"
        warnings.append(QualityWarning("duplicate_dx", text))
    if not lines or all(line.lower() in _UNKNOWN - {""} for line in lines):
        return None
    words = [word.strip() for line in lines for word in re.split(r"[,;]", line)]
    codes = list(dict.fromkeys(w for w in words if w.lower() not in _UNKNOWN))
    kept = [code for code in codes if _CODE.fullmatch(code)][:_MAX_LABELS]
    if len(kept) < len(codes):
        text = f"{len(codes) - len(kept)} entries of #Dx are no codes and were left out"
        warnings.append(QualityWarning("unreadable_dx", text))
    return tuple(kept)


def _age(texts: list[str], warnings: list[QualityWarning]) -> float | None:
    """Years; PTB-XL hides ages over 89 as 300, which no one is."""
    if not texts or texts[0].lower() in _UNKNOWN:
        return None
    age = float(texts[0]) if _AGE.fullmatch(texts[0]) else math.nan
    if age <= _MAX_AGE:
        return age
    warnings.append(QualityWarning("odd_age", f"the age is not from 0 to {_MAX_AGE:g} years"))
    return None
