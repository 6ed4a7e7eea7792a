"""ONNX's operators with weights that are no windows: products with matrices, normalizations."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import layers
from .building import Builder
from .file import Operation
from .values import Value, channels_back, in_order, plain


def _dense(
    builder: Builder, value: Value, kernel: np.ndarray, bias: np.ndarray | None, key: Any
) -> Value:
    """Return the product of a tensor's last axis and a kernel (inputs, units), plus a bias.

    A flattened image stays as it is: the rows of the kernel are put into its order.
    """
    if kernel.ndim != 2 or 0 in kernel.shape or kernel.shape[0] != value.shape[-1]:
        raise ValueError(f"its input has shape {value.shape}, its kernel {kernel.shape}")
    if value.rows is not None:
        rows, columns, channels = value.rows
        by_rows = kernel.reshape(channels, rows, columns, -1).transpose(1, 2, 0, 3)
        kernel = by_rows.reshape(kernel.shape)
    else:
        value = in_order(value, plain(value.rank), builder.rearrange)
    made = builder.weighted(
        layers.Dense,
        value.tensor,
        (kernel, bias),
        (key, value.rows),
        units=kernel.shape[1],
        use_bias=bias is not None,
    )
    return Value(made, value.order)


def _gemm(builder: Builder, operation: Operation) -> Value:
    value, kernel = builder.value(operation), builder.weight(operation, 1, "matrix")
    named = operation.attributes
    named.get("broadcast")  # of opset 6, where the bias tells it anyway
    if named.get("transA", 0) or value.rank != 2:
        raise ValueError(f"its input has {value.rank} axes; (batch, inputs) is needed, no transA")
    kernel = kernel.T if named.get("transB", 0) else kernel
    kernel = kernel * np.float32(named.get("alpha", 1.0))
    bias = builder.constant(operation, 2, "bias")
    if bias is not None:
        bias = _bias(bias * np.float32(named.get("beta", 1.0)), kernel.shape[-1])
    return _dense(builder, value, kernel, bias, tuple(sorted(named.items())))


def _bias(array: np.ndarray, units: int) -> np.ndarray:
    """Return what is added to each row as (units,)."""
    if array.size not in (1, units) or array.size != array.shape[-1:][0] if array.ndim else False:
        raise ValueError(f"its bias has shape {array.shape}; it must have {units} numbers")
    return np.array(np.broadcast_to(array.reshape(-1), (units,)))


def _matmul(builder: Builder, operation: Operation) -> Value:
    """A Dense without bias, or with that of an Add behind it."""
    value, kernel = builder.value(operation), builder.weight(operation, 1, "matrix")
    bias, output = None, operation.outputs[0]
    if builder.file.is_read_once(output) and kernel.ndim == 2:
        [reader] = builder.file.readers[output]
        others = [name for name in reader.inputs if name != output]
        added = builder.values.get(others[0]) if reader.kind == "Add" and others else None
        if isinstance(added, np.ndarray) and added.shape == kernel.shape[1:]:
            made = _dense(builder, value, kernel, added, tuple(others))
            builder.done.add(id(reader))
            builder.values[reader.outputs[0]] = made
            return made
    return _dense(builder, value, kernel, bias, None)


def _batch_normalization(builder: Builder, operation: Operation) -> Value:
    named = operation.attributes
    inference = not named.get("training_mode", 0) and named.get("is_test", 1)
    if not inference or not named.get("spatial", 1):
        raise ValueError("its training_mode is 1, its is_test 0 or its spatial 0")
    value = builder.numbered(operation)
    value = in_order(value, channels_back(value.rank), builder.rearrange)
    arrays = [
        builder.weight(operation, place, what)
        for place, what in enumerate(("scale", "offset", "mean", "variance"), start=1)
    ]
    made = builder.weighted(
        layers.BatchNormalization,
        value.tensor,
        arrays,
        None,
        momentum=named.get("momentum", 0.9),
        epsilon=named.get("epsilon", 1e-5),
    )
    return value.with_tensor(made)


def _instance_normalization(builder: Builder, operation: Operation) -> Value:
    value = builder.images(operation)
    arrays = [builder.weight(operation, place, "scale or offset") for place in (1, 2)]
    made = builder.weighted(
        layers.GroupNormalization,
        value.tensor,
        arrays,
        None,
        groups=-1,
        epsilon=operation.attributes.get("epsilon", 1e-5),
    )
    return value.with_tensor(made)


def _layer_normalization(builder: Builder, operation: Operation) -> Value:
    value = builder.numbered(operation)
    axis = operation.attributes.get("axis", -1) % value.rank
    operation.attributes.get("stash_type")  # in float32 and better it is always computed
    value = in_order(value, plain(value.rank), builder.rearrange)
    scale, offset = (
        builder.weight(operation, 1, "scale"),
        builder.constant(operation, 2, "offset"),
    )
    made = builder.weighted(
        layers.LayerNormalization,
        value.tensor,
        (scale, offset),
        axis,
        axis=tuple(range(axis, value.rank)),
        center=offset is not None,
        epsilon=operation.attributes.get("epsilon", 1e-5),
    )
    return value.with_tensor(made)


HANDLERS = {
    "BatchNormalization": _batch_normalization,
    "Gemm": _gemm,
    "InstanceNormalization": _instance_normalization,
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
}
