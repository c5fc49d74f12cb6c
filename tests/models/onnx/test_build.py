"""An ONNX graph and the Keras network made of it give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ecgxai_core.models.keras_runtime import import_keras

onnx = pytest.importorskip("onnx", reason="needs the optional extra onnx")
ort = pytest.importorskip("onnxruntime", reason="needs the optional extra onnx")

from ecgxai_core.models.onnx.build import keras_bytes  # noqa: E402
from ecgxai_core.models.onnx.graph import read_graph  # noqa: E402
from tests.models.onnx.networks import NETWORKS, Net  # noqa: E402


@pytest.mark.parametrize("name", NETWORKS)
def test_the_keras_network_gives_what_onnx_runtime_gives(name, tmp_path):
    make, samples = NETWORKS[name]
    data = make()
    graph = read_graph(data, f"{name}.onnx")
    path = tmp_path / "built.keras"
    path.write_bytes(keras_bytes(graph, name, samples, 12))
    model = import_keras().models.load_model(path, compile=False)
    x = np.random.default_rng(1).normal(size=(8, samples, 12)).astype(np.float32)
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    given = x.transpose(0, 2, 1)
    wide = len(next(iter(graph.inputs.values()))) == 4
    (wanted,) = session.run(None, {"ecg": given[:, None] if wide else given})
    found = np.asarray(model(x, training=False))
    assert np.ptp(wanted, axis=0).max() > 1e-3
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_slope_per_channel(tmp_path):
    net = Net(samples=40)
    x = net.conv("ecg", 4, 3)
    x = net.node("PRelu", x, net.array(np.array([[0.1], [0.2], [-0.3], [1.5]])))
    net.channels[x] = 4
    x = net.flat(net.node("GlobalAveragePool", x))
    data = net.ended(net.dense(x, 2), 2)
    path = tmp_path / "built.keras"
    path.write_bytes(keras_bytes(read_graph(data, "x.onnx"), "x", 40, 12))
    rows = np.random.default_rng(1).normal(size=(3, 40, 12)).astype(np.float32)
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"ecg": rows.transpose(0, 2, 1)})
    found = np.asarray(import_keras().models.load_model(path, compile=False)(rows))
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-5)
