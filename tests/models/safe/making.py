"""The corpus, and what makers share: a sound file taken apart and put together again."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

Maker = Callable[[bytes], tuple[bytes, str]]
HOSTILE: dict[str, Maker] = {}


def hostile(maker: Maker) -> Maker:
    """Add a maker to the corpus."""
    HOSTILE[maker.__name__] = maker
    return maker


def members(data: bytes) -> dict[str, bytes]:
    """Names and contents of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def edit_config(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The model with its configuration changed."""
    parts = members(data)
    config = json.loads(parts["config.json"])
    change(config)
    return zipped({**parts, "config.json": json.dumps(config).encode()})


def edit_weights(data: bytes, change: Callable[[Any], None]) -> bytes:
    """The model with its HDF5 file changed."""
    import h5py

    parts = members(data)
    stream = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stream, "a") as file:
        change(file)
    return zipped({**parts, "model.weights.h5": stream.getvalue()})


def layer(config: dict[str, Any], class_name: str) -> dict[str, Any]:
    """The first layer of a class."""
    found: dict[str, Any] = next(
        entry for entry in config["config"]["layers"] if entry["class_name"] == class_name
    )
    return found


def node(class_name: Any, module: Any, **extra: Any) -> dict[str, Any]:
    """A layer that nothing is connected to."""
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": "extra"},
        "registered_name": None,
        "name": "extra",
        "inbound_nodes": [],
        **extra,
    }


def with_node(data: bytes, entry: dict[str, Any]) -> bytes:
    return edit_config(data, lambda config: config["config"]["layers"].append(entry))


def with_setting(data: bytes, class_name: str, **settings: Any) -> bytes:
    return edit_config(data, lambda c: layer(c, class_name)["config"].update(settings))
