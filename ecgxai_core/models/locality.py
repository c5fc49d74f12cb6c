"""What a network can see: how far one unit reaches before it averages over time.

A network of convolutions followed by pooling over all time cannot relate two events that lie
further apart than its receptive field, whatever it was trained for: seeing 80 ms, it cannot know
RR intervals. The same fact makes it cheap: a change of the record changes only what lies in reach.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

__all__ = [
    "CHANNEL_NORMS",
    "POINTWISE",
    "Locality",
    "NotLocal",
    "Pool",
    "axes_of_one",
    "locality",
    "over_channels",
    "padded_left",
    "receptive_field",
]

POINTWISE = frozenset(
    """
    Activation ELU LeakyReLU ReLU Dense
    Rescaling Dropout AlphaDropout GaussianDropout GaussianNoise
    SpatialDropout1D SpatialDropout2D ActivityRegularization Identity
    Add Average Concatenate Maximum Minimum Multiply Subtract
    Relu Sigmoid Silu Tanh Absolute Negative Square Sqrt Exp Log
    """.split()  # noqa: SIM905
)
CHANNEL_NORMS = frozenset(
    ["BatchNormalization", "LayerNormalization", "RMSNormalization", "Normalization", "PReLU"]
)
WINDOWED = frozenset(
    f"{kind}{rank}D"
    for kind in ("Conv", "DepthwiseConv", "SeparableConv", "MaxPooling", "AveragePooling")
    for rank in (1, 2)
)
GLOBAL = {
    "GlobalAveragePooling1D": "mean", "GlobalMaxPooling1D": "max",
    "GlobalAveragePooling2D": "mean", "GlobalMaxPooling2D": "max",
}  # fmt: skip
HEAD_ONLY = frozenset({"Flatten", "Permute", "Reshape", "Softmax"})
UNKNOWN_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Pool:
    """One pooling over all time: the Keras tensors before and after it, and what it does."""

    source: Any
    result: Any
    kind: Literal["mean", "max"]


@dataclass(frozen=True, slots=True)
class Locality:
    """How the positions of the last local layer lie over the record.

    Position ``p`` of ``positions`` sees the samples ``p * step + first`` to ``p * step + last``,
    both included; beyond the record it sees the padding of the layers. Several pooled branches are
    described by their union.

    Attributes
    ----------
    step
        Samples from one position to the next (product of the strides).
    first, last
        Reach of position 0, in samples.
    positions
        Number of positions for a record of ``samples`` samples.
    samples
        Length of the record.
    pools
        The poolings over all time that end the local part.
    """

    step: int
    first: int
    last: int
    positions: int
    samples: int
    pools: tuple[Pool, ...]

    @property
    def field(self) -> int:
        """Receptive field of one position, samples."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class NotLocal:
    """Why the parts of a record cannot be computed apart."""

    reason: str


class _SeesEverythingError(Exception):
    """A layer relates all times to each other, or may do."""


@dataclass(frozen=True, slots=True)
class _View:
    """What the positions of one tensor see; see :class:`Locality`. ``pooled``: time is gone."""

    step: int
    first: int
    last: int
    length: int
    pooled: bool = False


def locality(model: Any, samples: int | None = None) -> Locality | NotLocal:
    """Where a network stops being local, and how far it reaches until then.

    Parameters
    ----------
    model
        A Keras model of one input ``(sample, lead)``; weights are not needed.
    samples
        Length of its records; ``None`` = as the model says.

    Notes
    -----
    Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill
    2019, eq. 2: each layer adds ``(kernel - 1) * dilation`` times the product of the strides
    before it. Where the padding of a strided layer falls depends on the length of its input, so the
    length is followed from layer to layer.
    """
    length = samples or model.inputs[0].shape[1] or UNKNOWN_LENGTH
    views: dict[int, _View] = {}
    pools: dict[int, tuple[Pool, _View]] = {}
    try:
        reached = [_view(tensor, views, pools, int(length)) for tensor in model.outputs]
    except _SeesEverythingError as error:
        return NotLocal(str(error))
    except RecursionError:
        return NotLocal("the network is too deep to follow")
    if not all(view.pooled for view in reached):
        return NotLocal("an output is not pooled over all time")
    found = [view for _, view in pools.values()]
    if len({(view.step, view.length) for view in found}) != 1:
        return NotLocal("branches are pooled at different strides")
    return Locality(
        step=found[0].step,
        first=min(view.first for view in found),
        last=max(view.last for view in found),
        positions=found[0].length,
        samples=int(length),
        pools=tuple(pool for pool, _ in pools.values()),
    )


def receptive_field(model: Any) -> int | None:
    """Samples that one unit before global pooling sees.

    ``None`` for a network that can relate all times (recurrent, attention, dense over time) or
    holds a layer whose reach is not known here.
    """
    found = locality(model)
    return found.field if isinstance(found, Locality) else None


