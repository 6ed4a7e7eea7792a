"""ONNX's operators that give images of other sizes, or one number for many."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers
from ..ops.resampling import Window, axis_matrix
from .building import Builder
from .file import Operation
from .folding import axes_of, numbers
from .values import Value, in_order, plain, reshaped

_LARGEST_MATRIX = 1 << 24
# Attributes that `_matrix` looks at, and the filling of a mode that it refuses.
_OF_RESIZE = ("antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
              "extrapolation_value", "mode", "nearest_mode")  # fmt: skip


def _mean_or_maximum(pooling: Any, global_pooling: Any) -> Callable[[Builder, Operation], Value]:
    """Return what makes a ReduceMean or a ReduceMax, as a pooling."""

    def make(builder: Builder, operation: Operation) -> Value:
        value = builder.numbered(operation)
        axes = axes_of(operation, [None, builder.constant(operation, 1, "axes")], 1, value.rank)
        if not axes and operation.attributes.get("noop_with_empty_axes", 0):
            return value
        operation.attributes.get("noop_with_empty_axes")
        axes = axes or list(range(value.rank))
        kept = bool(operation.attributes.get("keepdims", 1))
        sizes = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
        if 0 in axes or None in sizes[1:]:
            raise ValueError(f"its axes are {axes}, of a shape {value.shape}")
        if value.order == (0, 3, 1, 2) and axes == [2, 3]:
            made = builder.call(global_pooling, value.tensor, keepdims=True)
            value = Value(made, value.order)
        else:
            value = _pooled(builder, pooling, value, axes)
        if not kept:
            sizes = [size for axis, size in enumerate(sizes) if axis not in axes]
        return reshaped(value, [size or 0 for size in sizes[1:]], builder.rearrange)

    return make


def _pooled(builder: Builder, pooling: Any, value: Value, axes: list[int]) -> Value:
    """Return means or maxima along axes beside one another, over images that are made for it."""
    shape = value.shape
    first, last = axes[0], axes[-1] + 1
    if axes != list(range(first, last)) or None in shape[1:]:
        raise ValueError(f"its axes are {axes}, of a shape {shape}; they must be neighbours")
    value = in_order(value, plain(value.rank), builder.rearrange)
    before, along, behind = (
        math.prod(size or 0 for size in part)
        for part in (shape[1:first], shape[first:last], shape[last:])
    )
    image = builder.rearrange(layers.Reshape, value.tensor, target_shape=(before, along, behind))
    made = builder.call(pooling, image, pool_size=(1, along), strides=1)
    sizes = [size or 0 for size in (*shape[1:first], *(1 for _ in axes), *shape[last:])]
    made = builder.rearrange(layers.Reshape, made, target_shape=sizes)
    return Value(made, plain(len(shape)))


def _resize(builder: Builder, operation: Operation) -> Value:
    """Resize or Upsample: the layer that computes of each axis what ONNX does, if there is one."""
    value, named = builder.images(operation), dict(operation.attributes)
    operation.attributes.seen.update(_OF_RESIZE)
    scales, target = _scales_and_sizes(builder, operation, value)
    if operation.kind == "Upsample" or builder.opset < 11:
        named |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    source = value.tensor.shape[1:3]
    mode = named.get("mode", "nearest")
    if None in source:
        factors = [int(scale) for scale in scales]
        source, target = (7, 7), tuple(7 * factor for factor in factors)
        if factors != scales:
            raise ValueError(f"its scales are {scales}, of images whose size is not known")
    rows, columns = (
        _matrix(named, mode, size or 0, goal, scale)
        for size, goal, scale in zip(source, target, scales, strict=True)
    )
    for kind, options in _candidates(mode, source, target, None in value.tensor.shape[1:3]):
        own = _own_matrices(kind, options, source, target)
        pairs = zip((rows, columns), own, strict=True)
        if all(np.allclose(one, other, rtol=0, atol=1e-5) for one, other in pairs):
            return value.with_tensor(builder.call(kind, value.tensor, **options))
    raise ValueError(
        f"its mode {mode!r} from {source} to {target} pixels with {named} is none of UpSampling2D "
        "or Resizing"
    )


def _scales_and_sizes(
    builder: Builder, operation: Operation, value: Value
) -> tuple[list[float], tuple[int, ...]]:
    """Return the scales of rows and columns, and the sizes they lead to."""
    rank, named = 4, operation.attributes
    if named.get("axes") not in (None, [2, 3], [0, 1, 2, 3]) or named.get(
        "keep_aspect_ratio_policy", "stretch"
    ) not in ("stretch", ""):
        raise ValueError("its axes are not those of rows and columns, or it keeps proportions")
    modern = operation.kind == "Resize" and builder.opset >= 11
    scales = builder.constant(operation, 2 if modern else 1, "scales")
    sizes = builder.constant(operation, 3, "sizes") if modern else None
    source = value.tensor.shape[1:3]
    if sizes is not None and sizes.size:
        others, last = list(sizes.reshape(-1)[:-2]), sizes.reshape(-1)[-2:]
        whole = numbers(last.astype(np.int64), "sizes")
        if len(others) not in (0, rank - 2) or None in source or min(whole) < 1:
            raise ValueError(f"its sizes are {list(sizes.reshape(-1))}")
        if len(others) == 2 and others[1] != value.tensor.shape[3]:
            raise ValueError("it resizes the channels")
        return [goal / (size or 1) for goal, size in zip(whole, source, strict=True)], tuple(whole)
    factors = named.get("scales") if scales is None else [float(one) for one in scales.reshape(-1)]
    if factors is None or len(factors) not in (2, 4) or not all(0 < one < 1e6 for one in factors):
        raise ValueError(f"its scales are {factors}")
    if any(one != 1 for one in factors[:-2]):
        raise ValueError(f"its scales are {factors}; batch and channels stay as they are")
    both = list(factors[-2:])
    if None in source:
        return both, ()
    goals = tuple(math.floor(size * scale) for size, scale in zip(source, both, strict=True))
    return both, goals


def _candidates(mode: str, source: Any, target: Any, any_size: bool) -> Any:
    """Yield layers, (class, options), that may compute the same."""
    words = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    if mode not in words or min(target) < 1:
        raise ValueError(f"its mode is {mode!r}, to {target} pixels")
    whole = all(goal % size == 0 for size, goal in zip(source, target, strict=True))
    if mode != "cubic" and whole:
        size = tuple(goal // size for size, goal in zip(source, target, strict=True))
        yield layers.UpSampling2D, {"size": size, "interpolation": words[mode]}
    if not any_size:
        options = {"height": target[0], "width": target[1], "interpolation": words[mode]}
        yield layers.Resizing, options


def _own_matrices(kind: Any, options: Any, source: Any, target: Any) -> list[np.ndarray]:
    return [
        axis_matrix(size, goal, Window(0, size), options["interpolation"], False)
        for size, goal in zip(source, target, strict=True)
    ]


def _matrix(named: Any, mode: str, size: int, target: int, scale: float) -> np.ndarray:
    """Return what ONNX's Resize does along an axis, (target, size)."""
    if named.get("antialias", 0) or size * target > _LARGEST_MATRIX:
        raise ValueError(f"its antialias is 1, or it makes {target} pixels of {size}")
    x = _coordinates(named, size, target, scale)
    matrix = np.zeros((target, size))
    rows = np.arange(target)
    if mode == "nearest":
        np.add.at(matrix, (rows, np.clip(_nearest(named, x), 0, size - 1)), 1)
        return matrix
    first = np.floor(x).astype(int)
    share = x - first
    weights = {0: 1 - share, 1: share}
    if mode == "cubic":
        a = named.get("cubic_coeff_a", -0.75)
        weights = {tap: _cubic(np.abs(share - tap), a) for tap in (-1, 0, 1, 2)}
    for tap, weight in weights.items():
        place = first + tap
        if named.get("exclude_outside", 0):
            weight = np.where((place < 0) | (place >= size), 0, weight)
        np.add.at(matrix, (rows, np.clip(place, 0, size - 1)), weight)
    sums = matrix.sum(axis=1, keepdims=True)
    return np.asarray(matrix / np.where(sums == 0, 1, sums))


