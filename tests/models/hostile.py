"""Model files that must be refused, each made from a sound one by a few lines.

Every maker takes the sound ``.keras`` file and returns the bytes of a bad one and a word that the
refusal must contain.
"""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["HOSTILE", "edit_config", "edit_weights", "members", "zipped"]

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


# ---- configuration ---------------------------------------------------------------------------


@hostile
def config_no_json(data: bytes) -> tuple[bytes, str]:
    return zipped({**members(data), "config.json": b"{"}), "JSON"


@hostile
def config_list(data: bytes) -> tuple[bytes, str]:
    return zipped({**members(data), "config.json": b"[]"}), "JSON"


@hostile
def config_deep(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Dense", units=json.loads("[" * 500 + "]" * 500)), "nested"


@hostile
def config_very_deep(data: bytes) -> tuple[bytes, str]:
    return zipped({**members(data), "config.json": b"[" * 200_000}), "JSON"


@hostile
def lambda_layer(data: bytes) -> tuple[bytes, str]:
    code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
    return with_node(data, node("Lambda", "keras.layers", config={"function": code})), "Lambda"


@hostile
def lambda_as_activation(data: bytes) -> tuple[bytes, str]:
    code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
    return with_setting(data, "Dense", activation=code), "__lambda__"


@hostile
def custom_class(data: bytes) -> tuple[bytes, str]:
    return with_node(data, node("MyLayer", None, registered_name="mine>MyLayer")), "MyLayer"


@hostile
def custom_model(data: bytes) -> tuple[bytes, str]:
    return edit_config(data, lambda c: c.update(class_name="MyModel", module="mine")), "MyModel"


@hostile
def registered_name(data: bytes) -> tuple[bytes, str]:
    def change(config: dict[str, Any]) -> None:
        layer(config, "Dense")["registered_name"] = "mine>Dense"

    return edit_config(data, change), "custom object"


@hostile
def foreign_module(data: bytes) -> tuple[bytes, str]:
    return with_node(data, node("Dense", "subprocess")), "subprocess"


@hostile
def popen(data: bytes) -> tuple[bytes, str]:
    return with_node(data, node("Popen", "subprocess", config={"args": ["true"]})), "Popen"


@hostile
def dtype_policy_poisoning(data: bytes) -> tuple[bytes, str]:
    entry = node("function", "keras.config", config="set_dtype_policy")
    return with_node(data, entry), "set_dtype_policy"


@hostile
def dtype_policy_function_as_class(data: bytes) -> tuple[bytes, str]:
    entry = node("set_dtype_policy", "keras.config", config={"policy": "float16"})
    return with_node(data, entry), "set_dtype_policy"


@hostile
def get_file(data: bytes) -> tuple[bytes, str]:
    return with_setting(
        data,
        "Dense",
        activation={
            "module": "keras.utils",
            "class_name": "function",
            "config": "get_file",
            "registered_name": "get_file",
        },
    ), "get_file"


@hostile
def builtin_eval(data: bytes) -> tuple[bytes, str]:
    function = {"module": "builtins", "class_name": "function", "config": "eval"}
    return with_setting(data, "Dense", activation=function), "eval"


@hostile
def tfsm_layer(data: bytes) -> tuple[bytes, str]:
    return with_node(data, node("TFSMLayer", "keras.layers")), "TFSMLayer"


@hostile
def torch_wrapper(data: bytes) -> tuple[bytes, str]:
    return with_node(data, node("TorchModuleWrapper", "keras.layers")), "TorchModuleWrapper"


@hostile
def text_vectorization(data: bytes) -> tuple[bytes, str]:
    config = {"vocabulary": "/etc/passwd", "name": "extra"}
    return with_node(data, node("TextVectorization", "keras.layers", config=config)), "Text"


@hostile
def type_spec(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Dense", units={"class_name": "__typespec__", "config": []}), "spec"


@hostile
def class_name_a_list(data: bytes) -> tuple[bytes, str]:
    return with_node(data, node(["Dense"], "keras.layers")), "Dense"


@hostile
def module_a_dict(data: bytes) -> tuple[bytes, str]:
    return with_node(data, node("Dense", {"a": 1})), "Dense"


@hostile
def float16_layer(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Dense", dtype="float16"), "float16"


@hostile
def mixed_policy(data: bytes) -> tuple[bytes, str]:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    return with_setting(data, "Conv1D", dtype=policy), "mixed_float16"


@hostile
def float8_policy(data: bytes) -> tuple[bytes, str]:
    policy = {"module": "keras", "class_name": "QuantizedFloat8DTypePolicy", "config": {}}
    return with_setting(data, "Conv1D", dtype=policy), "float32"


@hostile
def policy_from_elsewhere(data: bytes) -> tuple[bytes, str]:
    policy = {"module": "mine", "class_name": "DTypePolicy", "config": {"name": "float32"}}
    return with_setting(data, "Conv1D", dtype=policy), "float32"


@hostile
def training_mode(data: bytes) -> tuple[bytes, str]:
    def change(config: dict[str, Any]) -> None:
        layer(config, "Dropout")["inbound_nodes"][0]["kwargs"]["training"] = True

    return edit_config(data, change), "training mode"


@hostile
def stateful_layer(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Conv1D", stateful=True), "order"


@hostile
def nested_custom_loss(data: bytes) -> tuple[bytes, str]:
    loss = {"class_name": "function", "module": "mine", "config": "loss"}
    return with_setting(data, "Dense", kernel_regularizer=loss), "loss"


# ---- sizes -----------------------------------------------------------------------------------


@hostile
def dense_of_a_billion(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Dense", units=1_000_000_000), "larger"


@hostile
def unconnected_dense_of_a_billion(data: bytes) -> tuple[bytes, str]:
    entry = node(
        "Dense",
        "keras.layers",
        config={"name": "extra", "units": 10**9},
        build_config={"input_shape": [None, 1000]},
    )
    return with_node(data, entry), "connected"


@hostile
def unconnected_wide_dense(data: bytes) -> tuple[bytes, str]:
    entry = node(
        "Dense",
        "keras.layers",
        config={"name": "extra", "units": 900_000},
        build_config={"input_shape": [None, 900_000]},
    )
    return with_node(data, entry), "connected"


@hostile
def dead_branch(data: bytes) -> tuple[bytes, str]:
    """Layers that hang on the input and lead to no output: 64 billion weights."""

    def change(config: dict[str, Any]) -> None:
        source = layer(config, "InputLayer")["name"]
        for name in ("first", "second"):
            entry = node("Dense", "keras.layers", config={"name": name, "units": 800_000})
            entry.update(name=name, inbound_nodes=[_inbound(source, 2)])
            config["config"]["layers"].append(entry)
            source = name

    return edit_config(data, change), "weights"


@hostile
def wide_dense(data: bytes) -> tuple[bytes, str]:
    def change(config: dict[str, Any]) -> None:
        for entry in config["config"]["layers"]:
            entry.pop("build_config", None)
        pool = layer(config, "GlobalAveragePooling1D")
        pool.update(class_name="Flatten", config={"name": pool["name"]})
        pool["inbound_nodes"][0]["kwargs"] = {}
        layer(config, "Dense")["config"].update(units=900_000)

    return edit_config(data, change), "weights"


@hostile
def wide_result(data: bytes) -> tuple[bytes, str]:
    def change(config: dict[str, Any]) -> None:
        added = layer(config, "Add")["name"]
        entry = node("UpSampling1D", "keras.layers", config={"name": "extra", "size": 900_000})
        entry["inbound_nodes"] = [_inbound(added, 6)]
        pool = layer(config, "GlobalAveragePooling1D")
        pool["inbound_nodes"] = [_inbound("extra", 6)]
        config["config"]["layers"].append(entry)

    return edit_config(data, change), "values of one record"


def _inbound(source: str, width: int) -> dict[str, Any]:
    history = {"shape": [None, 100, width], "dtype": "float32", "keras_history": [source, 0, 0]}
    return {"args": [{"class_name": "__keras_tensor__", "config": history}], "kwargs": {}}


@hostile
def too_many_objects(data: bytes) -> tuple[bytes, str]:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"] += [layer(config, "ReLU")] * 21_000

    return edit_config(data, change), "objects"


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
