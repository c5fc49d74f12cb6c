"""What is no model, and archives that are not what they claim."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from typing import Any

from tests.models.safe.making import hostile, members, zipped


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code of a model file ran')",)


# ---- not a model -----------------------------------------------------------------------------


@hostile
def empty(data: bytes) -> tuple[bytes, str]:
    return b"", "empty"


@hostile
def text(data: bytes) -> tuple[bytes, str]:
    return b"import os\n" * 100, "neither"


@hostile
def zeros(data: bytes) -> tuple[bytes, str]:
    return bytes(10_000), "neither"


@hostile
def python_pickle(data: bytes) -> tuple[bytes, str]:
    return pickle.dumps(_Payload()), "pickle"


@hostile
def lfs_pointer(data: bytes) -> tuple[bytes, str]:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "LFS"


@hostile
def half(data: bytes) -> tuple[bytes, str]:
    return data[: len(data) // 2], "damaged"


@hostile
def first_bytes(data: bytes) -> tuple[bytes, str]:
    return data[:30], "damaged"


@hostile
def one_flipped_byte(data: bytes) -> tuple[bytes, str]:
    at = data.index(b"sigmoid")
    return data[:at] + b"\x00" + data[at + 1 :], ""


@hostile
def h5_signature_only(data: bytes) -> tuple[bytes, str]:
    return b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged"


@hostile
def weights_alone(data: bytes) -> tuple[bytes, str]:
    return members(data)["model.weights.h5"], "no model"


# ---- zip -------------------------------------------------------------------------------------


@hostile
def path_traversal(data: bytes) -> tuple[bytes, str]:
    return zipped({**members(data), "../../evil.py": b"x"}), "zip members"


@hostile
def absolute_member(data: bytes) -> tuple[bytes, str]:
    return zipped({**members(data), "/tmp/evil": b"x"}), "zip members"


@hostile
def no_weights(data: bytes) -> tuple[bytes, str]:
    parts = members(data)
    del parts["model.weights.h5"]
    return zipped(parts), "zip members"


@hostile
def doubled_member(data: bytes) -> tuple[bytes, str]:
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("config.json", b"{}")
    return stream.getvalue(), "zip members"


@hostile
def zip_bomb(data: bytes) -> tuple[bytes, str]:
    parts = {**members(data), "model.weights.h5": bytes(50_000_000)}
    return zipped(parts, zipfile.ZIP_DEFLATED), "compressed"


@hostile
def config_bomb(data: bytes) -> tuple[bytes, str]:
    parts = {**members(data), "config.json": b" " * 30_000_000}
    return zipped(parts, zipfile.ZIP_DEFLATED), "config.json"


@hostile
def encrypted_flag(data: bytes) -> tuple[bytes, str]:
    out = bytearray(data)
    at = out.index(b"PK\x01\x02")
    out[at + 8] |= 1
    return bytes(out), "damaged"


@hostile
def npz_weights(data: bytes) -> tuple[bytes, str]:
    parts = members(data)
    parts["model.weights.npz"] = parts.pop("model.weights.h5")
    return zipped(parts), "zip members"


@hostile
def members_50000(data: bytes) -> tuple[bytes, str]:
    empty = {f"m{number}": b"" for number in range(50_000)}
    return zipped({**members(data), **empty}), "members"


@hostile
def members_of_a_large_archive(data: bytes) -> tuple[bytes, str]:
    """The end record of archives over 4 GB, with a list of its own."""
    at = data.rindex(b"PK\x05\x06")
    offset = int.from_bytes(data[at + 16 : at + 20], "little")
    size = int.from_bytes(data[at + 12 : at + 16], "little")
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 3, 3, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
    return data[:at] + large + locator + data[at:], "members"
