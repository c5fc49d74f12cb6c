"""The bad-input corpus: every file is refused with one clear error, within its limits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.make_corpus import BAD, ODD, make_corpus, make_odd_files

REPO = Path(__file__).resolve().parents[2]
BAD_NAMES = [(kind, name) for kind, cases in BAD.items() for name in cases]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What became of each file, read in a child process of its own (see ``corpus/reader.py``)."""
    if not Path("/proc/self/statm").is_file():
        pytest.skip("the limits of the child processes need Linux")
    folder = tmp_path_factory.mktemp("corpus")
    bad, odd = make_corpus(folder), make_odd_files(folder)
    files = {(b.kind, b.name): b.path for b in bad} | {("odd", o.name): o.path for o in odd}
    reader = subprocess.run(
        [sys.executable, "-m", "tests.corpus.reader"],
        input=json.dumps([str(path) for path in files.values()]),
        capture_output=True, text=True, cwd=REPO, timeout=600, check=True,
    )  # fmt: skip
    lines = reader.stdout.splitlines()
    assert len(lines) == len(files)
    paths = {key: {"path": str(path)} for key, path in files.items()}
    return {key: paths[key] | json.loads(line) for key, line in zip(files, lines, strict=True)}


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(BAD_NAMES) >= 400
    assert len(set(BAD_NAMES)) == len(BAD_NAMES)


@pytest.mark.parametrize(("kind", "name"), BAD_NAMES, ids=[f"{k}-{n}" for k, n in BAD_NAMES])
def test_bad_file_is_refused(
    answers: dict[tuple[str, str], dict[str, Any]], kind: str, name: str
) -> None:
    answer = answers[kind, name]
    assert answer["kind"] == "refused", answer
    assert all(answer[part].strip() for part in ("where", "field", "problem", "fix")), answer
    assert "\n" not in answer["text"]
    assert len(answer["text"]) < 1300
    folder = str(Path(answer["path"]).parent)
    assert folder not in answer["text"], "an error must not show paths of this machine"


@pytest.mark.parametrize("name", ODD)
def test_odd_but_legal_file_is_read_with_its_warnings(
    answers: dict[tuple[str, str], dict[str, Any]], name: str
) -> None:
    answer = answers["odd", name]
    assert answer["kind"] == "record", answer
    assert set(answer["warnings"]) == ODD[name][1]
    assert answer["finite"]
    assert "/" not in answer["name"]
