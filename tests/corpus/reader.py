"""Read files in child processes with limits; the library is imported once, before.

``python -m tests.corpus.reader`` takes paths as JSON on its input and answers with one JSON line a
path; with the word ``foreign`` they are files to import. A fork a file keeps a crash, a hang or a
limit from touching the next one.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import h5py  # noqa: F401 - the limits hold beyond the imports
import numpy as np
import pydicom  # noqa: F401 - the limits hold beyond the imports
import scipy.ndimage
import scipy.signal  # noqa: F401

from ecgxai_core.diagnoses import known_codes
from ecgxai_core.errors import RecordError
from ecgxai_core.records import read_record
from ecgxai_core.records.foreign.formats import given_from, read_foreign
from ecgxai_core.records.foreign.waveform import Given

FOREIGN = "foreign" in sys.argv[1:]
CPU_SECONDS = 1
GROWTH_BYTES = 200 * 10**6
HANG_SECONDS = 20.0
"""A hang uses no processor time; how long to wait for one is a matter of the machine's load."""


def main() -> None:
    """Answer for every path on standard input."""
    known_codes()
    for path in json.load(sys.stdin):
        sys.stdout.write(json.dumps(read_in_child(Path(path))) + "\n")


def read_in_child(path: Path) -> dict[str, Any]:
    """What became of one file: ``kind`` is record, refused, exception, killed or hang."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _limit()
        answer = json.dumps(_read(path)).encode()
        os.write(writing, answer)
        os._exit(0)
    os.close(writing)
    started = time.monotonic()
    ready, _, _ = select.select([reading], [], [], HANG_SECONDS)
    answer = os.read(reading, 1 << 20) if ready else b""
    os.close(reading)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    if not ready:
        return {"kind": "hang"}
    if not answer:
        return {"kind": "killed", "status": status}
    measured = {"cpu": usage.ru_utime + usage.ru_stime, "wall": time.monotonic() - started}
    return json.loads(answer) | measured


def _limit() -> None:
    """One second of processor time, and 200 MB more address space than now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _import(path: Path) -> Any:
    """Rate, unit and leads stand in ``given.json`` beside a file that does not have them."""
    facts = path.with_name("given.json")
    given = given_from(json.loads(facts.read_text("utf-8"))) if facts.exists() else Given()
    return read_foreign(path, given).record


def _read(path: Path) -> dict[str, Any]:
    try:
        record = _import(path) if FOREIGN else read_record(path)
    except RecordError as error:
        parts = {name: getattr(error, name) for name in ("where", "field", "problem", "fix")}
        return {"kind": "refused", "text": str(error), "cause": repr(error.__cause__)} | parts
    except BaseException as error:  # whatever else it is, it is a finding
        return {"kind": "exception", "text": repr(error)}
    gaps = np.isnan(record.signal)
    return {
        "kind": "record",
        "warnings": sorted({warning.code for warning in record.warnings}),
        "name": record.name,
        "leads": record.leads,
        "fs": record.fs,
        "shape": record.signal.shape,
        "finite": bool(np.isfinite(record.signal[~gaps]).all()),
    }


if __name__ == "__main__":
    main()
