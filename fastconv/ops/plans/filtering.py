"""One 2-D filter over one image of fixed shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core.geometry import conv2d_window
from .convolution import Conv2DPlan
from .depthwise import DepthwisePlan
from .scratch import Scratch
from .select import Problem

LEAST_PIXELS = 2**11
"""Of an image of one channel that is filtered in vectors along its rows: the depthwise kernels lay
out tables first.  Beside one panel of which one lane is used they are three to seven times as fast,
and sum in the same order."""


class Filter2DPlan:
    """Each of the channels of a (rows, columns, channels) image with a filter of `size`."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        size: tuple[int, int],
        *,
        padding: Any = "valid",
        dtype: Any = np.float32,
        owner: str = "filter2d",
    ) -> None:
        rows, columns, channels = image_shape
        images, kernels = (1, *image_shape), (*size, 1, channels)
        window, groups = conv2d_window(images, kernels, 1, padding, 1, channels, owner=owner)
        self.output_shape = (window.rows.output, window.columns.output, channels)
        self._kernel_shape = kernels
        self._scratch = Scratch(dtype)
        self._plan: Conv2DPlan | DepthwisePlan
        if channels == 1 and rows * columns >= LEAST_PIXELS:
            self._plan = DepthwisePlan(Problem(images, kernels, window, groups, np.dtype(dtype)))
        else:
            self._plan = Conv2DPlan(
                images, kernels, padding=padding, groups=channels, dtype=dtype, owner=owner
            )

    def forward(self, image: np.ndarray, kernel: np.ndarray, out: np.ndarray) -> None:
        """Write the filtered image to `out`; `kernel` has the filter's shape."""
        if not out.size:
            return
        weights = self._scratch("kernel", *self._kernel_shape)
        weights[...] = kernel[:, :, np.newaxis, np.newaxis]
        self._plan.forward(image[np.newaxis], weights, None, out[np.newaxis])
