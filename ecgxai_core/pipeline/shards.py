"""Work split over machines: which part of the records one of them has, and whether a set is whole.

A record belongs to a shard by its digest, so every machine finds its part by itself, whatever the
order of the files and wherever they lie.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecgxai_core.errors import ParameterError, RunError

__all__ = ["WHOLE", "Shard", "ShardFacts", "check_set"]

_TEXT = re.compile(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", re.ASCII)
MOST = 10_000
"""Most shards of one job."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` of ``count``, from 1.

    Examples
    --------
    >>> Shard.of("2/3")
    Shard(number=2, count=3)
    """

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Shard:
        """Read ``I/N``.

        Raises
        ------
        ParameterError
            It is not that, or not 1 <= I <= N <= 10,000.
        """
        found = _TEXT.fullmatch(text)
        number, count = (int(part) for part in found.groups()) if found else (0, 0)
        if not 1 <= number <= count <= MOST:
            problem = f"is not I/N with 1 <= I <= N <= {MOST}"
            raise ParameterError("--shard", text, problem, "give 1/3, 2/3 and 3/3, for example")
        return cls(number, count)

    def holds(self, digest: str) -> bool:
        """Whether the record with this digest (hexadecimal SHA-256) belongs to the shard."""
        return int(digest[:16], 16) % self.count == self.number - 1

    def holds_name(self, name: str) -> bool:
        """Whether a file that could not be read, and so has no digest, is reported by the shard."""
        return self.holds(hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest())

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Shard(1, 1)
"""All records."""


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What a finished shard says of itself: the folder's name, and what it is a part of."""

    name: str
    shard: Shard
    request: Mapping[str, Any]


def check_set(parts: Sequence[ShardFacts]) -> None:
    """Refuse what is not the whole of one job, naming what is missing, doubled or foreign.

    Raises
    ------
    RunError
        There is no shard, one is of another request or number of shards, one is there twice, or
        one is missing.
    """
    if not parts:
        raise RunError("merge", "SHARD", "none is given", "name the folders of all shards")
    first = parts[0]
    for part in parts[1:]:
        if part.shard.count != first.shard.count:
            of = f"is one of {part.shard.count} shards, {first.name} of {first.shard.count}"
            raise RunError(part.name, "shard", of, "merge the shards of one job")
        other = [
            name for name in sorted({*part.request, *first.request})
            if part.request.get(name) != first.request.get(name)
        ]  # fmt: skip
        if other:
            problem = f"is a shard of another job than {first.name} ({', '.join(other)} differ)"
            raise RunError(part.name, "request", problem, "merge the shards of one job")
    numbers = [part.shard.number for part in parts]
    double = next((part for part in parts if numbers.count(part.shard.number) > 1), None)
    if double is not None:
        names = " and ".join(part.name for part in parts if part.shard == double.shard)
        problem = f"shard {double.shard} is there twice ({names})"
        raise RunError("merge", "SHARD", problem, "give each shard once")
    lost = [str(Shard(n, first.shard.count)) for n in range(1, first.shard.count + 1)
            if n not in numbers]  # fmt: skip
    if lost:
        said = ", ".join(lost[:10]) + (", ..." if len(lost) > 10 else "")
        problem = f"shard {said} is missing"
        raise RunError("merge", "SHARD", problem, "run it with --shard, and give its folder too")
