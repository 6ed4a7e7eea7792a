"""ONNX's operators that slide windows over images."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import layers
from .building import Builder
from .file import Operation
from .values import Value

Pads = tuple[tuple[int, int], tuple[int, int]]


def _pair(operation: Operation, name: str, default: tuple[int, int] | None = None) -> Any:
    """Return an attribute of two whole numbers."""
    given = operation.attributes.get(name, default)
    if given is None or len(given) != 2 or min(given) < 0:
        raise ValueError(f"its {name} is {given}; two numbers are needed, of the rows and columns")
    return tuple(given)


def _padding(
    operation: Operation, value: Value, size: Any, strides: Any, dilation: Any
) -> Pads | str:
    """Return the padding of a window that goes over images."""
    auto, pads = operation.attributes.get("auto_pad", "NOTSET"), _pads(operation)
    if auto in ("NOTSET", ""):
        return pads
    if auto == "VALID":
        return (0, 0), (0, 0)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"its auto_pad is {auto!r}")
    if auto == "SAME_UPPER":
        return "same"
    sides = []
    for given, window, stride, step in zip(
        value.tensor.shape[1:3], size, strides, dilation, strict=True
    ):
        if given is None:
            raise ValueError("its auto_pad is 'SAME_LOWER', and the image's size is not known")
        reach = (-(-given // stride) - 1) * stride + (window - 1) * step + 1
        total = max(reach - given, 0)
        sides.append((total - total // 2, total // 2))
    return sides[0], sides[1]


def _pads(operation: Operation) -> Pads:
    pads = operation.attributes.get("pads", [0, 0, 0, 0])
    if len(pads) != 4 or min(pads) < 0:
        raise ValueError(f"its pads are {pads}; four numbers of at least 0 are needed")
    top, left, bottom, right = pads
    return (top, bottom), (left, right)


def _kernel(builder: Builder, operation: Operation) -> np.ndarray:
    kernel = builder.weight(operation, 1, "kernel")
    if kernel.ndim != 4 or 0 in kernel.shape:
        raise ValueError(f"its kernel has shape {kernel.shape}; one of images has 4 sizes above 0")
    given = operation.attributes.get("kernel_shape")
    if given is not None and tuple(given) != kernel.shape[2:]:
        raise ValueError(f"its kernel_shape is {given}; its kernel has shape {kernel.shape}")
    return kernel


def convolution(builder: Builder, operation: Operation) -> Value:
    """Conv, as Conv2D or, where each channel has kernels of its own, DepthwiseConv2D."""
    value, kernel = builder.images(operation), _kernel(builder, operation)
    bias = builder.constant(operation, 2, "bias")
    strides = _pair(operation, "strides", (1, 1))
    dilation = _pair(operation, "dilations", (1, 1))
    size = kernel.shape[2:]
    common = {
        "kernel_size": size,
        "strides": strides,
        "dilation_rate": dilation,
        "padding": _padding(operation, value, size, strides, dilation),
        "use_bias": bias is not None,
    }
    groups, channels = operation.attributes.get("group", 1), value.tensor.shape[3]
    kernel = kernel.transpose(2, 3, 1, 0)
    if groups == channels and groups > 1 and kernel.shape[2] == 1 and not kernel.shape[3] % groups:
        kernel = kernel.reshape(*size, groups, kernel.shape[3] // groups)
        common["depth_multiplier"] = kernel.shape[3]
        made = builder.weighted(
            layers.DepthwiseConv2D, value.tensor, (kernel, bias), None, **common
        )
    else:
        common |= {"filters": kernel.shape[3], "groups": groups}
        made = builder.weighted(layers.Conv2D, value.tensor, (kernel, bias), None, **common)
    return value.with_tensor(made)


def transposed_convolution(builder: Builder, operation: Operation) -> Value:
    """ConvTranspose."""
    value, kernel = builder.images(operation), _kernel(builder, operation)
    if operation.attributes.get("group", 1) != 1:
        raise ValueError(f"its group is {operation.attributes['group']}; it must be 1")
    bias = builder.constant(operation, 2, "bias")
    strides = _pair(operation, "strides", (1, 1))
    dilation = _pair(operation, "dilations", (1, 1))
    size = kernel.shape[2:]
    padding, extra = _transposed_padding(operation, value, size, strides, dilation)
    made = builder.weighted(
        layers.Conv2DTranspose,
        value.tensor,
        (kernel.transpose(2, 3, 1, 0), bias),
        None,
        filters=kernel.shape[1],
        kernel_size=size,
        strides=strides,
        dilation_rate=dilation,
        padding=padding,
        output_padding=extra,
        use_bias=bias is not None,
    )
    return value.with_tensor(made)


def _transposed_padding(
    operation: Operation, value: Value, size: Any, strides: Any, dilation: Any
) -> tuple[Pads, tuple[int, int]]:
    """Return what is cut off a transposed convolution's output, and what is put behind it."""
    extra = _pair(operation, "output_padding", (0, 0))
    auto = operation.attributes.get("auto_pad", "NOTSET")
    wanted: Any = operation.attributes.get("output_shape")
    given_pads = _pads(operation)
    if wanted is None and auto in ("NOTSET", "", "VALID"):
        return given_pads, extra
    pads, more = [], list(extra)
    for axis, given in enumerate(value.tensor.shape[1:3]):
        if given is None:
            raise ValueError("its padding depends on the image's size, which is not known")
        output = given * strides[axis] if wanted is None else wanted[-2:][axis]
        reach = (given - 1) * strides[axis] + (size[axis] - 1) * dilation[axis] + 1 + extra[axis]
        total = reach - output
        if total < 0:  # rows of zeros behind what the kernel reaches
            more[axis], total = extra[axis] - total, 0
        half = total // 2
        pads.append((half, total - half) if auto == "SAME_UPPER" else (total - half, half))
    return (pads[0], pads[1]), (more[0], more[1])


