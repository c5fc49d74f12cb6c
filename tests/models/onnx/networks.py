"""Networks as ONNX graphs, written as PyTorch exports them: channels before time, weights inside.

They have the architecture of published ECG models and random weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["NETWORKS", "Net"]

FLOAT = TensorProto.FLOAT


class Net:
    """Builds a graph node by node; every method gives the name of its result."""

    def __init__(
        self, leads: int = 12, samples: int = 256, seed: int = 0, wide: bool = False
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self.leads, self.samples = leads, samples
        self.shape = ["n", 1, leads, samples] if wide else ["n", leads, samples]
        self.channels: dict[str, int] = {"ecg": 1 if wide else leads}

    def array(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"w{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        self.channels[out] = self.channels.get(inputs[0], 0) if inputs else 0
        return out

    def conv(
        self, x: str, out: int, size: Any, stride: int = 1, pad: Any = None, *,
        group: int = 1, dilation: int = 1, bias: bool = True,
    ) -> str:  # fmt: skip
        size = (size,) if isinstance(size, int) else size
        ins = self.channels[x] // group
        scale = (2.0 / (ins * np.prod(size))) ** 0.5
        inputs = [x, self.array(self.rng.normal(0, scale, (out, ins, *size)))]
        if bias:
            inputs.append(self.array(self.rng.normal(0, 0.1, out)))
        pad = [(length - 1) * dilation // 2 for length in size] if pad is None else pad
        y = self.node(
            "Conv", *inputs, kernel_shape=list(size), strides=[stride] * len(size),
            pads=[*pad, *pad], group=group, dilations=[dilation] * len(size),
        )  # fmt: skip
        self.channels[y] = out
        return y

    def norm(self, x: str) -> str:
        n = self.channels[x]
        parts = [
            self.array(values)
            for values in (
                self.rng.uniform(0.5, 1.5, n), self.rng.normal(0, 0.2, n),
                self.rng.normal(0, 0.2, n), self.rng.uniform(0.5, 1.5, n),
            )
        ]  # fmt: skip
        return self.node("BatchNormalization", x, *parts, epsilon=1e-5)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def swish(self, x: str) -> str:
        return self.node("Mul", x, self.node("Sigmoid", x))

    def dense(self, x: str, out: int, features: int | None = None) -> str:
        ins = features or self.channels[x]
        kernel = self.array(self.rng.normal(0, ins**-0.5, (out, ins)))
        y = self.node("Gemm", x, kernel, self.array(self.rng.normal(0, 0.1, out)), transB=1)
        self.channels[y] = out
        return y

    def flat(self, x: str) -> str:
        """``x.view(x.size(0), -1)`` as PyTorch writes it."""
        size = self.node("Gather", self.node("Shape", x), self.array(0, np.int64), axis=0)
        first = self.node("Unsqueeze", size, self.array([0], np.int64))
        shape = self.node("Concat", first, self.array([-1], np.int64), axis=0)
        y = self.node("Reshape", x, shape)
        self.channels[y] = self.channels[x]
        return y

    def ended(self, x: str, classes: int, activation: str | None = None) -> bytes:
        last = x if activation is None else self.node(activation, x)
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("ecg", FLOAT, self.shape)],
            [helper.make_tensor_value_info(last, FLOAT, ["n", classes])],
            self.arrays,
        )
        opset = [helper.make_opsetid("", 17)]
        model: bytes = helper.make_model(
            graph, opset_imports=opset, ir_version=8
        ).SerializeToString()
        return model


def wang(samples: int = 256, activation: str | None = "Sigmoid") -> bytes:
    """resnet1d_wang of the PTB-XL benchmark: kernels of 8, 5 and 3 samples, shortcuts of 1."""
    net = Net(samples=samples)
    x = net.relu(net.norm(net.conv("ecg", 16, 7, stride=1, bias=False)))
    for width in (16, 24, 24):
        y = net.relu(
            net.norm(net.conv(x, width, 5, stride=2 if width > 16 else 1, pad=[2], bias=False))
        )
        y = net.norm(net.conv(y, width, 3, bias=False))
        if width > 16:
            x = net.norm(net.conv(x, width, 1, stride=2, pad=[0], bias=False))
        x = net.relu(net.node("Add", y, x))
    mean, most = net.node("GlobalAveragePool", x), net.node("GlobalMaxPool", x)
    both = net.node("Concat", most, mean, axis=1)
    net.channels[both] = 48
    x = net.flat(both)
    x = net.relu(net.dense(net.norm(x), 20))
    return net.ended(net.dense(x, 5), 5, activation)


def xresnet() -> bytes:
    """xresnet1d50: a stem of three convolutions, max pooling with padding, bottlenecks, and the
    largest and the mean over time as PyTorch's adaptive pooling is exported."""
    net = Net(samples=250)
    x = "ecg"
    for width, stride in ((8, 2), (8, 1), (16, 1)):
        x = net.relu(net.norm(net.conv(x, width, 5, stride=stride, pad=[2], bias=False)))
    x = net.node("MaxPool", x, kernel_shape=[3], strides=[2], pads=[1, 1])
    for width, stride in ((16, 1), (32, 2)):
        y = net.relu(net.norm(net.conv(x, 8, 1, bias=False)))
        y = net.relu(net.norm(net.conv(y, 8, 5, stride=stride, pad=[2], bias=False)))
        y = net.norm(net.conv(y, width, 1, bias=False))
        if stride > 1:
            x = net.node("AveragePool", x, kernel_shape=[2], strides=[2], ceil_mode=1)
        x = net.norm(net.conv(x, width, 1, bias=False))
        x = net.relu(net.node("Add", x, y))
    whole = {"kernel_shape": [32], "strides": [32]}
    pooled = [net.node("AveragePool", x, **whole), net.node("MaxPool", x, **whole)]
    both = net.node("Concat", *pooled, axis=1)
    net.channels[both] = 64
    return net.ended(net.dense(net.norm(net.flat(both)), 5), 5)


