"""What a run is asked to do, and the text that tells two requests apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import find_method
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.training_range import range_digest
from ecgxai_core.params import Profile, SelectionParams, checked
from ecgxai_core.pipeline.given_maps import MapFolder
from ecgxai_core.pipeline.sel_df import Choice, read_selection
from ecgxai_core.types import canonical_json
from ecgxai_core.version import code_version, library_versions

__all__ = [
    "EVERY",
    "LIMIT_OPTIONS",
    "MODES",
    "SELECTION",
    "RecordChoice",
    "RunRequest",
    "choose_records",
    "request_digest",
]

MODES: dict[str, int] = {"demo": 3, "eval": 50}
"""Records explained per diagnosis."""
LIMIT_OPTIONS: Mapping[str, str] = {
    "k_per_class": "--k-per-class",
    "min_prob": "--min-prob",
    "max_duration_sec": "--max-duration",
}
"""Fields of :class:`SelectionParams` that the command line can set, and their options."""
EVERY = "all"
"""Mode of a run over every record that is labelled or called; nothing is drawn."""
SELECTION = "selection"
"""Mode of a run whose records and targets come from a file."""


@dataclass(frozen=True, slots=True)
class RecordChoice:
    """Which records are explained, for which targets.

    ``chosen``, where given, are the records and targets, instead of what ``selection`` draws.
    """

    mode: str
    targets: tuple[str, ...] | None
    selection: SelectionParams
    chosen: tuple[Choice, ...] | None = None

    def as_key(self) -> dict[str, Any]:
        """Plain values of what selects the records."""
        if self.chosen is None:
            return self.selection.as_key()
        rows = canonical_json([asdict(choice) for choice in self.chosen])
        return {"rows": len(self.chosen), "sha256": hashlib.sha256(rows.encode()).hexdigest()}


def choose_records(
    mode: str | None = None,
    targets: Sequence[str] | None = None,
    limits: Mapping[str, float | None] = {},
    seed: int | None = None,
    selection: Path | None = None,
    *,
    every: bool = False,
) -> RecordChoice:
    """Check a choice of records and fill in what the mode decides (records per diagnosis).

    Parameters
    ----------
    mode
        One of :data:`MODES`; ``None`` = ``demo``.
    targets
        Codes or abbreviations; ``None`` = all.
    limits
        Fields of :class:`SelectionParams` that the mode or their defaults would decide.
    seed
        Seed of the draw.
    selection
        CSV file of ``ecgxai select`` that fixes records and targets.
    every
        Every record that is labelled or called (see :func:`ecgxai_core.pipeline.sel_df.select`).

    Raises
    ------
    ParameterError
        No such mode, a limit out of bounds, or a selection beside what it fixes.
    RunError
        The selection cannot be read.
    """
    given = {name: value for name, value in limits.items() if value is not None}
    draw = {"seed": seed or 0, **given}
    if every:
        _refuse_beside("--all", {"--mode": mode, "--k-per-class": given.get("k_per_class"),
                                 "--selection": selection})  # fmt: skip
        return RecordChoice(
            EVERY, tuple(targets) if targets else None, checked(SelectionParams, draw)
        )
    if selection is None:
        mode = mode or "demo"
        if mode not in MODES:
            raise ParameterError("--mode", mode, "no such mode", f"use one of {', '.join(MODES)}")
        params = checked(SelectionParams, {"k_per_class": MODES[mode], **draw})
        return RecordChoice(mode, tuple(targets) if targets else None, params)
    limits_given = {LIMIT_OPTIONS[name]: str(value) for name, value in given.items()}
    _refuse_beside("--selection", {"--mode": mode, "--target": targets, **limits_given})
    return RecordChoice(SELECTION, None, checked(SelectionParams, draw), read_selection(selection))


def _refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """Refuse options beside one that decides what they would."""
    named = next((name for name, value in others.items() if value), None)
    if named is not None:
        problem = f"fixes the records and targets that {named} would choose"
        raise ParameterError(option, named, problem, "give one or the other")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Where the records and the model are, where results go, and every parameter.

    ``folders`` hold maps that another program made, which are evaluated beside ours.

    Raises
    ------
    ParameterError
        The profile names a method that there is not.
    """

    data: Path
    model: Path
    out: Path
    profile: Profile
    records: RecordChoice
    arrays: Path | None = None
    checksum: str = "warn"
    folders: tuple[MapFolder, ...] = ()

    def __post_init__(self) -> None:
        for name in self.profile.methods:
            find_method(name)

    def describe(self, classifier: Classifier) -> dict[str, Any]:
        """Plain values of everything that decides the results; no path of a machine."""
        targets = self.records.targets
        return {
            "mode": self.records.mode,
            "targets": list(targets) if targets is not None else None,
            "profile": self.profile.as_key(),
            "selection": self.records.as_key(),
            "checksum": self.checksum,
            "model": self.model.name,
            "model_digest": classifier.digest,
            "training_range": range_digest(classifier),
            "data": self.data.name,
            "predictions": "arrays" if self.arrays is not None else "computed",
            "code": code_version(),
            "libraries": library_versions(),
            "maps": {item.name: item.digest for item in self.folders},
        }


def request_digest(described: Mapping[str, Any]) -> str:
    """SHA-256 of :meth:`RunRequest.describe`."""
    return hashlib.sha256(canonical_json(dict(described)).encode()).hexdigest()
