"""What computed a value: the package version, its source, and the libraries that shape the numbers.

Cache keys and provenance carry it, so a result of other code is never served as one of this.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ecgxai_core import __version__
from ecgxai_core.settings import assets_dir

__all__ = ["code_version", "library_versions"]

_LIBRARIES = ("numpy", "scipy", "tensorflow", "keras", "neurokit2")
_NOT_NUMERIC = {"cli", "plots", "report", "simulate", "store", "training", "zoo"}


@lru_cache(maxsize=1)
def code_version() -> str:
    """``"0.1.0+<12 hex digits>"``: version and digest of all source that influences a result."""
    package = Path(__file__).resolve().parent
    sha = hashlib.sha256()
    for path in [*sorted(package.rglob("*.py")), assets_dir() / "diagnoses.toml"]:
        if path.parent.name in _NOT_NUMERIC or not path.is_file():
            continue
        sha.update(path.name.encode())
        sha.update(path.read_bytes())
    return f"{__version__}+{sha.hexdigest()[:12]}"


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the numbers; ``"absent"`` where one is not installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
