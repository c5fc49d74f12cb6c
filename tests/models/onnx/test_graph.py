"""What an ONNX file may hold, and how the rest is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.errors import ModelError

onnx = pytest.importorskip("onnx", reason="needs the optional extra onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from ecgxai_core.models.onnx.graph import layout_of, read_graph, size_of_input  # noqa: E402
from tests.models.onnx.networks import ribeiro  # noqa: E402


def model(nodes, arrays=(), shape=("n", 12, 100), **kwargs):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ecg", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(arrays),
    )
    given = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 8, **kwargs}
    return helper.make_model(graph, **given)


RELU = helper.make_node("Relu", ["ecg"], ["y"])


def _external():
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return model([RELU], [tensor])


def _claims():
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    tensor.dims[0] = 10**12
    return model([RELU], [tensor])


def _text():
    return model([RELU], [numpy_helper.from_array(np.array(["a"], dtype=object), "w")])


def _custom():
    return model(
        [helper.make_node("Run", ["ecg"], ["y"], domain="evil")],
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)],
    )


def _branch():
    inner = helper.make_graph([RELU], "i", [], [])
    return model([helper.make_node("If", ["ecg"], ["y"], then_branch=inner, else_branch=inner)])


def _function():
    made = model([RELU])
    made.functions.append(
        helper.make_function("evil", "F", ["a"], ["b"], [], [helper.make_opsetid("", 17)])
    )
    return made


def _old():
    return model([RELU], opset_imports=[helper.make_opsetid("", 7)])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_external, "another file"),
        (_claims, "does not fit its shape"),
        (_text, "holds no numbers"),
        (_custom, "evil.Run"),
        (_branch, "graph of its own"),
        (_function, "functions of its own"),
        (_old, "older than"),
    ],
)
def test_what_is_no_plain_graph_is_refused(make, said):
    with pytest.raises(ModelError) as error:
        read_graph(make().SerializeToString(), "m.onnx")
    assert said in str(error.value)
    assert "Fix: " in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\x08", b"no model", b"\xff" * 200, ribeiro()[:-100]])
def test_what_is_no_onnx_file_is_refused(data):
    with pytest.raises(ModelError):
        read_graph(data, "m.onnx")


def test_the_input_may_have_leads_first_or_last():
    for shape, layout in (
        (("n", 12, 100), "lead, sample"),
        ((1, 100, 12), "sample, lead"),
        (("n", 12, "t"), "lead, sample"),
        (("n", 1, 12, 100), "1, lead, sample"),
    ):
        graph = read_graph(model([RELU], shape=shape).SerializeToString(), "m.onnx")
        assert layout_of(graph, "m.onnx", 100, 12) == layout
        assert size_of_input(graph, "m.onnx") == (None if "t" in shape else 100, 12)
    for shape in (("n", 7, 100), ("n", 12), ("n", 100, 100)):
        graph = read_graph(model([RELU], shape=shape).SerializeToString(), "m.onnx")
        with pytest.raises(ModelError, match="shape"):
            layout_of(graph, "m.onnx", 100, 12)
