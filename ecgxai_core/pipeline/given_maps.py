"""Maps of another program for many records: a folder of files, named beside our methods.

``--method name:FOLDER`` gives ``FOLDER/RECORD.npz`` (or another of
:data:`ecgxai_core.foreign_maps.SUFFIXES`), a file that names its target, or
``FOLDER/TARGET/RECORD.npz``, where the folder's name is the target's code. Such maps are evaluated
beside ours and are not fused: no changed record or model can be explained by them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ecgxai_core.case import Case, find_target
from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import METHODS, find_method
from ecgxai_core.foreign_maps import SUFFIXES, bind, read_map
from ecgxai_core.metrics.base import SIDE_TITLES
from ecgxai_core.types import Attribution, array_digest

__all__ = ["MapFolder", "bound", "check_name", "content_key", "maps_of", "methods_and_folders"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_TAKEN = ("fused", "oracle", "extra_beat", "curves", *SIDE_TITLES)


@dataclass(frozen=True, slots=True)
class MapFolder:
    """Maps of one method by record; ``digest`` is that of the files as they were first seen."""

    name: str
    folder: Path
    digest: str

    @classmethod
    def of(cls, name: str, folder: Path) -> MapFolder:
        """Look at a folder.

        Raises
        ------
        ParameterError
            The name is taken or odd, or the folder holds no map.
        """
        check_name(name)
        files = sorted(
            path for path in (*folder.glob("*"), *folder.glob("*/*"))
            if path.suffix.lower() in (*SUFFIXES, ".json") and path.is_file()
        )  # fmt: skip
        if not files:
            problem = "is no folder of maps"
            fix = f"give a folder with {', '.join(SUFFIXES)} files named like the records"
            raise ParameterError("--method", f"{name}:{folder.name}", problem, fix)
        whole = hashlib.sha256()
        for path in files:
            whole.update(str(path.relative_to(folder)).encode() + b"\0")
            whole.update(hashlib.sha256(path.read_bytes()).digest())
        return cls(name, folder, whole.hexdigest())

    def map_of(self, case: Case) -> Attribution:
        """The map of one case, not yet bound to it.

        Raises
        ------
        ParameterError
            There is none, there are several, it names no target, or it cannot be read.
        """
        record = case.record.name
        by_target, plain = self.folder / case.target, self.folder
        for folder in (by_target, plain):
            found = [p for s in SUFFIXES if (p := folder / f"{record}{s}").is_file()]
            if len(found) > 1:
                named = " and ".join(path.name for path in found)
                raise ParameterError(self.name, named, "are two maps of one record", "keep one")
            if found:
                item = read_map(found[0], self.name)
                if folder == plain and not item.target:
                    raise ParameterError(
                        self.name, found[0].name, "names no target",
                        f"save its target in it, or put it into the folder {case.target}",
                    )  # fmt: skip
                if not item.target or find_target(item.target, case.classifier) == case.target:
                    return item
        raise ParameterError(
            self.name, record, f"the folder has no map of it for {case.target}",
            "add the file, or choose the records with --selection",
        )  # fmt: skip


def check_name(name: str) -> None:
    """Refuse a name that one of our maps has, or that cannot stand in a table.

    Raises
    ------
    ParameterError
        It is taken, or has odd characters.
    """
    if name in METHODS or name in _TAKEN:
        raise ParameterError("map", name, "is a name of ours", "give it another name")
    if not _NAME.fullmatch(name):
        raise ParameterError("map", name, "is no name", "use letters, digits, - and _")


def methods_and_folders(
    given: Iterable[str],
) -> tuple[tuple[str, ...], tuple[MapFolder, ...]]:
    """Our methods, and folders of maps, from texts such as ``lime`` and ``mine:FOLDER``.

    Raises
    ------
    ParameterError
        There is no such method or folder, or a name stands for two folders.
    """
    methods: list[str] = []
    folders: dict[str, MapFolder] = {}
    for text in dict.fromkeys(given):
        name, separator, folder = text.partition(":")
        if not separator:
            methods.append(find_method(name).name)
        elif name in folders:
            raise ParameterError("--method", name, "names two folders", "give each its own name")
        else:
            folders[name] = MapFolder.of(name, Path(folder))
    return tuple(methods), tuple(folders.values())


def maps_of(case: Case, folders: Iterable[MapFolder]) -> dict[str, Attribution]:
    """The maps of a case by name, not yet bound to it."""
    return {item.name: item.map_of(case) for item in folders}


def bound(case: Case, given: Mapping[str, Attribution]) -> dict[str, Attribution]:
    """The maps as maps of this case (:func:`ecgxai_core.foreign_maps.bind`), which need not be
    bound yet."""
    return {name: bind(item, case) for name, item in given.items()}


def content_key(given: Mapping[str, Attribution]) -> dict[str, str]:
    """What a cache key says of the maps."""
    return {
        name: array_digest(
            item.weights, item.explored, item.edges_sec, extra=[*item.leads, item.target]
        )
        for name, item in given.items()
    }
