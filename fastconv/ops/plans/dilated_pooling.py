"""A window with a dilation as windows without one, each over a part of the image's pixels.

Along an axis of dilation d, a window that begins at pixel s has the pixels s, s + d, ...: those
of the image that are s modulo d, side by side once the others are left out.  With stride t the
windows that begin in the same remainder are every d / gcd(d, t)-th.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..._core.geometry import Axis, Window

Images = tuple[int, int, int, int]
Slices = tuple[slice, slice, slice]


def phases_of(
    window: Window, input_shape: Images
) -> Iterator[tuple[Slices, Slices, Images, Window]]:
    """Yield, for each phase, its pixels of x, its outputs, the shape of these pixels, its window.

    No pixel and no output is in two phases; each output is in one.
    """
    images, _, _, channels = input_shape
    everything = slice(None)
    for top, out_rows, rows in _axis_phases(window.rows):
        for left, out_columns, columns in _axis_phases(window.columns):
            yield (
                (everything, top, left),
                (everything, out_rows, out_columns),
                (images, rows.size, columns.size, channels),
                Window(rows, columns),
            )


def _axis_phases(axis: Axis) -> Iterator[tuple[slice, slice, Axis]]:
    together = math.gcd(axis.dilation, axis.stride)
    period = axis.dilation // together
    for number in range(min(period, axis.output)):
        start = number * axis.stride - axis.before
        # The first pixel that is read, or would be but for those of the padding.
        first = start if start >= 0 else start % axis.dilation
        outputs = -(-(axis.output - number) // period)
        part = Axis(
            size=-(-(axis.size - first) // axis.dilation),
            window=axis.window,
            stride=axis.stride // together,
            dilation=1,
            before=(first - start) // axis.dilation,
            after=0,
            output=outputs,
        )
        yield slice(first, None, axis.dilation), slice(number, None, period), part
