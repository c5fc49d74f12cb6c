"""Uploaded records: kept for this session only, in a folder that is deleted with it.

Each session has its own folder with a random name, for the files and for everything computed from
them; no other session can name it, and nothing of it reaches the shared cache. The folder is
deleted some seconds after its tab has been closed (:mod:`app.shell.sessions`); what a killed server
left behind is deleted when the next one starts.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import streamlit as st

from app.shell import jobs, sessions, users
from ecgxai_core.case import find_target
from ecgxai_core.errors import ParameterError, RecordError
from ecgxai_core.foreign_maps import read_map
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.pipeline.given_maps import check_name
from ecgxai_core.records.foreign import formats as foreign
from ecgxai_core.records.foreign.importing import import_in_place
from ecgxai_core.records.guarded import read_guarded
from ecgxai_core.records.read import find_records
from ecgxai_core.settings import settings
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Attribution, Record

log = logging.getLogger(__name__)

OWN = "Own records (this session)"
"""Name of the data set that holds them."""

MOST_BYTES = 10_000_000
MOST_FILES = 20
MOST_SESSION_BYTES = 50_000_000
"""Of one file; and of one session."""

MOST_MAPS = 8
"""Maps that are read at a time."""

_PREFIX = "ecgxai-own-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENDINGS = {".hea", ".mat", ".dat", ".xyz", ".dcm", ".dicom", "", *foreign.ENDINGS}
_STATE = "own-records"


class Uploaded(Protocol):
    """What :func:`streamlit.file_uploader` returns."""

    name: str
    size: int

    def getvalue(self) -> bytes: ...


class OwnRecords:
    """The folder of one session; it is deleted when the session ends or forgets it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True
        )
        self.folder = Path(self._folder.name) / "records"
        self.folder.mkdir()
        self.cache, self.cache_limit = Path(self._folder.name) / "cache", int(2e8)
        self.store = Store(self.cache, self.cache_limit)
        self.version = 0
        self.owner = users.owner()

    @property
    def files(self) -> list[Path]:
        """What was uploaded."""
        return sorted(self.folder.iterdir()) if self.folder.is_dir() else []

    @property
    def bytes(self) -> int:
        """Size of what was uploaded."""
        return sum(path.stat().st_size for path in self.files)

    def close(self) -> None:
        """Delete everything, and what was computed from it."""
        jobs.end_about(str(self.folder))
        self.store.close()
        self._folder.cleanup()


_all: dict[str, OwnRecords] = {}
"""Those of all sessions, so that they can be deleted when no page of the session runs any more."""
_lock = threading.Lock()


def own_records() -> OwnRecords | None:
    """Those of this session, or ``None`` where it has none, or another user has signed in."""
    own: OwnRecords | None = st.session_state.get(_STATE)
    if own is not None and own.owner != users.owner():
        forget_own()
        return None
    return own


def forget_own() -> None:
    """Delete this session's own records and all that was computed from them."""
    own = st.session_state.pop(_STATE, None)
    if own is not None:
        own.close()
    with _lock:
        _all.pop(sessions.here(), None)


def held(session: str) -> tuple[int, int]:
    """Number and bytes of the files that a session has kept."""
    with _lock:
        own = _all.get(session)
    return (len(own.files), own.bytes) if own is not None else (0, 0)


def close_all() -> None:
    """Delete the records of every session: the server ends."""
    with _lock:
        everyone = list(_all)
    for session in everyone:
        _session_ended(session)


def _session_ended(session: str) -> None:
    with _lock:
        own = _all.pop(session, None)
    if own is not None:
        own.close()


