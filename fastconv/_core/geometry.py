"""Output shapes and padding of sliding windows, in one place.

Layers, operations and kernels' callers all take their numbers from here, so
that `build`, `call` and `backward` cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .validation import (
    is_integer,
    natural_pair,
    positive_integer,
    positive_pair,
    truth,
    wrong_value,
)

Pair = tuple[int, int]
Shape = tuple[int, int, int, int]
"""Of images, (batch, height, width, channels), or of a kernel."""

LARGEST = 1 << 24
"""Pixels that a padded side may have: far more than any image, far less than an int holds."""

LARGEST_SAMPLE = 1 << 30
"""Numbers that one sample's input, or one channel of its output, may have: 4 GB of them."""

LARGEST_ROW = 2**31 - 1
"""Values that a padded row of all channels may have: what the kernels' int holds."""


class Axis(NamedTuple):
    """One spatial axis of a sliding window, in pixels."""

    size: int
    window: int
    stride: int
    dilation: int
    before: int
    after: int
    output: int

    @property
    def extent(self) -> int:
        """The pixels from the window's first tap to its last."""
        return (self.window - 1) * self.dilation + 1

    @property
    def inside(self) -> float:
        """The share of all outputs' taps that read the image and not its padding."""
        offsets = [tap * self.dilation - self.before for tap in range(self.window)]
        return share_inside(offsets, self.output, self.stride, self.size)


class Window(NamedTuple):
    """A sliding window over the rows and the columns of an image."""

    rows: Axis
    columns: Axis

    @property
    def inside(self) -> float:
        """The share of all outputs' taps that read the image and not its padding."""
        return self.rows.inside * self.columns.inside

    @property
    def padded(self) -> bool:
        """Whether any pixel outside the image is read."""
        return any(axis.before or axis.after for axis in self)


