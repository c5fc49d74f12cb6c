"""Write the corpus: ``python -m tests.corpus.make_corpus FOLDER`` or :func:`make_corpus`.

Every case lies in a folder of its own, so that a record may be called what its header says.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from tests.corpus import (
    bad_data,
    bad_dicom,
    bad_headers,
    bad_names,
    bad_texts,
    dicom_files,
    odd_files,
)
from tests.corpus.base import BadFile, OddFile

__all__ = ["BAD", "ODD", "BadFile", "OddFile", "make_corpus", "make_odd_files"]

BAD = {
    "header": bad_headers.CASES | bad_texts.CASES,
    "data": bad_data.DATA,
    "file": bad_data.FILES | bad_names.CASES,
    "dicom": dicom_files.CASES | bad_dicom.CASES,
}
ODD = odd_files.CASES


def make_corpus(dest: Path, only: Collection[str] | None = None) -> list[BadFile]:
    """Write all bad files (or those named) below ``dest``; what to read, with name and family."""
    return [
        BadFile(make(_folder(dest, kind, name)), name, kind)
        for kind, cases in BAD.items()
        for name, make in cases.items()
        if only is None or name in only
    ]


def make_odd_files(dest: Path) -> list[OddFile]:
    """Write the odd but legal files below ``dest``, with the warnings that each must bring."""
    return [
        OddFile(make(_folder(dest, "odd", name)), name, frozenset(codes))
        for name, (make, codes) in ODD.items()
    ]


def _folder(dest: Path, kind: str, name: str) -> Path:
    folder = dest / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    target = Path(sys.argv[1])
    print(len(make_corpus(target)), "bad files and", len(make_odd_files(target)), "odd ones")
