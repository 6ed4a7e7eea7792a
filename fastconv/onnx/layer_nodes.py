"""Layers as ONNX nodes: which have a form there, and what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers
from ..layers.arguments import checked_axes
from ..layers.unit_normalization import _SHORTEST
from . import image_nodes, merge_nodes, window_nodes
from .activation_nodes import activated, is_known
from .writing import Value, Writer

#: What writes a layer with one input: (writer, layer, input) to the output.
Write = Callable[[Writer, Any, Value], Value]


def missing(layer: Any) -> str:
    """Return what of a layer has no form in ONNX, "" where all has one.

    Types are compared exactly: a user's subclass may compute something else.
    """
    if type(layer) not in _WRITERS and type(layer) not in merge_nodes.WRITERS:
        return layer.owner if type(layer).__name__ in layer.owner else (
            f"{layer.owner} ({type(layer).__name__})"
        )  # fmt: skip
    activation = getattr(layer, "activation", None)
    if activation is None or type(layer) is layers.Softmax or is_known(activation):
        return ""
    return f"the activation {activation!r} of {layer.owner}"


def written(writer: Writer, layer: Any, inputs: list[Value], shape: Any) -> Value:
    """Append what a layer does; `shape` is its output's."""
    merge = merge_nodes.WRITERS.get(type(layer))
    if merge is not None:
        return merge(writer, layer, inputs, shape)
    [value] = inputs
    made = _WRITERS[type(layer)](writer, layer, value)
    made = Value(shape, made.last, made.first)
    if hasattr(layer, "activation") and type(layer) is not layers.Softmax:
        return activated(writer, layer.activation, made)
    return made


def is_random(layer: Any) -> bool:
    """Whether a layer draws in training, and is told of as it acts without."""
    return _WRITERS.get(type(layer)) is _unchanged and type(layer) not in (
        layers.Activation, layers.ELU, layers.Identity, layers.LeakyReLU, layers.ReLU
    )  # fmt: skip


def _unchanged(writer: Writer, layer: Any, value: Value) -> Value:
    return value


def _images(write: Callable[[Writer, Any, Value], str]) -> Write:
    """Return what writes a layer whose node has its channels first."""
    return lambda writer, layer, value: Value(value.shape, first=write(writer, layer, value))


def _batch_normalization(writer: Writer, layer: Any, value: Value) -> Value:
    mean, scale, shift = layer.scale_and_shift()
    if len(value.shape) not in (2, 4):
        return writer.affine(value, scale, shift - mean * scale)
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    weights = {
        "gamma": layer.gamma.contents if layer.scale else ones,
        "beta": layer.beta.contents if layer.center else zeros,
        "moving_mean": layer.moving_mean.contents,
        "moving_variance": layer.moving_variance.contents,
    }
    images = len(value.shape) == 4
    name = writer.first(value) if images else writer.last(value)
    constants = [writer.constant(array, what) for what, array in weights.items()]
    made = writer.node("BatchNormalization", [name, *constants], epsilon=layer.epsilon)
    return Value(value.shape, **{"first" if images else "last": made})


def _dense(writer: Writer, layer: Any, value: Value) -> Value:
    kernel, *bias = layer.get_weights()
    weights = [writer.constant(kernel, "kernel")]
    weights += [writer.constant(array, "bias") for array in bias]
    name = writer.last(value)
    if len(value.shape) == 2:
        return Value(value.shape, writer.node("Gemm", [name, *weights]))
    name = writer.node("MatMul", [name, weights[0]])
    return Value(value.shape, writer.node("Add", [name, weights[1]]) if bias else name)


def _flatten(writer: Writer, layer: Any, value: Value) -> Value:
    return Value(value.shape, writer.node("Flatten", [writer.last(value)], axis=1))


def _global_pooling(operator: str) -> Write:
    def write(writer: Writer, layer: Any, value: Value) -> Value:
        name = writer.node(operator, [writer.first(value)])
        if layer.keepdims:
            return Value(value.shape, first=name)
        return Value(value.shape, writer.node("Flatten", [name], axis=1))

    return write


