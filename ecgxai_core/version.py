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

__all__ = ["APART", "code_version", "library_versions", "source_digest"]

_LIBRARIES = ("numpy", "scipy", "tensorflow", "keras", "neurokit2")
APART: tuple[str, ...] = ("benchmark", "cli", "models/training", "models/zoo", "plots", "report")
"""Parts of the package that shape no cached number: no module that makes a cache key imports one of
theirs, by whatever way (a test follows the imports). All else counts, simulation and storage too:
the noise baseline is simulated, and storage says what the bytes of an entry mean."""


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
    """Versions of the libraries that shape the numbers; ``"absent"`` where one is not installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
