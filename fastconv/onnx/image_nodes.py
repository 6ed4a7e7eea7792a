"""Images of other sizes as ONNX nodes: margins, enlargements, resizing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.resampling import Window, axis_matrix, cropped, padded
from .writing import Value, Writer

_LARGEST = 2**63 - 1

# The modes of ONNX's Resize that all runtimes have, and compute as TensorFlow and fastconv do.
_MODES: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    "bilinear": {"mode": "linear"},
}


def padding(writer: Writer, layer: Any, value: Value) -> str:
    """Write a ZeroPadding2D."""
    (top, bottom), (left, right) = layer.padding
    pads = writer.integers([0, 0, top, left, 0, 0, bottom, right], "pads")
    return writer.node("Pad", [writer.first(value), pads])


def cropping(writer: Writer, layer: Any, value: Value) -> str:
    """Write a Cropping2D."""
    (top, bottom), (left, right) = layer.cropping
    return _cut(writer, writer.first(value), (top, left), (-bottom, -right))


def _cut(writer: Writer, name: str, starts: Any, ends: Any) -> str:
    """Write the part of images from `starts` to `ends`, which count from the end if below 1."""
    ends = [end if end else _LARGEST for end in ends]
    bounds = [writer.integers(part, "bounds") for part in (starts, ends, (2, 3))]
    return writer.node("Slice", [name, *bounds])


def up_sampling(writer: Writer, layer: Any, value: Value) -> str:
    """Write an UpSampling2D."""
    scales = writer.constant([1, 1, *layer.size], "scales")
    mode: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if layer.interpolation == "nearest":
        mode = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
        mode["nearest_mode"] = "floor"
    return writer.node("Resize", [writer.first(value), "", scales], **mode)


def resizing(writer: Writer, layer: Any, value: Value) -> str:
    """Write a Resizing: ONNX's own where it has one, else as products with matrices."""
    target = layer.height, layer.width
    stretches = not (layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio)
    if stretches and not layer.antialias and layer.interpolation in _MODES:
        name = writer.first(value)
        batch = writer.node("Shape", [name])
        ends = [writer.integers([n], "bounds") for n in (0, 2)]
        kept = writer.node("Slice", [batch, *ends])
        sizes = writer.node("Concat", [kept, writer.integers(target, "size")], axis=0)
        mode = _MODES[layer.interpolation]
        return writer.node(
            "Resize", [name, "", "", sizes], coordinate_transformation_mode="half_pixel", **mode
        )
    source = _source(layer, value)
    windows = Window(0, source[0]), Window(0, source[1])
    if not stretches:
        windows = (cropped if layer.crop_to_aspect_ratio else padded)(source, target)
    return _product(
        writer, value, target, windows, layer.interpolation, layer.antialias, layer.fill_value
    )


def center_crop(writer: Writer, layer: Any, value: Value) -> str:
    """Write a CenterCrop."""
    source = _source(layer, value)
    top, left = source[0] - layer.height, source[1] - layer.width
    if top < 0 or left < 0:
        return random_crop(writer, layer, value)
    top, left = top // 2, left // 2
    ends = (top + layer.height, left + layer.width)
    return _cut(writer, writer.first(value), (top, left), ends)


def random_crop(writer: Writer, layer: Any, value: Value) -> str:
    """Write what a RandomCrop does without training."""
    target = layer.height, layer.width
    return _product(writer, value, target, cropped(_source(layer, value), target))


def _source(layer: Any, value: Value) -> tuple[int, int]:
    """Return rows and columns of a layer's input."""
    _, height, width, _ = value.shape
    if height is None or width is None:
        raise ValueError(
            f"{layer.owner}: rows and columns of its input {value.shape} are not known; give Input "
            "every size to export the model"
        )
    return height, width


def _product(
    writer: Writer,
    value: Value,
    target: tuple[int, int],
    windows: tuple[Window, Window],
    interpolation: str = "bilinear",
    antialias: bool = False,
    fill_value: float = 0.0,
) -> str:
    """Write rows @ image @ columns."""
    _, height, width, _ = value.shape
    assert height is not None and width is not None  # `_source` has looked
    rows, columns = (
        axis_matrix(size, goal, window, interpolation, antialias)
        for size, goal, window in zip((height, width), target, windows, strict=True)
    )
    name = writer.node("MatMul", [writer.constant(rows, "rows"), writer.first(value)])
    name = writer.node("MatMul", [name, writer.constant(columns.T, "columns")])
    outside = fill_value * (1 - np.outer(rows.sum(axis=1), columns.sum(axis=1)))
    if np.any(np.abs(outside) > 1e-6 * abs(fill_value)):
        name = writer.node("Add", [name, writer.constant(outside, "outside")])
    return name
