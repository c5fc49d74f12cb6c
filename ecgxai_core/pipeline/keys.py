"""Keys of the disk cache: what a value depends on, the code and the libraries included."""

from __future__ import annotations

from typing import Any

from ecgxai_core.version import code_version, library_versions

__all__ = ["cache_key"]


def cache_key(kind: str, **parts: Any) -> dict[str, Any]:
    """Key of one kind of value; ``parts`` are everything else that it depends on."""
    return {"kind": kind, **parts, "code": code_version(), "libraries": library_versions()}