def share_inside(offsets: Sequence[int], outputs: int, stride: int, size: int) -> float:
    """Return the share of `outputs` outputs' taps, at index * stride + offset, in [0, size)."""
    read = 0
    for offset in offsets:
        first = max(0, -(offset // stride))
        last = min(outputs - 1, (size - 1 - offset) // stride)
        read += max(0, last - first + 1)
    return read / (outputs * len(offsets)) if offsets else 1.0


def _axis(
    size: int, window: int, stride: int, dilation: int, pads: Pair, ceil_mode: bool = False
) -> Axis:
    """Return one axis of a window; its output is below 1 where the window does not fit.

    With `ceil_mode` a last window may end behind the padding; it begins in the image or before it.
    """
    axis = Axis(size, window, stride, dilation, *pads, output=0)
    room = sum(pads) + size - axis.extent
    output = room // stride + 1
    if ceil_mode and room % stride and output * stride < size + axis.before:
        output += 1
    return axis._replace(output=output)


def window2d(
    image: tuple[int, int],
    size: tuple[int, int],
    strides: Any,
    padding: Any,
    dilation: Any = 1,
    *,
    owner: str,
    what: str = "kernel",
    channels: int | None = None,
    ceil_mode: bool = False,
) -> Window:
    """Resolve strides, padding and dilation against an image of (height, width).

    `padding` is "valid", "same" (TensorFlow's: the output has ceil(size / stride)
    pixels and an odd pixel of padding goes to the bottom or right), an int, or
    ((top, bottom), (left, right)).  `ceil_mode` is PyTorch's: where the last stride does not
    come out even, one more window that begins in the image or in the padding before it.

    Raises ValueError, naming `owner`, if the window does not fit the image or the image
    has no pixels.
    """
    strides = positive_pair(strides, "strides", owner)
    dilation = positive_pair(dilation, "dilation_rate", owner)
    pads = _padding(image, size, strides, padding, dilation, owner)
    shape = tuple(image) if channels is None else (*image, channels)
    if min(image) < 1:
        raise ValueError(f"{owner}: the input {shape} has no pixels")
    window = Window(*map(_axis, image, size, strides, dilation, pads, (ceil_mode,) * 2))
    for axis in window:
        length = axis.before + axis.size + axis.after
        if max(length, axis.extent, axis.stride) > LARGEST:
            raise ValueError(
                f"{owner}: strides={strides}, padding={padding!r} and dilation_rate={dilation} "
                f"reach over more than {LARGEST} pixels; give smaller numbers"
            )
        values = length * (channels or 1)
        if axis is window.columns and values > LARGEST_ROW:
            raise ValueError(
                f"{owner}: a row of the input {shape} with padding={padding!r} has "
                f"{values} values; it must have at most {LARGEST_ROW}"
            )
        if axis.output < 1:
            raise ValueError(
                f"{owner}: {what} {tuple(size)} does not fit the input {shape} "
                f"with padding={padding!r}"
                + (f" and dilation_rate={dilation}" if dilation != (1, 1) else "")
            )
    if window.rows.output * window.columns.output > LARGEST_SAMPLE:
        raise ValueError(
            f"{owner}: padding={padding!r} makes an output of {window.rows.output} x "
            f"{window.columns.output} pixels; at most {LARGEST_SAMPLE} are computed"
        )
    return window


def conv2d_window(
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    strides: Any = 1,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    groups: Any = 1,
    *,
    owner: str = "conv2d",
) -> tuple[Window, int]:
    """Check a convolution's shapes and return its window and its number of groups.

    `input_shape` is (batch, height, width, channels), `kernel_shape` is
    (kernel height, kernel width, channels / groups, filters).
    """
    groups = positive_integer(groups, "groups", owner)
    channels, filters = input_shape[3], kernel_shape[3]
    if min(kernel_shape) < 1:
        raise ValueError(f"{owner}: kernel has shape {tuple(kernel_shape)}; no size may be 0")
    if channels % groups or filters % groups:
        raise ValueError(
            f"{owner}: groups={groups} does not divide {channels} input channels and "
            f"{filters} filters"
        )
    if kernel_shape[2] * groups != channels:
        raise ValueError(
            f"{owner}: kernel {tuple(kernel_shape)} takes {kernel_shape[2]} channels a group, "
            f"but the input has {channels} channels in {groups} group{'s' * (groups > 1)}"
        )
    window = window2d(
        (input_shape[1], input_shape[2]),
        (kernel_shape[0], kernel_shape[1]),
        strides,
        padding,
        dilation_rate,
        owner=owner,
        channels=channels,
    )
    return window, groups


def pool2d_window(
    input_shape: tuple[int, ...],
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
    dilation_rate: Any = 1,
    ceil_mode: Any = False,
    *,
    owner: str = "pool2d",
) -> Window:
    """Check a pooling's shapes and return its window; `strides` defaults to `pool_size`."""
    size = positive_pair(pool_size, "pool_size", owner)
    window = window2d(
        (input_shape[1], input_shape[2]),
        size,
        size if strides is None else strides,
        padding,
        dilation_rate,
        owner=owner,
        what="pool window",
        channels=input_shape[3],
        ceil_mode=truth(ceil_mode, "ceil_mode", owner),
    )
    for axis in window:
        if max(axis.before, axis.after) >= axis.extent:
            raise ValueError(
                f"{owner}: padding={padding!r} is as large as the pool window {size}; "
                "a window must hold at least one pixel of the image"
            )
        if _steps_over_the_image(axis):
            raise ValueError(
                f"{owner}: with dilation_rate={dilation_rate!r} and padding={padding!r} a pool "
                f"window {size} steps over the whole input {tuple(input_shape[1:])}; a window "
                "must hold at least one pixel of the image"
            )
    return window


def _steps_over_the_image(axis: Axis) -> bool:
    """Whether a window that begins before the image has no tap in it."""
    if axis.size >= axis.dilation:
        return False
    begun_before = min(-(-axis.before // axis.stride), axis.output, axis.dilation)
    starts = (number * axis.stride - axis.before for number in range(begun_before))
    return any(start % axis.dilation >= axis.size for start in starts)


def conv2d_transpose_window(
    image: Pair,
    size: Pair,
    strides: Any,
    padding: Any,
    output_padding: Any,
    dilation_rate: Any,
    *,
    owner: str = "conv2d_transpose",
) -> tuple[Pair, tuple[Pair, Pair]]:
    """Return a transposed convolution's output (rows, columns), and the padding around it.

    A convolution over that output with that padding, and the same kernel, strides and dilation,
    gives an image of the shape of the input `image`: of it the transposed one is the gradient.
    Sizes are Keras's; with an int or pairs of padding, PyTorch's.
    """
    strides = positive_pair(strides, "strides", owner)
    dilation = positive_pair(dilation_rate, "dilation_rate", owner)
    pads = _padding(image, size, strides, padding, dilation, owner)
    extra: tuple[int | None, int | None] = (None, None)
    if output_padding is not None:
        extra = natural_pair(output_padding, "output_padding", owner)
        if extra[0] >= strides[0] or extra[1] >= strides[1]:
            condition = f"below strides={strides} along both axes"
            raise wrong_value(output_padding, "output_padding", owner, condition)
    kind = padding.lower() if isinstance(padding, str) else ""
    (height, rows), (width, columns) = (
        _transposed_axis(
            image[axis], size[axis], strides[axis], dilation[axis], pads[axis], extra[axis], kind
        )
        for axis in (0, 1)
    )
    if min(height, width) < 1:
        raise ValueError(
            f"{owner}: padding={padding!r} leaves nothing of the output of kernel {tuple(size)} "
            f"over the input {tuple(image)}"
        )
    if max(height, width) > LARGEST or height * width > LARGEST_SAMPLE:
        raise ValueError(
            f"{owner}: strides={strides} and dilation_rate={dilation} make an output of {height} x "
            f"{width} pixels; at most {LARGEST} along an axis and {LARGEST_SAMPLE} are computed"
        )
    return (height, width), (rows, columns)


def _transposed_axis(
    size: int, window: int, stride: int, dilation: int, pads: Pair, extra: int | None, kind: str
) -> tuple[int, Pair]:
    """Return the pixels of one axis of the output, and the padding before and after them."""
    extent = (window - 1) * dilation + 1
    reach = (size - 1) * stride + extent
    before, after = pads
    if kind == "same":
        output = size * stride
        if extra is not None:
            output = (size - 1) * stride + extent % 2 + extra
        # Of what is cut off, or added behind an output that is wider than what is reached, the
        # smaller half comes first.
        before = max((reach - output) // 2, 0)
    elif kind == "valid":
        output = reach + (max(stride - extent, 0) if extra is None else extra)
    else:
        output = reach - before - after + (extra or 0)
    return output, (before, max(reach - output - before, 0))


def plain_padding(padding: Any, argument: str, owner: str) -> Any:
    """Return `padding` as a string, an int or pairs of ints, or raise what a window would."""
    pads = _padding((1, 1), (1, 1), (1, 1), padding, (1, 1), owner)
    if isinstance(padding, str):
        return padding
    return int(padding) if is_integer(padding) else pads


def _padding(
    image: Pair, size: Pair, strides: Pair, padding: Any, dilation: Pair, owner: str
) -> tuple[Pair, Pair]:
    if isinstance(padding, str):
        if padding.lower() == "valid":
            return (0, 0), (0, 0)
        if padding.lower() == "same":
            rows, columns = zip(image, size, strides, dilation, strict=True)
            return _same(*rows), _same(*columns)
    elif is_integer(padding) and padding >= 0:
        both = (int(padding), int(padding))
        return both, both
    else:
        try:
            (top, bottom), (left, right) = padding
        except (TypeError, ValueError):
            pass
        else:
            numbers = (top, bottom, left, right)
            if all(is_integer(number) and number >= 0 for number in numbers):
                return (int(top), int(bottom)), (int(left), int(right))
    condition = "'valid', 'same', a whole number of at least 0 or ((top, bottom), (left, right))"
    raise wrong_value(padding, "padding", owner, condition)


def _same(size: int, window: int, stride: int, dilation: int) -> tuple[int, int]:
    output = -(-size // stride)
    total = max((output - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