def _normalization(writer: Writer, layer: Any, value: Value) -> Value:
    deviation = np.maximum(np.sqrt(layer.variance), 1e-7).astype(np.float64)
    if layer.invert:
        return writer.affine(value, deviation, layer.mean)
    return writer.affine(value, 1 / deviation, -np.float64(layer.mean) / deviation)


def _rescaling(writer: Writer, layer: Any, value: Value) -> Value:
    return writer.affine(value, layer.scale, layer.offset)


def _prelu(writer: Writer, layer: Any, value: Value) -> Value:
    slopes = layer.alpha.contents
    if value.is_first:
        slopes = slopes.transpose(2, 0, 1)
    return value.like(writer.node("PRelu", [value.any, writer.constant(slopes, "alpha")]))


def _reshape(writer: Writer, layer: Any, value: Value) -> Value:
    shape = layer.compute_output_shape(value.shape)
    return Value(shape, writer.reshaped(value, shape[1:]))


def _permute(writer: Writer, layer: Any, value: Value) -> Value:
    return Value(value.shape, writer.node("Transpose", [writer.last(value)], perm=(0, *layer.dims)))


def _repeat_vector(writer: Writer, layer: Any, value: Value) -> Value:
    name = writer.reshaped(value, (1, *value.shape[1:]))
    return Value(value.shape, writer.node("Tile", [name, writer.integers([1, layer.n, 1])]))


def _softmax(writer: Writer, layer: Any, value: Value) -> Value:
    axes = checked_axes(layer.axis, value.shape, layer.owner)
    if 0 in axes:
        raise ValueError(f"{layer.owner}: axis is {layer.axis}, the batch's; it is not exported")
    if len(axes) == 1:
        axis = writer.axis(value, axes[0])
        return value.like(writer.node("Softmax", [value.any], axis=axis))
    own = [writer.axis(value, axis) for axis in axes]
    largest = writer.node("ReduceMax", [value.any], axes=own)
    powers = writer.node("Exp", [writer.node("Sub", [value.any, largest])])
    total = writer.node("ReduceSum", [powers, writer.integers(own, "axes")])
    return value.like(writer.node("Div", [powers, total]))


def _standardized(
    writer: Writer, name: str, axes: list[int], epsilon: float, scale: Any, shift: Any
) -> str:
    """Write (x - mean) / deviation along `axes`, times `scale`, plus `shift`."""
    mean = writer.node("ReduceMean", [name], axes=axes)
    centered = writer.node("Sub", [name, mean])
    squares = writer.node("Mul", [centered, centered])
    variance = writer.node("ReduceMean", [squares], axes=axes)
    variance = writer.node("Add", [variance, writer.constant(epsilon, "epsilon")])
    name = writer.node("Div", [centered, writer.node("Sqrt", [variance])])
    for operator, array in (("Mul", scale), ("Add", shift)):
        if array is not None:
            name = writer.node(operator, [name, writer.constant(array)])
    return name


def _standardization(writer: Writer, layer: Any, value: Value) -> Value:
    """Write a LayerNormalization or a GroupNormalization."""
    if None in value.shape[1:]:
        raise ValueError(
            f"{layer.owner}: sizes of its input {value.shape} are not known; give Input every "
            "size to export the model"
        )
    operator = _own_operator(writer, layer, value)
    if operator is not None:
        return operator
    seen, axes, weights = layer._layout((1, *value.shape[1:]))
    arrays = [
        weight.contents.reshape((1, *weights[1:])) if wanted else None
        for weight, wanted in ((layer.gamma, layer.scale), (layer.beta, layer.center))
    ]
    name = writer.last(value)
    if seen[1:] != value.shape[1:]:
        name = writer.reshaped(value, seen[1:])
    name = _standardized(writer, name, list(axes), layer.epsilon, *arrays)
    if seen[1:] != value.shape[1:]:
        name = writer.reshaped(value, value.shape[1:], name)
    return Value(value.shape, name)


