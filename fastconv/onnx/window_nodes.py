"""Convolutions and poolings as ONNX nodes, with the padding written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.geometry import Axis, Window, conv2d_transpose_window, window2d
from ..layers.arguments import checked_images
from .writing import Value, Writer

Pads = tuple[tuple[int, int], tuple[int, int]]


def conv2d(writer: Writer, layer: Any, value: Value) -> str:
    """Write a Conv2D without its activation."""
    kernel, *bias = layer.get_weights()
    return _convolution(writer, layer, value, kernel, bias, layer.groups)


def depthwise_conv2d(writer: Writer, layer: Any, value: Value) -> str:
    """Write a DepthwiseConv2D without its activation."""
    kernel, *bias = layer.get_weights()
    return _depthwise(writer, layer, value, kernel, bias)


def separable_conv2d(writer: Writer, layer: Any, value: Value) -> str:
    """Write a SeparableConv2D without its activation, as two convolutions."""
    depthwise, pointwise, *bias = layer.get_weights()
    between = _depthwise(writer, layer, value, depthwise, [])
    kernel = writer.constant(pointwise.transpose(3, 2, 0, 1), "pointwise_kernel")
    return writer.node("Conv", [between, kernel, *_biases(writer, bias)], kernel_shape=[1, 1])


def _depthwise(writer: Writer, layer: Any, value: Value, kernel: np.ndarray, bias: Any) -> str:
    rows, columns, channels, multiplier = kernel.shape
    kernel = kernel.reshape(rows, columns, 1, channels * multiplier)
    return _convolution(writer, layer, value, kernel, bias, channels)


def _convolution(
    writer: Writer, layer: Any, value: Value, kernel: np.ndarray, bias: Any, groups: int
) -> str:
    window = _window(layer, value, kernel.shape[:2], layer.dilation_rate)
    weights = [writer.constant(kernel.transpose(3, 2, 0, 1), "kernel"), *_biases(writer, bias)]
    return writer.node(
        "Conv",
        [writer.first(value), *weights],
        **_attributes(layer, value, window),
        dilations=[axis.dilation for axis in window],
        group=groups,
    )


def _biases(writer: Writer, bias: list[np.ndarray]) -> list[str]:
    return [writer.constant(array, "bias") for array in bias]


def conv2d_transpose(writer: Writer, layer: Any, value: Value) -> str:
    """Write a Conv2DTranspose without its activation."""
    kernel, *bias = layer.get_weights()
    _, height, width, _ = checked_images(value.shape, layer.owner)
    sizes, pads = conv2d_transpose_window(
        (height, width), layer.kernel_size, owner=layer.owner, **layer._geometry()
    )
    geometry = zip((height, width), sizes, pads, layer.kernel_size, layer.strides,
                   layer.dilation_rate, strict=True)  # fmt: skip
    extra = [
        output - ((size - 1) * stride + (window - 1) * dilation + 1 - sum(both))
        for size, output, both, window, stride, dilation in geometry
    ]
    weights = [writer.constant(kernel.transpose(3, 2, 0, 1), "kernel"), *_biases(writer, bias)]
    return writer.node(
        "ConvTranspose",
        [writer.first(value), *weights],
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        pads=_in_order(pads),
        output_padding=extra,
    )


def max_pooling(writer: Writer, layer: Any, value: Value) -> str:
    """Write a MaxPooling2D."""
    window = _pool_window(layer, value)
    name = writer.first(value)
    if any(max(axis.before, axis.after) >= axis.window for axis in window):
        # Some runtimes want padding to be below the size, whatever the dilation.
        pads = [0, 0, window[0].before, window[1].before, 0, 0, window[0].after, window[1].after]
        lowest = writer.constant(-np.inf, "lowest")
        name = writer.node("Pad", [name, writer.integers(pads, "pads"), lowest])
        window = Window(*(axis._replace(before=0, after=0) for axis in window))
    attributes = _attributes(layer, value, window)
    return writer.node(
        "MaxPool", [name], **attributes, dilations=[axis.dilation for axis in window]
    )


def average_pooling(writer: Writer, layer: Any, value: Value) -> str:
    """Write an AveragePooling2D; what padding counts is put around the images first."""
    window = _pool_window(layer, value)
    if layer.count_include_pad and window.padded:
        before = window2d(
            checked_images(value.shape, layer.owner)[1:3],
            layer.pool_size,
            layer.strides,
            layer.padding,
            layer.dilation_rate,
            owner=layer.owner,
        )
        pads = [0, 0, before.rows.before, before.columns.before]
        pads += [0, 0, before.rows.after, before.columns.after]
        name = writer.node("Pad", [writer.first(value), writer.integers(pads, "pads")])
        axes = (
            axis._replace(
                size=axis.size + own.before + own.after, before=0, after=axis.after - own.after
            )
            for axis, own in zip(window, before, strict=True)
        )
        window = Window(*axes)
    else:
        name = writer.first(value)
    if tuple(layer.dilation_rate) != (1, 1):
        sums = _window_sums(writer, value, name, window)
        return writer.node("Div", [sums, writer.constant(_counts(window), "counts")])
    return writer.node("AveragePool", [name], **_attributes(layer, value, window))


def l2_pooling(writer: Writer, layer: Any, value: Value) -> str:
    """Write an L2Pooling2D."""
    window, name = _pool_window(layer, value), writer.first(value)
    if tuple(layer.dilation_rate) == (1, 1):
        return writer.node("LpPool", [name], p=2, **_attributes(layer, value, window))
    squares = writer.node("Mul", [name, name])
    return writer.node("Sqrt", [_window_sums(writer, value, squares, window)])


def _window_sums(writer: Writer, value: Value, name: str, window: Window) -> str:
    """Write the sums of dilated windows, which ONNX's poolings have since late versions only."""
    channels = value.shape[3] or 1
    ones = np.ones((channels, 1, window.rows.window, window.columns.window))
    return writer.node(
        "Conv",
        [name, writer.constant(ones, "ones")],
        group=channels,
        kernel_shape=list(ones.shape[2:]),
        strides=[axis.stride for axis in window],
        dilations=[axis.dilation for axis in window],
        pads=_in_order((axis.before, axis.after) for axis in window),
    )