def remove_leftovers() -> None:
    """Delete what servers that are no longer there left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not _is_running(int(owner)):
            log.warning("uploaded records left by a server that has ended are deleted")
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False  # ours has only begun; the number was another server's
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # the process of another user
    return True


def add(files: Sequence[Uploaded], *, neutral: bool = False) -> list[Record]:
    """Check uploaded files and keep the records in them; foreign formats become WFDB records.

    Names, sizes and numbers are checked before anything is read; then the files are read in a
    folder of their own, so a refused record leaves nothing behind.

    Parameters
    ----------
    files
        What was uploaded.
    neutral
        Whether records get neutral names (``record-1``, ...) in place of their files' names.

    Raises
    ------
    RecordError
        A name, size or content that is refused, or a name that another file has already; nothing of
        this upload is kept then.
    """
    own = own_records()
    kept = own.files if own is not None else []
    names = {file.name: _checked_name(file) for file in files}
    _check_room(len(kept), own.bytes if own is not None else 0, files)
    if neutral:
        names = _neutral(names, {path.stem for path in kept})
    _refuse_repeated(files, names)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-check-") as name:
        folder = Path(name)
        for file in files:
            (folder / names[file.name]).write_bytes(_renamed(file, names))
        import_in_place(folder)
        paths = find_records([folder])
        if not paths:
            names_given = ", ".join(file.name for file in files)
            endings = ", ".join(foreign.ENDINGS)
            fix = f"choose a .hea file with its .mat or .dat, a DICOM file, or one of {endings}"
            raise RecordError(names_given, "files", "hold no record", fix)
        records = [read_guarded(path) for path in paths]
        _refuse_taken(folder, paths, own)
        if own is None:
            own = st.session_state[_STATE] = OwnRecords()
            session = sessions.here()
            with _lock:
                _all[session] = own
            sessions.at_end(_session_ended)
        for path in folder.iterdir():
            shutil.copyfile(path, own.folder / path.name)
    own.version += 1
    return records


def read_maps(
    files: Sequence[Uploaded], target: str, classifier: Classifier
) -> dict[str, Attribution]:
    """Maps that another program made, by the names of their files; nothing is kept on the disk.

    Raises
    ------
    ParameterError
        Too many or too large, of another target, a name of ours, or not a map.
    """
    if len(files) > MOST_MAPS:
        raise ParameterError("maps", "files", f"are more than {MOST_MAPS}", "add fewer at a time")
    found = {}
    for file in files:
        path = Path(file.name)
        if file.size > MOST_BYTES:
            limit = f"{MOST_BYTES / 1e6:g} MB"
            raise ParameterError(path.name, "size", f"is larger than {limit}", "save fewer cells")
        check_name(path.stem)
        with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-map-") as folder:
            copy = Path(folder) / f"{path.stem}{path.suffix.lower()}"
            copy.write_bytes(file.getvalue())
            item = read_map(copy)
        if item.target and find_target(item.target, classifier) != target:
            raise ParameterError(
                path.name, "target", f"is {item.target}", "choose this target in the sidebar"
            )
        found[path.stem] = item
    return found


def _check_room(number: int, size: int, files: Sequence[Uploaded]) -> None:
    fix = "forget some on the Settings page"
    if number + len(files) > MOST_FILES:
        raise RecordError("own records", "files", f"are more than {MOST_FILES}", fix)
    if size + sum(file.size for file in files) > MOST_SESSION_BYTES:
        limit = f"{MOST_SESSION_BYTES / 1e6:g} MB"
        raise RecordError("own records", "size", f"is more than {limit}", fix)


_RENAME = "rename it, or upload it alone and let it have a neutral name"


def _refuse_repeated(files: Sequence[Uploaded], names: Mapping[str, str]) -> None:
    """No file of an upload may take the place of another."""
    seen: set[str] = set()
    for file in files:
        if names[file.name] in seen:
            given = Path(file.name).name
            raise RecordError(given, "name", "is that of two files of this upload", _RENAME)
        seen.add(names[file.name])


def _refuse_taken(folder: Path, paths: Sequence[Path], own: OwnRecords | None) -> None:
    """Nor may a record have the name of another; what is there already may be added again."""
    held = find_records([own.folder]) if own is not None and own.files else []
    files = {path.stem: path.name for path in held}
    for path in paths:
        other = files.setdefault(path.stem, path.name)
        if other != path.name:
            problem = f"{path.stem!r} is the name of another record too ({other})"
            raise RecordError(path.name, "name", problem, _RENAME)
    for path in folder.iterdir():
        there = own.folder / path.name if own is not None else path
        if there.is_file() and there.read_bytes() != path.read_bytes():
            problem = "another file of this name is among your records already"
            raise RecordError(path.name, "name", problem, f"{_RENAME}, or forget the other first")


def _checked_name(file: Uploaded) -> str:
    name = Path(file.name).name
    limit = min(MOST_BYTES, int(settings().max_file_mb * 1e6))
    if file.size > limit:
        raise RecordError(name, "size", f"is larger than {limit / 1e6:g} MB", "cut the record")
    if not _NAME.fullmatch(name) or Path(name).suffix.lower() not in _ENDINGS:
        raise RecordError(
            name,
            "name",
            "is not the name of a record file",
            f"use .hea with .mat or .dat, .dcm, or one of {', '.join(foreign.ENDINGS)}",
        )
    return name


def _neutral(names: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    """Uploaded name -> neutral name; files of one record keep one stem."""
    free = (f"record-{number}" for number in itertools.count(1))
    stems: dict[str, str] = {}
    for stem in dict.fromkeys(Path(name).stem for name in names.values()):
        stems[stem] = next(name for name in free if name not in taken)
    return {
        given: stems[Path(name).stem] + Path(name).suffix.lower() for given, name in names.items()
    }


def _renamed(file: Uploaded, names: Mapping[str, str]) -> bytes:
    """Content of a file; a header names itself and its data files as they are called here."""
    data, new = file.getvalue(), names[file.name]
    if Path(file.name).name == new or Path(new).suffix != ".hea":
        return data
    changed = {Path(old).name.encode(): name.encode() for old, name in names.items()}
    lines, record_line = data.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True), True
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith(b"#"):
            first, space, rest = line.partition(b" ")
            own = Path(new).stem.encode() if record_line else changed.get(first, first)
            lines[number], record_line = own + space + rest, False
    return b"".join(lines)
