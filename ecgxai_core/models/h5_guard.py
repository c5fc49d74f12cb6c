"""Let a child process meet an unknown HDF5 file first.

The HDF5 library is C: a few wrong bytes can end the process that reads them or make it ask for all
the memory there is. So a child with limits checks the file and writes a new one from what it found;
this process reads only that new one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ecgxai_core.errors import ModelError

__all__ = ["main", "rewritten"]

SPARE_BYTES = 2_000_000_000
SECONDS = 60
SECONDS_PER_GB = 60


def rewritten(data: bytes, name: str, skip: tuple[str, ...]) -> bytes:
    """Check an HDF5 file in a child process and return a new file of what it holds.

    Parameters
    ----------
    data
        The file.
    name
        Its name, for errors.
    skip
        Top-level groups to leave out (optimiser state).

    Raises
    ------
    ModelError
        The checks of ``read_weights`` fail, or the child does not survive the file.
    """
    seconds = SECONDS + SECONDS_PER_GB * len(data) / 1e9
    with tempfile.TemporaryDirectory(prefix="ecgxai-") as folder:
        source, target = Path(folder, "given.h5"), Path(folder, "clean.h5")
        source.write_bytes(data)
        arguments = [str(source), str(target), name, json.dumps(skip), str(int(seconds))]
        try:
            child = subprocess.run(
                [sys.executable, "-m", "ecgxai_core.models.h5_guard", *arguments],
                capture_output=True,
                env=_environment(),
                timeout=4 * seconds,  # its own limit is processor time
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _unreadable(name, "takes too long to read") from None
        if child.returncode == 0 and target.is_file():
            return target.read_bytes()
        try:
            raise ModelError(*json.loads(child.stdout))
        except (ValueError, TypeError):
            raise _unreadable(name, "is damaged (the HDF5 library cannot read it)") from None


def _unreadable(name: str, problem: str) -> ModelError:
    return ModelError(name, "HDF5", problem, "copy the file again")


def _environment() -> dict[str, str]:
    """Ours, with this package in reach and one thread."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def main(arguments: Sequence[str]) -> int:
    """The child: 0 and a new file, or 1 and the error as JSON on standard output."""
    source, target, name, skip, seconds = arguments
    data = Path(source).read_bytes()
    _limit(SPARE_BYTES + 8 * len(data), int(seconds))
    from ecgxai_core.models.weights_file import read_weights, rewrite_weights

    groups = tuple(json.loads(skip))
    try:
        read_weights(data, name, groups)
        Path(target).write_bytes(rewrite_weights(data, name, groups))
    except ModelError as error:
        sys.stdout.write(json.dumps(error.args))
        return 1
    return 0


def _limit(memory: int, seconds: int) -> None:
    """Bound memory and processor time where the system can."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for kind, amount in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        soft = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(kind, (soft, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