def _counts(window: Window) -> np.ndarray:
    """Return how many pixels of the image each window holds, (rows, columns)."""
    rows, columns = (
        sum(
            (starts + tap * axis.dilation >= 0) & (starts + tap * axis.dilation < axis.size)
            for tap in range(axis.window)
        )
        for axis in window
        for starts in [np.arange(axis.output) * axis.stride - axis.before]
    )
    return np.outer(rows, columns)


def _pool_window(layer: Any, value: Value) -> Window:
    """Return a pooling's window, with padding behind the image for all that windows reach."""
    known = None not in value.shape[1:3]
    dilated = tuple(layer.dilation_rate) != (1, 1)
    averages = type(layer).__name__ == "AveragePooling2D"
    needs_sizes = layer.ceil_mode or (averages and (dilated or layer.count_include_pad))
    if not known and needs_sizes:
        raise ValueError(
            f"{layer.owner}: rows and columns of its input {value.shape} are not known; give Input "
            "every size to export the model"
        )
    window = _window(layer, value, layer.pool_size, layer.dilation_rate, layer.ceil_mode)
    if not known:
        return window
    return Window(*map(_reaching, window))


def _reaching(axis: Axis) -> Axis:
    reach = (axis.output - 1) * axis.stride + axis.extent - axis.before - axis.size
    return axis._replace(after=max(reach, axis.after))


def _window(layer: Any, value: Value, size: Any, dilation: Any, ceil_mode: bool = False) -> Window:
    images = checked_images(value.shape, layer.owner)
    return window2d(
        (images[1], images[2]),
        tuple(size),
        layer.strides,
        layer.padding,
        dilation,
        owner=layer.owner,
        ceil_mode=ceil_mode,
    )


def _attributes(layer: Any, value: Value, window: Window) -> dict[str, Any]:
    """Return kernel, strides and padding; "same" of unknown sizes is left to the runtime."""
    attributes: dict[str, Any] = {
        "kernel_shape": [axis.window for axis in window],
        "strides": [axis.stride for axis in window],
    }
    same = isinstance(layer.padding, str) and layer.padding.lower() == "same"
    if same and None in value.shape[1:3] and tuple(layer.strides) != (1, 1):
        return {**attributes, "auto_pad": "SAME_UPPER"}
    pads = _in_order((axis.before, axis.after) for axis in window)
    return {**attributes, "pads": pads}


def _in_order(pads: Any) -> list[int]:
    """Return ((top, bottom), (left, right)) as ONNX has it: top, left, bottom, right."""
    (top, bottom), (left, right) = pads
    return [top, left, bottom, right]
