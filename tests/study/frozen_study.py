"""A small study, frozen once: as a rule six records, three arms, two raters, two repeated cases."""

from __future__ import annotations

import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from ecgxai_core.store.cache import Store
from ecgxai_core.study.frozen import freeze
from tests.small import AF, SINUS, write_data, write_model

ARMS = ("none", "fused", "lead_shuffled")
RATERS = ("one", "two")

PROTOCOL = """
title = "Maps of rhythm"
data = "data"
model = "models/tiny.keras"
arms = {arms}
raters = {raters}
methods = ["occlusion", "input_x_gradient"]
repeated = {repeated}
apart = 2
seed = 3
instructions = "Read as you would at work."
"""


def protocol_text(n: int, repeated: int = 2, stem: str = "T") -> str:
    """Protocol of ``n`` cases, half of them with fibrillation, of which the last is not known."""
    said = PROTOCOL.format(arms=list(ARMS), raters=list(RATERS), repeated=repeated)
    cases = [
        f'[[case]]\nrecord = "{stem}{i:03d}"\ntarget = "AF"\n'
        + (f'reference = "{"AF" if i % 2 == 0 else SINUS}"\n' if i < n - 1 else "")
        for i in range(n)
    ]
    return said.replace("'", '"') + "\n".join(cases)


def folder(n: int = 6, repeated: int = 2, stem: str = "T") -> Path:
    """Made once a process: ``data``, ``models``, ``protocol.toml`` and the frozen ``study``."""
    return _made(n, repeated, stem)


@lru_cache(maxsize=2)
def _made(n: int, repeated: int, stem: str) -> Path:
    root = Path(tempfile.mkdtemp(prefix="ecgxai-study-"))
    write_data(root / "data", n, stem=stem)
    write_model(root / "models")
    (root / "protocol.toml").write_text(protocol_text(n, repeated, stem), "utf-8")
    store = Store(root / "cache", int(1e9))
    freeze(root / "protocol.toml", root / "study", store)
    store.close()
    return root


def copied(to: Path, n: int = 6, repeated: int = 2, stem: str = "T") -> Path:
    """A copy of the frozen study, whose answers are a test's own."""
    return shutil.copytree(folder(n, repeated, stem) / "study", to)


__all__ = ["AF", "ARMS", "RATERS", "SINUS", "copied", "folder", "protocol_text"]
