"""What computed a value: the package's version, its source, and the libraries that compute.

Cache keys and provenance carry it, so a result of other code is never served as one of this.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ecgxai_core import __version__
from ecgxai_core.settings import assets_dir

__all__ = ["APART", "LIBRARIES", "code_version", "library_versions", "source_digest"]

LIBRARIES: tuple[str, ...] = (
    "keras",
    "lime",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "scikit-learn",
    "scipy",
    "shap",
    "tensorflow",
)
"""Distributions whose code may change a number; a test follows the imports of the package."""

APART: tuple[str, ...] = ("cli", "plots", "report", "study", "training", "viewer")
"""Parts of the package that change no cached number: no module that makes a cache key imports one
of theirs, directly or through others (a test follows the imports). All else counts, simulation and
storage too: the noise baseline is simulated, and storage says what the bytes of an entry mean."""


@lru_cache(maxsize=1)
def code_version() -> str:
    """``"0.1.0+<12 hex digits>"``: version and digest of all source that influences a result."""
    package = Path(__file__).resolve().parent
    return f"{__version__}+{source_digest(package, assets_dir() / 'diagnoses.toml')[:12]}"


def source_digest(package: Path, table: Path) -> str:
    """SHA-256 (hex) of the package's source, :data:`APART` left out, and of the diagnoses' table.

    Names of files enter beside their content, each with its length, so that moving text from one
    file to another changes the digest.
    """
    sha = hashlib.sha256()
    names = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    for name, path in [*sorted(names.items()), (table.name, table)]:
        if any(name.startswith(f"{part}/") for part in APART) or not path.is_file():
            continue
        content = path.read_bytes()
        sha.update(f"{name} {len(content)}\n".encode())
        sha.update(content)
    return sha.hexdigest()


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Versions of :data:`LIBRARIES`; ``"absent"`` where one is not installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
