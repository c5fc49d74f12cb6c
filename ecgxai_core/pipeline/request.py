"""What a run is asked to do, and the text that tells two requests apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ecgxai_core.errors import ParameterError
from ecgxai_core.explain import find_method
from ecgxai_core.params import Profile, SelectionParams, checked
from ecgxai_core.types import canonical_json
from ecgxai_core.version import code_version, library_versions

__all__ = ["MODES", "RunRequest", "make_request"]

Mode = Literal["demo", "eval"]
MODES: dict[str, int] = {"demo": 3, "eval": 50}
"""Records explained per diagnosis."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Where the records and the model are, where results go, and every parameter."""

    data: Path
    model: Path
    out: Path
    mode: str
    targets: tuple[str, ...] | None
    profile: Profile
    selection: SelectionParams
    arrays: Path | None = None
    checksum: str = "warn"

    def describe(self, model_digest: str) -> dict[str, Any]:
        """Plain values of everything that decides the results; no path of a machine."""
        return {
            "mode": self.mode,
            "targets": list(self.targets) if self.targets is not None else None,
            "profile": self.profile.as_key(),
            "selection": self.selection.as_key(),
            "checksum": self.checksum,
            "model": self.model.name,
            "model_digest": model_digest,
            "data": self.data.name,
            "predictions": "arrays" if self.arrays is not None else "computed",
            "code": code_version(),
            "libraries": library_versions(),
        }

    def digest(self, model_digest: str) -> str:
        """SHA-256 of :meth:`describe`."""
        return hashlib.sha256(canonical_json(self.describe(model_digest)).encode()).hexdigest()


def make_request(
    data: Path,
    model: Path,
    out: Path,
    *,
    mode: str,
    targets: list[str] | None,
    profile: Profile,
    seed: int | None,
    arrays: Path | None = None,
    checksum: str = "warn",
    methods: list[str] | None = None,
) -> RunRequest:
    """Check a request and fill in what the mode decides (records per diagnosis).

    ``methods`` replaces those of the profile; each once.
    """
    if mode not in MODES:
        raise ParameterError("--mode", mode, "no such mode", f"use one of {', '.join(MODES)}")
    if methods:
        profile = profile.updated(methods=tuple(dict.fromkeys(methods)))
    for name in profile.methods:
        find_method(name)
    selection = checked(SelectionParams, {"k_per_class": MODES[mode], "seed": seed or 0})
    return RunRequest(
        data,
        model,
        out,
        mode,
        tuple(targets) if targets else None,
        profile,
        selection,
        arrays,
        checksum,
    )
