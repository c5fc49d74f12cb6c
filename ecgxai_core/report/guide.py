"""Texts of the guide: methods, metrics, limits and glossary.

Descriptions of methods and metrics come from their registries; how to interpret them is written in
``assets/guide.toml``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ecgxai_core.explainers import METHODS
from ecgxai_core.metrics import METRICS
from ecgxai_core.settings import assets_dir

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CATEGORIES", "FAMILIES", "GLOSSARY", "LIMITS", "READING",
    "Note", "glossary_table", "method_table", "metric_table",
]  # fmt: skip

_TEXTS: dict[str, Any] = tomllib.loads((assets_dir() / "guide.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Note:
    """A heading and a few sentences."""

    title: str
    text: str


FAMILIES: dict[str, str] = _TEXTS["families"]
"""Principle and limitation of each family of methods."""

CATEGORIES: dict[str, Note] = {k: Note(**note) for k, note in _TEXTS["categories"].items()}
"""Question and limitation of each category of metrics."""

READING: tuple[Note, ...] = tuple(Note(**note) for note in _TEXTS["reading"])
"""How to read figures and tables."""

LIMITS: tuple[Note, ...] = tuple(Note(**note) for note in _TEXTS["limits"])
"""Known limits of explanations and of their evaluation."""

GLOSSARY: dict[str, str] = _TEXTS["glossary"]
"""Terms used by this program."""


def method_table() -> pd.DataFrame:
    """One row per method: family, description, and limitation of the family."""
    import pandas as pd

    rows = [
        {
            "method": method.title,
            "family": method.family,
            "what it is": method.description,
            "what it does not say": FAMILIES.get(method.family, ""),
            "signed": "yes" if method.signed else "no",
        }
        for method in METHODS.values()
    ]
    return pd.DataFrame(rows)


def metric_table(category: str) -> pd.DataFrame:
    """One row per metric of a category, from the registry."""
    import pandas as pd

    rows = [
        {
            "metric": metric.title,
            "better": "neither" if metric.direction == "none" else metric.direction,
            "a map without information": metric.chance,
            "undefined when": metric.undefined,
            "cost": metric.cost,
            "source": metric.source,
            "column": metric.name,
        }
        for metric in METRICS.values()
        if metric.category == category
    ]
    return pd.DataFrame(rows)


def glossary_table() -> pd.DataFrame:
    """The glossary, one row per term."""
    import pandas as pd

    return pd.DataFrame(GLOSSARY.items(), columns=["word", "meaning"])