def _pooling(kind: Any, *others: str) -> Any:
    """Return what makes a pooling layer, which also has the options `others`."""

    def pool(builder: Builder, operation: Operation) -> Value:
        value, size = builder.images(operation), _pair(operation, "kernel_shape")
        strides = _pair(operation, "strides", (1, 1))
        dilation = _pair(operation, "dilations", (1, 1))
        if operation.attributes.get("p", 2) != 2:
            raise ValueError(f"its p is {operation.attributes['p']}; it must be 2")
        options = {name: bool(operation.attributes.get(name, 0)) for name in others}
        made = builder.call(
            kind,
            value.tensor,
            pool_size=size,
            strides=strides,
            padding=_padding(operation, value, size, strides, dilation),
            dilation_rate=dilation,
            ceil_mode=bool(operation.attributes.get("ceil_mode", 0)),
            **options,
        )
        return value.with_tensor(made)

    return pool


def _global_pooling(kind: Any) -> Any:
    def pool(builder: Builder, operation: Operation) -> Value:
        value = builder.images(operation)
        return value.with_tensor(builder.call(kind, value.tensor, keepdims=True))

    return pool


def _global_l2_pooling(builder: Builder, operation: Operation) -> Value:
    value = builder.images(operation)
    if operation.attributes.get("p", 2) != 2:
        raise ValueError(f"its p is {operation.attributes['p']}; it must be 2")
    size = value.tensor.shape[1:3]
    return value.with_tensor(builder.call(layers.L2Pooling2D, value.tensor, pool_size=size))


HANDLERS = {
    "AveragePool": _pooling(layers.AveragePooling2D, "count_include_pad"),
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "GlobalAveragePool": _global_pooling(layers.GlobalAveragePooling2D),
    "GlobalLpPool": _global_l2_pooling,
    "GlobalMaxPool": _global_pooling(layers.GlobalMaxPooling2D),
    "LpPool": _pooling(layers.L2Pooling2D),
    "MaxPool": _pooling(layers.MaxPooling2D),
}