def inception() -> bytes:
    """inception1d: kernels of several lengths side by side, and a pooled branch."""
    net = Net()
    x = "ecg"
    for _ in range(2):
        narrow = net.conv(x, 8, 1, bias=False)
        parts = [net.conv(narrow, 8, size, bias=False) for size in (39, 19, 9)]
        pooled = net.node("MaxPool", net.relu(x), kernel_shape=[3], strides=[1], pads=[1, 1])
        parts.append(net.conv(pooled, 8, 1, bias=False))
        joined = net.node("Concat", *parts, axis=1)
        net.channels[joined] = 32
        x = net.relu(net.norm(joined))
    x = net.node("ReduceMean", x, axes=[2], keepdims=0)
    return net.ended(net.dense(x, 5, 32), 5, "Sigmoid")


def ribeiro(samples: int = 256) -> bytes:
    """Ribeiro et al. 2020: long kernels, pooled shortcuts, a dense layer over all of time."""
    net = Net(samples=samples)
    x = net.relu(net.norm(net.conv("ecg", 16, 17, bias=False)))
    skip = x
    for width in (16, 24):
        y = net.relu(net.norm(net.conv(x, width, 17, bias=False)))
        y = net.conv(y, width, 17, stride=4, pad=[8], bias=False)
        skip = net.node("MaxPool", skip, kernel_shape=[4], strides=[4])
        if net.channels[skip] != width:
            skip = net.conv(skip, width, 1, bias=False)
        skip = net.node("Add", y, skip)
        x = net.relu(net.norm(skip))
    x = net.node("Flatten", x, axis=1)
    return net.ended(net.dense(x, 6, 24 * samples // 16), 6, "Sigmoid")


def net1d(samples: int = 256, classes: int = 5) -> bytes:
    """Net1D of ECGFounder: grouped convolutions, swish, squeeze-and-excitation, padded by hand."""
    net = Net(samples=samples)

    def same(x: str, size: int, stride: int) -> str:
        length = -(-net.samples // stride)
        total = max(0, (length - 1) * stride + size - net.samples)
        pads = net.array([0, 0, total // 2, 0, 0, total - total // 2], np.int64)
        return net.node("Pad", x, pads, net.array(0.0))

    x = net.swish(net.norm(net.conv(same("ecg", 16, 2), 16, 16, stride=2, pad=[0])))
    net.samples //= 2
    for _ in range(2):
        y = net.conv(net.swish(net.norm(x)), 16, 1)
        y = net.conv(same(net.swish(net.norm(y)), 16, 1), 16, 16, pad=[0], group=4)
        y = net.conv(net.swish(net.norm(y)), 16, 1)
        squeezed = net.node("ReduceMean", y, axes=[2], keepdims=0)
        gate = net.dense(net.swish(net.dense(squeezed, 8, 16)), 16)
        gate = net.node("Unsqueeze", net.node("Sigmoid", gate), net.array([2], np.int64))
        x = net.node("Add", net.node("Mul", y, gate), x)
        net.channels[x] = 16
    x = net.swish(net.norm(x))
    x = net.node("ReduceMean", x, axes=[2], keepdims=0)
    return net.ended(net.dense(x, classes, 16), classes)


def leads_by_time() -> bytes:
    """Two-dimensional kernels: along time in every lead, then over the leads."""
    net = Net(samples=200, wide=True)
    x = net.relu(net.norm(net.conv("ecg", 8, (1, 7), bias=False)))
    x = net.relu(net.norm(net.conv(x, 12, (12, 1), pad=[0, 0], bias=False)))
    x = net.node("Squeeze", x, net.array([2], np.int64))
    net.channels[x] = 12
    x = net.relu(net.conv(x, 12, 5, dilation=2))
    x = net.flat(net.node("GlobalAveragePool", x))
    return net.ended(net.node("Div", net.dense(x, 5), net.array(2.0)), 5, "Softmax")


NETWORKS = {
    "resnet1d_wang": (wang, 256),
    "xresnet1d50": (xresnet, 250),
    "inception1d": (inception, 256),
    "ribeiro": (ribeiro, 256),
    "net1d": (net1d, 256),
    "leads_by_time": (leads_by_time, 200),
}
"""By name: a function that makes the file, and the samples that it takes."""
