"""Configurations that run code, change Keras, or ask for more than the machine has."""

from __future__ import annotations

import json
from typing import Any

from tests.models.safe.making import (
    edit_config,
    hostile,
    layer,
    members,
    node,
    with_node,
    with_setting,
    zipped,
)

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
    zeros = {"class_name": "Zeros", "module": "keras.initializers", "config": {}}
    entry = {"class_name": "ReLU", "module": "keras.layers", "config": {"a": zeros}}

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"] += [entry] * 11_000

    return edit_config(data, change), "objects"


# ---- values: plain numbers, booleans, short texts, capped lists ------------------------------


def _array(value: Any, dtype: Any, **more: Any) -> dict[str, Any]:
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype, **more}}


def _rescaled(data: bytes, scale: Any) -> bytes:
    """The model with a Rescaling layer, connected, in place of its Dropout."""

    def change(config: dict[str, Any]) -> None:
        entry = layer(config, "Dropout")
        entry["class_name"] = "Rescaling"
        entry["config"] = {"name": entry["name"], "scale": scale, "offset": 0.0}

    return edit_config(data, change)


@hostile
def array_of_a_gigabyte_a_number(data: bytes) -> tuple[bytes, str]:
    """16 GB from 16 numbers."""
    return _rescaled(data, _array(list(range(16)), "S999999999")), "S999999999"


@hostile
def array_of_long_texts(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([1.0], "<U500000000")), "plain number type"


@hostile
def array_of_structures(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([1.0], "f8," * 100_000)), "plain number type"


@hostile
def array_of_arrays(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([1.0], "(1000000000,)f8")), "plain number type"


@hostile
def array_of_objects(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([1.0], "O")), "plain number type"


@hostile
def array_dtype_a_list(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([1.0], [["a", "f8"]])), "plain number type"


@hostile
def array_of_a_million_numbers(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([1.0] * 1_000_000, "float32")), "more than 100000 numbers"


@hostile
def array_of_many_dimensions(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array(json.loads("[" * 40 + "1" + "]" * 40), "float32")), "dimensions"


@hostile
def array_that_holds_text(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array(["x" * 100], "float32")), "not a number"


@hostile
def array_that_holds_an_object(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([_array([1.0], "float32")], "float32")), "object"


@hostile
def array_with_more_fields(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, _array([1.0], "float32", order="F")), "as Keras writes it"


@hostile
def array_of_a_foreign_kind(data: bytes) -> tuple[bytes, str]:
    value = {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "S999999999"}}
    return _rescaled(data, value), "__tensor__"


@hostile
def tensor_of_a_huge_dtype(data: bytes) -> tuple[bytes, str]:
    def change(config: dict[str, Any]) -> None:
        for argument in layer(config, "ReLU")["inbound_nodes"][0]["args"]:
            argument["config"]["dtype"] = "S999999999"

    return edit_config(data, change), "S999999999"


@hostile
def dilation_of_a_million(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Conv1D", dilation_rate=[1_000_000]), "dilation_rate"


@hostile
def kernel_of_half_a_million(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Conv1D", kernel_size=[500_000]), "kernel_size"


@hostile
def list_of_a_million(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, [1.0] * 1_000_000), "lists 1000000 values"


@hostile
def text_of_a_megabyte(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Conv1D", padding="x" * 1_000_000), "text of 1000000 characters"


@hostile
def key_of_a_megabyte(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Conv1D", **{"x" * 1_000_000: 1}), "text of 1000000 characters"


@hostile
def number_of_5000_digits(data: bytes) -> tuple[bytes, str]:
    parts = members(data)
    config = parts["config.json"].replace(b'"filters": 6', b'"filters": ' + b"6" * 5000)
    assert config != parts["config.json"]
    return zipped({**parts, "config.json": config}), "JSON"


@hostile
def not_a_number(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, float("nan")), "finite"


@hostile
def infinite_number(data: bytes) -> tuple[bytes, str]:
    return _rescaled(data, [1.0, float("inf")]), "finite"


@hostile
def seed_of_4000_digits(data: bytes) -> tuple[bytes, str]:
    return with_setting(data, "Dropout", seed=10**4000), "seed"


@hostile
def half_a_million_small_values(data: bytes) -> tuple[bytes, str]:
    rows = [[0] * 1000 for _ in range(500)]
    return _rescaled(data, rows), "more than 400000 values"


@hostile
def too_many_recurrent_steps(data: bytes) -> tuple[bytes, str]:
    """Six recurrent layers of ten thousand steps each, one after another."""

    def change(config: dict[str, Any]) -> None:
        source = layer(config, "Add")["name"]
        more = [node("UpSampling1D", "keras.layers", config={"name": "long", "size": 100})]
        more[0]["name"] = "long"
        for number in range(6):
            settings = {"name": f"r{number}", "units": 6, "return_sequences": True}
            more.append(node("SimpleRNN", "keras.layers", config=settings))
            more[-1]["name"] = f"r{number}"
        for entry in more:
            entry["inbound_nodes"] = [_inbound(source, 6)]
            source = entry["name"]
        config["config"]["layers"] += more
        layer(config, "GlobalAveragePooling1D")["inbound_nodes"] = [_inbound(source, 6)]

    return edit_config(data, change), "one after another"