def _coordinates(named: Any, size: int, target: int, scale: float) -> np.ndarray:
    """Return where each pixel of the result lies in the image."""
    i = np.arange(target)
    how = named.get("coordinate_transformation_mode", "half_pixel")
    if how == "asymmetric":
        return i / scale
    if how == "half_pixel" or (how == "pytorch_half_pixel" and target > 1):
        return (i + 0.5) / scale - 0.5
    if how == "align_corners" and target > 1:
        return i * (size - 1) / (target - 1)
    if how in ("pytorch_half_pixel", "align_corners"):
        return np.zeros(target)
    raise ValueError(f"its coordinate_transformation_mode is {how!r}")


def _nearest(named: Any, x: np.ndarray) -> np.ndarray:
    how = named.get("nearest_mode", "round_prefer_floor")
    rounded = {
        "floor": np.floor(x),
        "ceil": np.ceil(x),
        "round_prefer_floor": np.ceil(x - 0.5),
        "round_prefer_ceil": np.floor(x + 0.5),
    }
    if how not in rounded:
        raise ValueError(f"its nearest_mode is {how!r}")
    chosen: np.ndarray = rounded[how].astype(int)
    return chosen


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    """Return Keys's kernel."""
    inner = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    outer = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance < 1, inner, np.where(distance < 2, outer, 0))


HANDLERS = {
    "ReduceMax": _mean_or_maximum(layers.MaxPooling2D, layers.GlobalMaxPooling2D),
    "ReduceMean": _mean_or_maximum(layers.AveragePooling2D, layers.GlobalAveragePooling2D),
    "Resize": _resize,
    "Upsample": _resize,
}
