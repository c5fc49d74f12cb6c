"""Lead names: what files write, and the one way this program writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ecgxai_core.errors import RecordError
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["DERIVED_LEADS", "INDEPENDENT_LEADS", "lead_name", "standard_order"]

INDEPENDENT_LEADS: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

DERIVED_LEADS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}
)
"""Factors of I and II that give each derived lead (Einthoven 1908; Goldberger 1942)."""

_BY_UPPER = {lead.upper(): lead for lead in STANDARD_LEADS}


def lead_name(text: str) -> str | None:
    """Return the standard name of a lead (``"AVR"``, ``"avr"``, ``"Lead aVR"``), else ``None``."""
    words = text.upper().split()
    if len(words) > 1 and words[0] == "LEAD":
        words = words[1:]
    return _BY_UPPER.get(words[0]) if len(words) == 1 else None


def standard_order(where: str, leads: Sequence[str]) -> tuple[int, ...]:
    """Positions that put ``leads`` in the order of ``STANDARD_LEADS``.

    Raises
    ------
    RecordError
        A lead that occurs twice.
    """
    seen: dict[str, int] = {}
    for position, lead in enumerate(leads):
        if lead in seen:
            raise RecordError(
                where, f"signal {position + 1}, lead", f"lead {lead} occurs twice",
                "name each lead once",
            )  # fmt: skip
        seen[lead] = position
    return tuple(seen[lead] for lead in STANDARD_LEADS if lead in seen)
