"""Weights that are missing, not finite, of another shape, or lie somewhere else."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.models.hostile.making import edit_weights, hostile, members, zipped

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
