"""Transposed convolution of fixed shapes: a convolution's directions in other roles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._core.geometry import conv2d_transpose_window
from ..._core.validation import positive_integer
from .convolution import Conv2DPlan
from .normalization import NormalizationPlan
from .scratch import Scratch


class Conv2DTransposePlan:
    """conv2d_transpose of an input of `input_shape` with a kernel of `kernel_shape`.

    The kernel is (rows, columns, filters / groups, channels).  It is a kernel by which a
    convolution leads from the output's shape to the input's: the output is the gradient of that
    convolution's input.  With `limit` above 0 it is clipped to 0 ... limit, and `backward` takes
    the gradient before it.  Raises ValueError, naming `owner`, for shapes that do not fit.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int, int],
        kernel_shape: tuple[int, int, int, int],
        *,
        strides: Any = 1,
        padding: Any = "valid",
        output_padding: Any = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        limit: float = 0.0,
        dtype: Any = np.float32,
        owner: str = "conv2d_transpose",
    ) -> None:
        groups = positive_integer(groups, "groups", owner)
        images, height, width, channels = input_shape
        if min(kernel_shape) < 1:
            raise ValueError(f"{owner}: kernel has shape {tuple(kernel_shape)}; no size may be 0")
        if min(height, width) < 1:
            raise ValueError(f"{owner}: the input {tuple(input_shape[1:])} has no pixels")
        if kernel_shape[3] != channels:
            raise ValueError(
                f"{owner}: kernel {tuple(kernel_shape)} takes {kernel_shape[3]} channels, but the "
                f"input has {channels}; its last two axes are filters, channels"
            )
        if channels % groups:
            raise ValueError(f"{owner}: groups={groups} does not divide {channels} input channels")
        size, pads = conv2d_transpose_window(
            (height, width),
            (kernel_shape[0], kernel_shape[1]),
            strides,
            padding,
            output_padding,
            dilation_rate,
            owner=owner,
        )
        self.output_shape = (images, *size, kernel_shape[2] * groups)
        self._convolution = Conv2DPlan(
            self.output_shape,
            kernel_shape,
            strides=strides,
            padding=pads,
            dilation_rate=dilation_rate,
            groups=groups,
            transposed_limit=limit,
            dtype=dtype,
            owner=owner,
        )
        self._sums: NormalizationPlan | None = None
        self._scratch = Scratch(dtype)

    def forward(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> None:
        """Write [clipped](conv2d_transpose(x, kernel) + bias) to `out`."""
        if out.size:
            self._convolution.input_gradient(x, kernel, out, bias)

    def backward(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
    ) -> None:
        """Write the gradients of sum(dy * conv2d_transpose(x, kernel, bias)).

        dx and dbias may be None.
        """
        if not dy.size:
            for gradient in (dx, dkernel, dbias):
                if gradient is not None:
                    gradient.fill(0)
            return
        self._convolution.kernel_gradient(x, dy, dkernel)
        if dbias is not None:
            self._sum_pixels(dy.reshape(-1, dy.shape[3]), dbias)
        if dx is not None:
            self._convolution.forward(dy, kernel, None, dx)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return what `Conv2DPlan.describe` does, of the transposed convolution's directions."""
        directions = self._convolution.describe()
        return {
            "output": directions["input_gradient"],
            "input_gradient": directions["output"],
            "kernel_gradient": directions["kernel_gradient"],
        }

    def _sum_pixels(self, rows: np.ndarray, out: np.ndarray) -> None:
        if rows.dtype != np.float32:
            rows.sum(axis=0, out=out)
            return
        if self._sums is None:
            self._sums = NormalizationPlan(*rows.shape)
            self._sums.set_affine(np.zeros(1), np.ones(1), 0.0)
        out[...] = self._sums.sums(rows, rows)[0]
