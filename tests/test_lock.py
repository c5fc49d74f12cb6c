"""The lock file pins, with hashes, what the ranges allow, and names no package index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PIN = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\$", re.MULTILINE
)


def wanted() -> list[Requirement]:
    """Everything that the program and its tests ask for."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [line for line in lines if line and not line.startswith("#")]
    return [Requirement(line) for line in (*asked, *project["optional-dependencies"]["dev"])]


@pytest.mark.parametrize("requirement", wanted(), ids=lambda one: one.name)
def test_every_range_has_a_pin_within_it(requirement: Requirement) -> None:
    pins = {match["version"] for match in PIN.finditer(LOCK) if match["name"] == requirement.name}
    assert pins
    assert all(requirement.specifier.contains(pin) for pin in pins), "run `make lock`"


def test_every_pin_has_hashes_and_nothing_else_is_in_the_file() -> None:
    entry = rf"{PIN.pattern[:-1]}\n(?:    --hash=sha256:[0-9a-f]{{64}}(?: \\)?\n)+"
    assert re.sub(entry, "", LOCK, flags=re.MULTILINE) == ""
