"""What a training run leaves behind: config, revision, history, checkpoint, weights, results.

Every file appears complete or not at all, so a run can be killed at any moment.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError

__all__ = [
    "Arrays",
    "git_revision",
    "load_bundle",
    "read_json",
    "save_bundle",
    "write_atomically",
    "write_json",
]

Arrays = Sequence[npt.NDArray[Any]]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, numbers that are not finite as ``null``."""
    text = json.dumps(_finite(value), indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode("utf-8"))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises
    ------
    RunError
        The file is not there or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise RunError(
            path.parent.name, path.name, "is missing or no JSON", "give a run directory"
        ) from None


def save_bundle(path: Path, groups: Mapping[str, Arrays], about: Mapping[str, Any]) -> None:
    """Groups of arrays and a JSON text in one ``npz`` file, so they can never disagree."""
    named = {
        f"{group}/{number:05d}": np.asarray(array)
        for group, arrays in groups.items()
        for number, array in enumerate(arrays)
    }
    text = np.frombuffer(json.dumps(dict(about)).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, about=text, **named)
    write_atomically(path, stream.getvalue())


def load_bundle(path: Path) -> tuple[dict[str, list[npt.NDArray[Any]]], dict[str, Any]]:
    """What :func:`save_bundle` wrote.

    Raises
    ------
    RunError
        The file is damaged.
    """
    groups: dict[str, list[npt.NDArray[Any]]] = {}
    try:
        with np.load(path, allow_pickle=False) as bundle:
            about = json.loads(bundle["about"].tobytes())
            for name in sorted(bundle.files):
                if "/" in name:
                    groups.setdefault(name.split("/")[0], []).append(bundle[name])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise RunError(
            path.parent.name, path.name, f"is damaged ({type(error).__name__})", "delete it"
        ) from None
    return groups, about


def git_revision() -> str:
    """Revision of the source, ``+changes`` where it was edited since, or ``"unknown"``."""
    folder = Path(__file__).resolve().parent
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value