def _own_operator(writer: Writer, layer: Any, value: Value) -> Value | None:
    """Write the operator that is the layer, None where there is none."""
    shape = value.shape
    [*axes] = checked_axes(layer.axis, shape, layer.owner)
    sizes = [shape[axis] or 0 for axis in axes]  # which `build` has found known
    scale = layer.gamma.contents if layer.scale else np.ones(sizes)
    shift = layer.beta.contents if layer.center else np.zeros(sizes)
    weights = [writer.constant(scale, "gamma"), writer.constant(shift, "beta")]
    if type(layer) is layers.LayerNormalization and axes == list(range(axes[0], len(shape))):
        inputs = [writer.last(value), *weights]
        made = writer.node("LayerNormalization", inputs, axis=axes[0], epsilon=layer.epsilon)
        return Value(shape, made)
    instances = type(layer) is layers.GroupNormalization and layer.groups in (-1, shape[-1])
    if instances and axes == [3] and len(shape) == 4:
        inputs = [writer.first(value), *weights]
        made = writer.node("InstanceNormalization", inputs, epsilon=layer.epsilon)
        return Value(shape, first=made)
    return None


def _unit_normalization(writer: Writer, layer: Any, value: Value) -> Value:
    axes = checked_axes(layer.axis, value.shape, layer.owner)
    own = [writer.axis(value, axis) for axis in axes]
    length = writer.node("ReduceL2", [value.any], axes=own)
    length = writer.node("Max", [length, writer.constant(_SHORTEST, "shortest")])
    return value.like(writer.node("Div", [value.any, length]))


_WRITERS: dict[type, Write] = {
    layers.AveragePooling2D: _images(window_nodes.average_pooling),
    layers.BatchNormalization: _batch_normalization,
    layers.CenterCrop: _images(image_nodes.center_crop),
    layers.Conv2D: _images(window_nodes.conv2d),
    layers.Conv2DTranspose: _images(window_nodes.conv2d_transpose),
    layers.Cropping2D: _images(image_nodes.cropping),
    layers.Dense: _dense,
    layers.DepthwiseConv2D: _images(window_nodes.depthwise_conv2d),
    layers.Flatten: _flatten,
    layers.GlobalAveragePooling2D: _global_pooling("GlobalAveragePool"),
    layers.GlobalMaxPooling2D: _global_pooling("GlobalMaxPool"),
    layers.GroupNormalization: _standardization,
    layers.L2Pooling2D: _images(window_nodes.l2_pooling),
    layers.LayerNormalization: _standardization,
    layers.MaxPooling2D: _images(window_nodes.max_pooling),
    layers.Normalization: _normalization,
    layers.PReLU: _prelu,
    layers.Permute: _permute,
    layers.RandomCrop: _images(image_nodes.random_crop),
    layers.RepeatVector: _repeat_vector,
    layers.Rescaling: _rescaling,
    layers.Reshape: _reshape,
    layers.Resizing: _images(image_nodes.resizing),
    layers.SeparableConv2D: _images(window_nodes.separable_conv2d),
    layers.Softmax: _softmax,
    layers.UnitNormalization: _unit_normalization,
    layers.UpSampling2D: _images(image_nodes.up_sampling),
    layers.ZeroPadding2D: _images(image_nodes.padding),
}

# Those that are their activation alone, and those that act in training alone.
_WRITERS |= dict.fromkeys(
    (
        layers.Activation, layers.AlphaDropout, layers.Dropout, layers.ELU, layers.GaussianDropout,
        layers.GaussianNoise, layers.Identity, layers.InputLayer, layers.LeakyReLU,
        layers.RandomBrightness, layers.RandomContrast, layers.RandomErasing, layers.RandomFlip,
        layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom, layers.ReLU,
        layers.SpatialDropout2D,
    ),
    _unchanged,
)  # fmt: skip