def _view(
    tensor: Any, views: dict[int, _View], pools: dict[int, tuple[Pool, _View]], length: int
) -> _View:
    known = views.get(id(tensor))
    if known is not None:
        return known
    try:
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
    except AttributeError:
        raise _SeesEverythingError("a part of the network is not a layer of it") from None
    layer = history.operation
    kind = type(layer).__name__
    if kind == "InputLayer":
        view = _View(1, 0, 0, length)
    else:
        inner = [_view(source, views, pools, length) for source in node.input_tensors]
        reshaped = kind == "Reshape" and not inner[0].pooled
        if reshaped and axes_of_one(node.input_tensors[0].shape, tensor.shape) is not None:
            view = inner[0]
        else:
            view = _after(layer, kind, inner)
        if kind in GLOBAL and not inner[0].pooled:
            pool = Pool(node.input_tensors[0], tensor, "mean" if GLOBAL[kind] == "mean" else "max")
            pools[id(tensor)] = (pool, inner[0])
    views[id(tensor)] = view
    return view


def _after(layer: Any, kind: str, inner: list[_View]) -> _View:
    """View of a layer's result from the views of what it takes."""
    if not inner:
        raise _SeesEverythingError(f"layer {layer.name} ({kind}) takes no tensor")
    if any(view.pooled for view in inner) and not all(view.pooled for view in inner):
        raise _SeesEverythingError(
            f"layer {layer.name} ({kind}) puts a summary of all time back into the signal"
        )
    view = _joined(layer, kind, inner)
    if kind in GLOBAL:
        return replace(view, pooled=True)
    if kind in POINTWISE or (kind in CHANNEL_NORMS and over_channels(layer)):
        return view
    if view.pooled and (kind in HEAD_ONLY or kind in CHANNEL_NORMS):
        return view
    if kind in WINDOWED and not view.pooled:
        return _windowed(layer, kind, view)
    if kind in ("ZeroPadding1D", "ZeroPadding2D") and not view.pooled:
        left, right = layer.padding if kind == "ZeroPadding1D" else layer.padding[0]
        offset = left * view.step
        length = view.length + left + right
        return replace(view, first=view.first - offset, last=view.last - offset, length=length)
    does = "moves the time axis" if kind == "Permute" else "may relate all times to each other"
    raise _SeesEverythingError(f"layer {layer.name} ({kind}) {does}")


def _joined(layer: Any, kind: str, inner: list[_View]) -> _View:
    """The union of several branches of one stride and length."""
    if all(view.pooled for view in inner):
        return inner[0]
    if len({(view.step, view.length) for view in inner}) != 1:
        raise _SeesEverythingError(f"layer {layer.name} ({kind}) joins branches of unequal stride")
    if kind == "Concatenate" and getattr(layer, "axis", -1) not in (-1, 2, 3):
        raise _SeesEverythingError(f"layer {layer.name} ({kind}) joins pieces of time")
    return replace(
        inner[0],
        first=min(view.first for view in inner),
        last=max(view.last for view in inner),
    )


def _windowed(layer: Any, kind: str, view: _View) -> _View:
    """A convolution or pooling with a kernel."""
    size = _one(layer.pool_size if "Pooling" in kind else layer.kernel_size)
    stride, dilation = _one(layer.strides), _one(getattr(layer, "dilation_rate", 1))
    reach = (size - 1) * dilation
    left, length = padded_left(layer.padding, view.length, stride, reach)
    if length < 1 or (layer.padding == "same" and stride > 1 and dilation > 1):
        raise _SeesEverythingError(f"layer {layer.name} ({kind}) cannot be followed")
    first = view.first - left * view.step
    last = view.last + (reach - left) * view.step
    return _View(view.step * stride, first, last, length)


def padded_left(padding: str, length: int, stride: int, reach: int) -> tuple[int, int]:
    """Positions that a layer's padding puts before its input of so many, and its result's length.

    ``reach`` is the kernel's, dilation included, less one.
    """
    if padding == "same":
        after = -(-length // stride)
        return max((after - 1) * stride + reach + 1 - length, 0) // 2, after
    if padding == "causal":
        return reach, (length - 1) // stride + 1
    return 0, (length - reach - 1) // stride + 1


def axes_of_one(before: Any, after: Any) -> tuple[list[int], list[int]] | None:
    """Axes of one element that a reshape takes away and puts in; ``None`` = it does more.

    Parameters
    ----------
    before, after
        Shapes with the batch first.
    """
    gone = [axis for axis, size in enumerate(before) if axis and size == 1]
    new = [axis for axis, size in enumerate(after) if axis and size == 1]
    kept = [size for axis, size in enumerate(before) if axis not in gone]
    same = kept == [size for axis, size in enumerate(after) if axis not in new]
    return (gone, new) if same else None


def over_channels(layer: Any) -> bool:
    """Whether a layer treats every time alike (a normalisation over an axis behind time)."""
    if type(layer).__name__ == "PReLU":
        return layer.shared_axes is not None and 1 in layer.shared_axes
    axis = layer.axis
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    return axes in {(-1,), (2,), (3,)}


def _one(value: Any) -> int:
    """The number in a one-element tuple."""
    return int(value[0] if isinstance(value, (tuple, list)) else value)
