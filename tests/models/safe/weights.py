"""Weights that are missing, not finite, of another shape, or lie somewhere else."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tests.models.safe.making import edit_weights, hostile, members, zipped

# ---- weights ---------------------------------------------------------------------------------

KERNEL = "layers/dense/vars/0"


@hostile
def nan_weights(data: bytes) -> tuple[bytes, str]:
    def change(file: Any) -> None:
        file[KERNEL][0, 0] = np.nan

    return edit_weights(data, change), "finite"


@hostile
def infinite_weights(data: bytes) -> tuple[bytes, str]:
    def change(file: Any) -> None:
        file[KERNEL][0, 0] = np.inf

    return edit_weights(data, change), "finite"


def replace(file: Any, **how: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, **how)


@hostile
def half_precision_weights(data: bytes) -> tuple[bytes, str]:
    return edit_weights(data, lambda f: replace(f, data=np.zeros((6, 3), "f2"))), "float16"


@hostile
def claimed_weights(data: bytes) -> tuple[bytes, str]:
    return edit_weights(
        data, lambda f: replace(f, shape=(30_000, 30_000), dtype="f4", chunks=(1000, 1000))
    ), "claims"


@hostile
def unwritten_weights(data: bytes) -> tuple[bytes, str]:
    return edit_weights(data, lambda f: replace(f, shape=(6, 3), dtype="f4")), "claims"


@hostile
def wrong_shape(data: bytes) -> tuple[bytes, str]:
    return edit_weights(data, lambda f: replace(f, data=np.zeros((7, 3), "f4"))), "load"


@hostile
def missing_weights(data: bytes) -> tuple[bytes, str]:
    return edit_weights(data, lambda f: f.pop("layers/dense")), ""


@hostile
def emptied_layer(data: bytes) -> tuple[bytes, str]:
    def change(file: Any) -> None:
        del file["layers/dense/vars/0"], file["layers/dense/vars/1"]

    return edit_weights(data, change), ""


@hostile
def text_weights(data: bytes) -> tuple[bytes, str]:
    return edit_weights(data, lambda f: replace(f, data=np.array([b"abc"]))), "numbers"


@hostile
def external_link(data: bytes) -> tuple[bytes, str]:
    import h5py

    def change(file: Any) -> None:
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink("/etc/passwd", "/x")

    return edit_weights(data, change), "link"


@hostile
def external_storage(data: bytes) -> tuple[bytes, str]:
    return edit_weights(
        data,
        lambda f: replace(f, shape=(6, 3), dtype="f4", external=[("/etc/passwd", 0, 72)]),
    ), "another file"


@hostile
def virtual_dataset(data: bytes) -> tuple[bytes, str]:
    import h5py

    def change(file: Any) -> None:
        del file[KERNEL]
        layout = h5py.VirtualLayout((6, 3), "f4")
        layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (6, 3))
        file.create_virtual_dataset(KERNEL, layout)

    return edit_weights(data, change), "another file"


@hostile
def soft_link_loop(data: bytes) -> tuple[bytes, str]:
    import h5py

    def change(file: Any) -> None:
        file["layers/loop"] = h5py.SoftLink("/layers")

    return edit_weights(data, change), "link"


@hostile
def hard_link_loop(data: bytes) -> tuple[bytes, str]:
    def change(file: Any) -> None:
        file["layers/loop"] = file["layers"]

    return edit_weights(data, change), "loops"


@hostile
def weights_half(data: bytes) -> tuple[bytes, str]:
    parts = members(data)
    weights = parts["model.weights.h5"]
    return zipped({**parts, "model.weights.h5": weights[: len(weights) // 2]}), "damaged"


# ---- more than a model needs -----------------------------------------------------------------


def _many_attributes(item: Any, count: int) -> None:
    """Attributes without values, which HDF5 writes fast."""
    import h5py

    space = h5py.h5s.create(h5py.h5s.SCALAR)
    for number in range(count):
        h5py.h5a.create(item.id, f"a{number}".encode(), h5py.h5t.STD_U8LE, space)


@hostile
def attributes_3000(data: bytes) -> tuple[bytes, str]:
    return edit_weights(data, lambda f: _many_attributes(f, 3000)), "3000 attributes"


@hostile
def attributes_20000_of_a_layer(data: bytes) -> tuple[bytes, str]:
    """In the newer layout, in which twenty thousand are written in a second."""
    import h5py

    parts = members(data)
    stream = io.BytesIO()
    old = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(old) as given, h5py.File(stream, "w", libver="latest") as file:
        for key in given:
            given.copy(key, file)
        _many_attributes(file.create_group("layers/extra"), 20_000)
    return zipped({**parts, "model.weights.h5": stream.getvalue()}), "20000 attributes"


@hostile
def attribute_of_many_texts(data: bytes) -> tuple[bytes, str]:
    import h5py

    parts = members(data)
    stream, old = io.BytesIO(), io.BytesIO(parts["model.weights.h5"])
    texts = np.full(20_000, "x", dtype=object)
    with h5py.File(old) as given, h5py.File(stream, "w", libver="latest") as file:
        for key in given:
            given.copy(key, file)
        extra = file.create_group("layers/extra")
        extra.attrs.create("t", texts, dtype=h5py.string_dtype("ascii"))
    return zipped({**parts, "model.weights.h5": stream.getvalue()}), "attribute of 20000 values"


@hostile
def groups_6000(data: bytes) -> tuple[bytes, str]:
    def change(file: Any) -> None:
        group = file.create_group("layers/extra")
        for number in range(6000):
            group.create_group(str(number))

    return edit_weights(data, change), "groups and arrays"


@hostile
def weights_that_inflate(data: bytes) -> tuple[bytes, str]:
    """One megabyte that inflates to 200."""
    values = np.zeros((1000, 1000), "f4")
    values[:4] = np.random.default_rng(0).normal(size=(4, 1000))

    def change(file: Any) -> None:
        for number in range(50):
            file.create_dataset(f"layers/extra{number}", data=values, compression=1)

    return edit_weights(data, change), "inflates"


@hostile
def weights_in_a_huge_piece(data: bytes) -> tuple[bytes, str]:
    """An array of one number whose only piece is claimed to have 400 MB."""

    def change(file: Any) -> None:
        made = file.create_dataset(
            "layers/extra", shape=(1,), maxshape=(None,), dtype="f4", chunks=(100_000_000,),
            compression=1,
        )  # fmt: skip
        import zlib

        made.id.write_direct_chunk((0,), zlib.compress(bytes(1000)))

    return edit_weights(data, change), "pieces"
