"""The same operations in PyTorch, in float64, with gradients by its automatic differentiation.

Importing this module raises ImportError where PyTorch is not installed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from fastconv._core.geometry import conv2d_window, pool2d_window

# On small arrays, threads of two libraries would mostly wait for each other.
torch.set_num_threads(1)


def _leaf(array):
    return torch.tensor(np.array(array, np.float64), requires_grad=True)


def _padded(x, window, value=0.0):
    (top, bottom), (left, right) = ((axis.before, axis.after) for axis in window)
    return functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom), value=value)


def _result(y, dy, leaves):
    y = y.permute(0, 2, 3, 1)
    y.backward(torch.tensor(np.array(dy, np.float64)))
    return y.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


def conv2d(x, kernel, bias, dy, strides=1, padding="valid", dilation_rate=1, groups=1):
    """Return conv2d and the gradients (dx, dkernel, dbias)."""
    window, _ = conv2d_window(x.shape, kernel.shape, strides, padding, dilation_rate, groups)
    leaves = _leaf(x), _leaf(kernel), _leaf(bias)
    y = functional.conv2d(
        _padded(leaves[0], window),
        leaves[1].permute(3, 2, 0, 1).contiguous(),
        leaves[2],
        stride=[axis.stride for axis in window],
        dilation=[axis.dilation for axis in window],
        groups=groups,
    )
    return _result(y, dy, leaves)


def pool2d(kind, x, dy, pool_size=2, strides=None, padding="valid"):
    """Return max, average or L2 pooling and the gradient [dx]."""
    window = pool2d_window(x.shape, pool_size, strides, padding)
    size, stride = ([getattr(axis, name) for axis in window] for name in ("window", "stride"))
    leaf = _leaf(x)
    if kind == "max":
        y = functional.max_pool2d(_padded(leaf, window, -np.inf), size, stride)
    elif kind == "average":
        # The mean over the pixels that are there: two means over all, padding as 0.
        there = functional.avg_pool2d(_padded(torch.ones_like(leaf), window), size, stride)
        y = functional.avg_pool2d(_padded(leaf, window), size, stride) / there
    else:
        squares = functional.avg_pool2d(_padded(leaf, window) ** 2, size, stride)
        y = torch.sqrt(squares * size[0] * size[1])
    return _result(y, dy, [leaf])


def conv_pool(x, kernel, bias, dy):
    """Return max_pool2d(relu(conv2d), 2) and the gradients (dx, dkernel, dbias)."""
    leaves = _leaf(x), _leaf(kernel), _leaf(bias)
    sums = functional.conv2d(
        leaves[0].permute(0, 3, 1, 2), leaves[1].permute(3, 2, 0, 1).contiguous(), leaves[2]
    )
    return _result(functional.max_pool2d(functional.relu(sums), 2), dy, leaves)
