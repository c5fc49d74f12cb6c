"""Read an untrusted record in a child process with limits of memory and time.

The readers refuse what is wrong, but they run in Python and in libraries that others wrote, and a
server shares its interpreter with everybody. So a small worker process that has the readers loaded
makes a child for every file; the child has limits of memory and time, and what it found comes back
as JSON and plain numbers, which are checked like those of any file.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from ecgxai_core.diagnoses import known_codes
from ecgxai_core.errors import RecordError
from ecgxai_core.records.dat import ChecksumPolicy
from ecgxai_core.records.files import bound_process, child_environment, memory_in_use
from ecgxai_core.records.foreign.formats import (
    Imported,
    given_facts,
    given_from,
    read_foreign,
)
from ecgxai_core.records.foreign.waveform import Given
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import settings
from ecgxai_core.types import QualityWarning, Record

__all__ = ["import_guarded", "read_guarded"]

CPU_SECONDS = 5
WALL_SECONDS = 20.0
GROWTH_BYTES = 300_000_000
START_SECONDS = 60.0
"""The first answer waits for the worker's imports."""
_MOST_TEXT = 2_000_000
_SIZE_BYTES = 8


def read_guarded(path: str | os.PathLike[str], *, checksum: ChecksumPolicy = "warn") -> Record:
    """Read one record in a child process; else as :func:`ecgxai_core.records.read_record`.

    Where the system cannot fork (Windows), the record is read in this process.

    Raises
    ------
    RecordError
        The record is refused, or its reader did not survive it within its limits.
    """
    if not hasattr(os, "fork"):
        return read_record(path, checksum=checksum)
    path = Path(path)
    request = {"path": os.path.abspath(path), "checksum": checksum}
    record, _ = _record(path.name, _WORKER.answer(path.name, request))
    return record


def import_guarded(path: str | os.PathLike[str], given: Given) -> Imported:
    """Read a file of a foreign format in a child process; else as
    :func:`ecgxai_core.records.foreign.formats.read_foreign`.

    Raises
    ------
    RecordError
        As :func:`read_guarded`.
    """
    path = Path(path)
    if not hasattr(os, "fork"):
        return read_foreign(path, given)
    request = {"path": os.path.abspath(path), "foreign": given_facts(given)}
    record, facts = _record(path.name, _WORKER.answer(path.name, request))
    return Imported(record, facts["format"], facts["patient"], facts["n_records"])


class _Worker:
    """One worker of this process, started when it is first needed, and again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def answer(self, name: str, request: dict[str, Any]) -> bytes:
        """What a child makes of a request about a file of this name."""
        with self._lock:
            process = self._running()
            try:
                answer = self._ask(process, json.dumps(request).encode() + b"\n")
            except OSError:  # it died, or does not answer
                self._stop()
                raise _not_survived(name) from None
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        # a fork of this process must not talk to its parent's worker
        if (
            self._process is not None
            and self._owner == os.getpid()
            and self._process.poll() is None
        ):
            return self._process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ecgxai_core.records.guarded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the server; this ends with its input
        )
        self._owner = os.getpid()
        return self._process

    def _ask(self, process: subprocess.Popen[bytes], request: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request)
        most = _MOST_TEXT + 4 * settings().max_record_values
        until = time.monotonic() + START_SECONDS + WALL_SECONDS
        size = int.from_bytes(_received(process.stdout, _SIZE_BYTES, until), "little")
        if size > most:
            raise OSError("the answer is too long")
        return _received(process.stdout, size, until)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.wait()


def _received(pipe: IO[bytes], size: int, until: float) -> bytes:
    """Exactly ``size`` bytes, or an error after ``until``."""
    parts, missing = [], size
    while missing:
        left = until - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError("no answer")
        part = pipe.read(min(missing, 1 << 20))
        if not part:
            raise ConnectionError("the worker ended")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _record(name: str, answer: bytes) -> tuple[Record, dict[str, Any]]:
    """The record of an answer (a line of JSON, and the samples after it), and all its facts."""
    text, _, samples = answer.partition(b"\n")
    try:
        facts = json.loads(text)
        if facts["kind"] == "refused":
            error: RecordError | None = RecordError(*facts["args"])
        elif facts["kind"] == "record":
            return _rebuilt(facts["record"], samples), facts
        else:
            error = None
    except (ValueError, TypeError, KeyError):
        facts, error = {}, None
    if facts.get("kind") == "fault":
        raise RuntimeError(f"reading {name}: {facts.get('text')}")
    raise error or _not_survived(name)


def _rebuilt(facts: dict[str, Any], samples: bytes) -> Record:
    values: dict[str, Any] = {
        key: tuple(part) if isinstance(part, list) else part for key, part in facts.items()
    }
    values["signal"] = np.frombuffer(samples, "<f4").reshape(len(facts["leads"]), -1)
    values["warnings"] = tuple(
        QualityWarning(code, said, tuple(leads)) for code, said, leads in facts["warnings"]
    )
    return Record(**values)


def _not_survived(name: str) -> RecordError:
    fix = "copy the record again from its source, or export it anew"
    return RecordError(name, "file", "could not be read within the limits of time and memory", fix)


# ---- the worker ------------------------------------------------------------------------------


def main() -> int:
    """Answer for every request on standard input until it ends."""
    import h5py  # noqa: F401 - the limits hold beyond the imports
    import pydicom  # noqa: F401
    import scipy.ndimage
    import scipy.signal  # noqa: F401

    from ecgxai_core.records.dicom import read_dicom  # noqa: F401

    known_codes()
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not reach the answers
    for line in sys.stdin.buffer:
        answer = _answered(json.loads(line))
        _write_all(answers, len(answer).to_bytes(_SIZE_BYTES, "little") + answer)
    return 0


def _answered(request: dict[str, Any]) -> bytes:
    """What a child makes of one request."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        bound_process(memory_in_use() + GROWTH_BYTES, CPU_SECONDS, writes=False)
        try:
            _write_all(writing, _read(request))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        answer, until = [], time.monotonic() + WALL_SECONDS
        while (left := until - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
            part = pipe.read(1 << 20)
            if not part:
                break
            answer.append(part)
        else:
            os.kill(child, signal.SIGKILL)
            answer = []
    _, status = os.waitpid(child, 0)
    return b"".join(answer) if status == 0 and answer else b'{"kind": "killed"}\n'


def _read(request: dict[str, Any]) -> bytes:
    more: dict[str, Any] = {}
    try:
        if "foreign" in request:
            found = read_foreign(Path(request["path"]), given_from(request["foreign"]))
            record = found.record
            more = {
                "format": found.format, "patient": dict(found.patient),
                "n_records": found.n_records,
            }  # fmt: skip
        else:
            record = read_record(request["path"], checksum=request["checksum"])
    except RecordError as error:
        return json.dumps({"kind": "refused", "args": error.args}).encode() + b"\n"
    except Exception as error:
        return json.dumps({"kind": "fault", "text": repr(error)[:1000]}).encode() + b"\n"
    names = {field.name for field in fields(Record)} - {"signal", "warnings", "digest"}
    facts: dict[str, Any] = {name: getattr(record, name) for name in sorted(names)}
    facts["warnings"] = [(w.code, w.message, w.leads) for w in record.warnings]
    text = json.dumps({"kind": "record", "record": facts} | more).encode()
    return text + b"\n" + np.ascontiguousarray(record.signal, "<f4").tobytes()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


_WORKER = _Worker()

if __name__ == "__main__":
    sys.exit(main())
