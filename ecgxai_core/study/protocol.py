"""The protocol of a blinded study: a TOML file that says what is shown to whom."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from ecgxai_core.errors import EcgXaiError
from ecgxai_core.explainers import METHODS
from ecgxai_core.metrics.references import SIGNAL_REFERENCES
from ecgxai_core.params import Params, ProfileName, checked
from ecgxai_core.pipeline.sel_df import read_selection

__all__ = [
    "CONTROLS",
    "FUSED",
    "NONE",
    "NO_MAP",
    "AskedCase",
    "Protocol",
    "StudyError",
    "asked_cases",
    "read_protocol",
]  # fmt: skip

NO_MAP, FUSED = "none", "fused"
CONTROLS: tuple[str, ...] = ("lead_shuffled", "time_reversed", "random", *SIGNAL_REFERENCES)
"""Arms that show a map without the model's reasons: the fused map moved to other leads or times,
chance, and the signal's own energy and amplitude."""
NONE = "none"
"""The reference diagnosis of a record that has none of those that can be chosen."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}"


class StudyError(EcgXaiError):
    """A study that cannot be made, read or answered as asked."""


class AskedCase(Params):
    """A record of the study, the diagnosis that the model is asked for, and the true one."""

    record: str = Field(min_length=1, max_length=200)
    target: str = Field(min_length=1, max_length=200)
    reference: str | None = Field(
        None, max_length=200, description="the true diagnosis, or 'none'; left out = not known"
    )


class Protocol(Params):
    """What a study shows: records, arms, raters, and the seed of every order."""

    title: str = Field("Study", max_length=200)
    data: str = Field(description="folder of records, relative to the protocol")
    model: str = Field(description="a shipped model, or a model file relative to the protocol")
    arms: tuple[str, ...] = Field(min_length=1, max_length=12)
    raters: tuple[str, ...] = Field(min_length=1, max_length=100, description="pseudonyms")
    case: tuple[AskedCase, ...] = Field((), max_length=1000)
    selection: str | None = Field(
        None, description="in place of [[case]]: a CSV file that 'ecgxai select' wrote"
    )
    diagnoses: tuple[str, ...] = Field(
        (), max_length=60, description="what a rater can choose beside the targets and references"
    )
    repeated: int = Field(0, ge=0, le=500, description="cases that every rater sees twice")
    apart: int = Field(5, ge=1, le=500, description="least number of cases between the two")
    seed: int = Field(0, ge=0, description="seed of arms and orders")
    profile: ProfileName = "default"
    methods: tuple[str, ...] = Field((), description="methods of the fused map; the profile's")
    instructions: str = Field("", max_length=5000, description="shown before the first case")

    @model_validator(mode="after")
    def _names(self) -> Protocol:
        known = (NO_MAP, FUSED, *CONTROLS, *METHODS)
        for arm in self.arms:
            if arm not in known:
                raise ValueError(f"there is no arm {arm!r}; it can be one of {', '.join(known)}")
        for name in self.methods:
            if name not in METHODS:
                raise ValueError(f"there is no method {name!r}")
        for field in ("arms", "raters", "methods"):
            values = getattr(self, field)
            if len(set(values)) < len(values):
                raise ValueError(f"{field} has an entry twice")
        import re

        odd = [name for name in self.raters if not re.fullmatch(_NAME, name)]
        if odd:
            raise ValueError(f"the rater {odd[0]!r} needs a short name of letters and digits")
        if bool(self.case) == bool(self.selection):
            raise ValueError("give either [[case]] or a selection")
        return self


def read_protocol(path: Path) -> Protocol:
    """Read a protocol.

    Raises
    ------
    StudyError
        The file is not TOML.
    ParameterError
        A name is unknown, or a value is not possible.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StudyError(path.name, "", error, "write a TOML file; see the how-to") from None
    return checked(Protocol, values)


def asked_cases(protocol: Protocol, base: Path) -> Sequence[AskedCase]:
    """The cases of a protocol: its own, or those of its selection (positive = the target is true).

    ``base`` is the folder of the protocol.

    Raises
    ------
    StudyError
        A record twice: a rater would know it again.
    RunError
        The selection cannot be read.
    """
    cases: Sequence[AskedCase] = protocol.case
    if protocol.selection is not None:
        rows = read_selection(base / protocol.selection)
        cases = [
            AskedCase(
                record=row.record,
                target=row.target,
                reference=None if row.status in ("unlabelled", "called") else row.target,
            )
            for row in rows
        ]
    seen: set[str] = set()
    for case in cases:
        if case.record in seen:
            raise StudyError(
                "study", case.record, "is in the study twice", "name it once; see 'repeated'"
            )
        seen.add(case.record)
    return cases
