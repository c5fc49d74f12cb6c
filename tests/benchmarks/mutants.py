"""Random damage to the files of a record, from a few flipped bits to missing parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["damaged"]

Random = np.random.Generator
Damage = Callable[[bytearray, Random], None]


def damaged(body: bytes, rng: Random, *, text: bool) -> bytes:
    """The bytes after one to three faults; those of ``text`` also edit its words and lines."""
    kinds = _TEXT if text else _BINARY
    while True:
        changed = bytearray(body)
        for _ in range(int(rng.integers(1, 4))):
            kinds[rng.integers(len(kinds))](changed, rng)
        if changed != body:
            return bytes(changed)


def _place(body: bytearray, rng: Random, size: int = 1) -> int:
    return int(rng.integers(0, max(len(body) - size, 0) + 1))


def _flip_bit(body: bytearray, rng: Random) -> None:
    if body:
        body[_place(body, rng, 2) % len(body)] ^= 1 << int(rng.integers(8))


def _set_byte(body: bytearray, rng: Random) -> None:
    if body:
        body[_place(body, rng, 2) % len(body)] = int(rng.integers(256))


def _insert(body: bytearray, rng: Random) -> None:
    at = _place(body, rng)
    body[at:at] = rng.bytes(int(rng.integers(1, 9)))


def _delete(body: bytearray, rng: Random) -> None:
    size = int(rng.integers(1, 9))
    at = _place(body, rng, size)
    del body[at : at + size]


def _cut(body: bytearray, rng: Random) -> None:
    del body[_place(body, rng) :]


def _zeros(body: bytearray, rng: Random) -> None:
    """A block that was never written."""
    size = min(int(rng.choice([16, 512, 4096])), len(body))
    at = _place(body, rng, size)
    body[at : at + size] = bytes(size)


def _copy_block(body: bytearray, rng: Random) -> None:
    """A block in the place of another, as after a fault of the disk or the network."""
    size = min(int(rng.choice([16, 512, 4096])), len(body))
    source, target = _place(body, rng, size), _place(body, rng, size)
    body[target : target + size] = body[source : source + size]


def _exchange_blocks(body: bytearray, rng: Random) -> None:
    size = min(int(rng.choice([2, 16, 512])), len(body) // 2)
    one, other = sorted((_place(body, rng, size), _place(body, rng, size)))
    if size and one + size <= other:
        kept = body[one : one + size]
        body[one : one + size] = body[other : other + size]
        body[other : other + size] = kept


def _shift(body: bytearray, rng: Random) -> None:
    """All bytes from somewhere on, one to four places on; the length stays."""
    by = int(rng.integers(1, 5))
    at = _place(body, rng)
    size = len(body)
    body[at:at] = body[at : at + by]
    del body[size:]


def _digit(body: bytearray, rng: Random) -> None:
    """Another digit."""
    places = [i for i, byte in enumerate(body) if 0x30 <= byte <= 0x39]
    if places:
        body[places[rng.integers(len(places))]] = 0x30 + int(rng.integers(10))


def _word(body: bytearray, rng: Random) -> None:
    """A word in the place of another."""
    words = bytes(body).split(b" ")
    one, other = rng.integers(len(words), size=2)
    words[one] = words[other]
    body[:] = b" ".join(words)


def _line(body: bytearray, rng: Random) -> None:
    """A line left out, doubled or exchanged with another."""
    rows = bytes(body).split(b"\n")
    one, other = (int(n) for n in rng.integers(len(rows), size=2))
    what = int(rng.integers(3))
    if what == 0:
        del rows[one]
    elif what == 1:
        rows.insert(other, rows[one])
    else:
        rows[one], rows[other] = rows[other], rows[one]
    body[:] = b"\n".join(rows)


_BINARY: list[Damage] = [
    _flip_bit, _set_byte, _insert, _delete, _cut, _zeros, _copy_block, _exchange_blocks, _shift,
]  # fmt: skip
_TEXT: list[Damage] = [_flip_bit, _set_byte, _insert, _delete, _cut, _digit, _digit, _word, _line]
