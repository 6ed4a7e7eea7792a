"""Images resampled, changed in value and normalized, a whole batch at once."""

from __future__ import annotations

import numpy as np

from .._core import runtime
from .._core.memory import contiguous
from .._core.validation import expect_shape

_kernels = runtime.kernels.augment
FILL_MODES = tuple(_kernels.FILL_MODES)
_OWNER = "transform_images"
LARGEST_IMAGE = 2**31 - 1
"""Pixels, with a border of one, that the kernel can number."""


def transform_images(
    source: np.ndarray,
    rows: np.ndarray,
    matrices: np.ndarray,
    *,
    shifts: np.ndarray | None = None,
    gains: np.ndarray | None = None,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    factor: np.ndarray | float = 1.0,
    offset: np.ndarray | float = 0.0,
    center: bool = False,
    scale: bool = False,
    epsilon: float = 0.0,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
) -> np.ndarray:
    """Return images of `source`, interpolated linearly and changed, as float32.

    In this order: geometry; `shifts` added, within each image's own range; `gains` multiplied,
    within 0-255 (or the image's own range where it leaves that); `factor` and `offset`; each
    image's mean subtracted (`center`), and divided by its standard deviation plus `epsilon`
    (`scale`).

    Args:
        source: (m, height, width, channels), uint8 or float32.
        rows: (n,), which images of `source`; any order, repeats allowed.
        matrices: (n, 2, 3) float64: output (x, y, 1) to source (x, y).
        shifts, gains: (n,) float; None changes nothing.
        fill_mode: "nearest", "reflect" (cba|abc|cba), "wrap" or "constant",
            whose value is `cval`.
        factor, offset: one number or one per channel.
        out: (n, height, width, channels) float32, C-contiguous and aligned; allocated if None.
        num_threads: None takes fastconv's number; the result is the same.

    Raises:
        TypeError: `source` is neither uint8 nor float32, or `out` not float32.
        ValueError: a shape does not fit, a row is not in `source`, a matrix is not finite, or
            `fill_mode` is not one of those above.
    """
    rows, matrices = contiguous(rows, np.int64), contiguous(matrices, np.float64)
    _check(source, rows, matrices, fill_mode)
    count, (height, width, channels) = len(rows), source.shape[1:]
    out = _output((count, height, width, channels), out)
    if not out.size:
        return out
    threads = runtime.get_num_threads() if num_threads is None else num_threads
    threads = max(1, min(threads, count))
    images = contiguous(source), rows, matrices.reshape(count, 6)
    changes = _column(shifts, 0.0, count, "shifts"), _column(gains, 1.0, count, "gains")
    outside = _kernels.FILL_MODES[fill_mode], cval
    levels = _channel_values(factor, offset, channels)
    scratch = np.empty((threads, _kernels.scratch_size(height, width, channels)), np.float32)
    center |= scale
    _kernels.transform(
        *images, *changes, *outside, levels, center, scale, epsilon, scratch, out, threads
    )
    return out


def _check(source: np.ndarray, rows: np.ndarray, matrices: np.ndarray, fill_mode: str) -> None:
    if source.dtype not in (np.uint8, np.float32) or source.ndim != 4:
        raise TypeError(
            f"{_OWNER}: source is {source.dtype} of shape {source.shape}; uint8 or float32 of "
            "(images, height, width, channels) is accepted"
        )
    if fill_mode not in FILL_MODES:
        raise ValueError(
            f"{_OWNER}: fill_mode is {fill_mode!r}; one of {', '.join(map(repr, FILL_MODES))} is "
            "accepted"
        )
    if (source.shape[1] + 2) * (source.shape[2] + 2) > LARGEST_IMAGE:
        raise ValueError(
            f"{_OWNER}: source has shape {source.shape}; its images must have no more than "
            f"{LARGEST_IMAGE} pixels with their border"
        )
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(source)):
        raise ValueError(f"{_OWNER}: rows reach outside the {len(source)} images of source")
    expect_shape(matrices, (len(rows), 2, 3), "matrices", _OWNER)
    if not np.isfinite(matrices).all():
        raise ValueError(f"{_OWNER}: matrices hold values that are not finite")


def _output(shape: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    if out is None:
        return np.empty(shape, np.float32)
    expect_shape(out, shape, "out", _OWNER)
    if out.dtype != np.float32 or not (out.flags.c_contiguous and out.flags.aligned):
        raise TypeError(
            f"{_OWNER}: out is {out.dtype}; float32, C-contiguous and aligned, is accepted"
        )
    return out


def about_center(matrices: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return matrices (n, 2, 3) made to act about the pictures' centre; they are changed."""
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    matrices[:, :, 2] += center - matrices[:, :, :2] @ center
    return matrices


def pick_pixels(
    source: np.ndarray,
    rows: np.ndarray,
    matrices: np.ndarray,
    fill_mode: str,
    cval: float,
    out: np.ndarray,
) -> np.ndarray:
    """Write to `out` the images `rows` of `source`, each through its matrix, by nearest pixels.

    As `transform_images`, but no value is made that is not in the image (or `cval`): for masks
    whose numbers are names of things.
    """
    height, width, channels = source.shape[1:]
    y, x = np.arange(height)[:, np.newaxis] + 0.0, np.arange(width) + 0.0
    for row_of_source, matrix, target in zip(rows, matrices, out, strict=True):
        column, outside_columns = _nearest(matrix[0], x, y, width, fill_mode)
        row, outside_rows = _nearest(matrix[1], x, y, height, fill_mode)
        pixels = source[row_of_source].reshape(height * width, channels)
        target[...] = pixels[row * width + column]
        if fill_mode == "constant":
            target[outside_columns | outside_rows] = cval
    return out


def _nearest(
    line: np.ndarray, x: np.ndarray, y: np.ndarray, size: int, fill_mode: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns (or rows) that are read, in the picture, and which were outside."""
    exact = np.floor(line[0] * x + line[1] * y + (line[2] + 0.5))
    # What is too far away for an int is as well outside here.
    places = np.clip(exact, -(2.0**40), 2.0**40).astype(np.int64)
    outside = (places < 0) | (places >= size)
    if fill_mode == "reflect":
        places %= 2 * size
        places = np.minimum(places, 2 * size - 1 - places)
    elif fill_mode == "wrap":
        places %= size
    return np.clip(places, 0, size - 1), outside


def _column(values: np.ndarray | None, default: float, count: int, argument: str) -> np.ndarray:
    if values is None:
        return np.full(count, default, np.float32)
    values = contiguous(values, np.float32)
    expect_shape(values, (count,), argument, _OWNER)
    return values


def _channel_values(
    factor: np.ndarray | float, offset: np.ndarray | float, channels: int
) -> np.ndarray:
    values = np.zeros((4, channels), np.float32)
    values[0], values[1], values[2] = factor, offset, 1
    return values
