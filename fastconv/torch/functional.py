"""fastconv's operations on tensors, with gradients; what it does not compute PyTorch does."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import arrays, operators

Pair = Any
"""An int or a pair of them, rows first."""


def conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Pair = 1,
    padding: Any = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Return what `torch.nn.functional.conv2d` does for these arguments, in channels_last.

    x: (batch, channels, rows, columns), weight: (filters, channels / groups, rows, columns),
    float32 or float64 on the CPU.  A channels_last x is read where it is, another is copied; the
    result is a channels_last tensor.  Other dtypes and devices are PyTorch's.

    Raises ValueError for shapes and options that do not fit.
    """
    tensors = (x, weight) if bias is None else (x, weight, bias)
    if not _is_ours(tensors):
        return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)
    sides = _sides(padding, weight, stride, dilation)
    options = (*_pair(stride, "stride"), *sides, *_pair(dilation, "dilation"), groups)
    if not _is_eager(tensors):
        pairs = options[:2], options[2:6], options[6:8]
        return torch.ops.fastconv.conv2d(x, weight, bias, *map(list, pairs), groups)
    if _learns(tensors):
        return _Conv2d.apply(x, weight, bias, options)
    return operators.convolved(x, weight, bias, options)


def conv2d_relu_pool(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Pair = 1,
    padding: Any = 0,
) -> torch.Tensor:
    """Return max_pool2d(relu(conv2d(x, weight, bias)), 2) in one pass, in channels_last.

    The pooling has windows of 2x2, two pixels apart.  The arguments are those of `conv2d`.
    """
    tensors = (x, weight) if bias is None else (x, weight, bias)
    if not _is_ours(tensors):
        y = functional.conv2d(x, weight, bias, stride, padding)
        return functional.max_pool2d(functional.relu(y), 2)
    options = (*_pair(stride, "stride"), *_sides(padding, weight, stride, 1))
    if not _is_eager(tensors):
        pairs = map(list, (options[:2], options[2:]))
        return torch.ops.fastconv.conv2d_relu_pool(x, weight, bias, *pairs)[0]
    if _learns(tensors):
        return _Conv2dReluPool.apply(x, weight, bias, options)
    return operators.convolved_and_pooled(x, weight, bias, options, learns=False)[0]


def max_pool2d(
    x: torch.Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> torch.Tensor:
    """Return what `torch.nn.functional.max_pool2d` does for these arguments, in channels_last.

    x: (batch, channels, rows, columns), float32 or float64 on the CPU; others are PyTorch's.
    """
    size = _pair(kernel_size, "kernel_size")
    given = size if stride is None or stride == [] else _pair(stride, "stride")
    margins = _pair(padding, "padding")
    if any(2 * margin > length for margin, length in zip(margins, size, strict=True)):
        raise ValueError(
            f"max_pool2d: padding is {padding!r}; it must be at most half of kernel_size, "
            f"{kernel_size!r}"
        )
    options = (*size, *given, *margins, *_pair(dilation, "dilation"), bool(ceil_mode))
    if not _is_ours((x,)):
        return functional.max_pool2d(
            x, size, given, margins, _pair(dilation, "dilation"), ceil_mode
        )
    if not _is_eager((x,)):
        pairs = [list(options[place : place + 2]) for place in (0, 2, 4, 6)]
        return torch.ops.fastconv.max_pool2d(x, *pairs, bool(ceil_mode))
    if _learns((x,)):
        return _MaxPool2d.apply(x, options)
    return operators.pooled(x, options)


class _Conv2d(torch.autograd.Function):
    """The convolution without a dispatcher's time; the operator is for who compiles."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, options: tuple[int, ...]) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.options, ctx.has_bias = options, bias is not None
        return operators.convolved(x, weight, bias, options)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        dx, dweight, dbias = operators.convolution_gradients(dy, x, weight, ctx.options)
        return dx, dweight, dbias if ctx.has_bias else None, None


class _Conv2dReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, options: tuple[int, ...]) -> torch.Tensor:
        y, places = operators.convolved_and_pooled(x, weight, bias, options, learns=True)
        ctx.save_for_backward(x, weight)
        ctx.places, ctx.options, ctx.has_bias = places, options, bias is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        gradients = operators.pooled_gradients(dy, ctx.places, x, weight, ctx.options)
        return (*gradients[:2], gradients[2] if ctx.has_bias else None, None)


class _MaxPool2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, options: tuple[int, ...]) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.options = options
        return operators.pooled(x, options)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        return operators.pooling_gradient(dy, x, ctx.options), None


def _is_ours(tensors: tuple[Any, ...]) -> bool:
    """Whether fastconv computes with such tensors; whoever else has them gets them from PyTorch."""
    first = tensors[0]
    if not isinstance(first, torch.Tensor) or first.ndim != 4:
        return False
    dtype = first.dtype
    if dtype is not torch.float32 and dtype is not torch.float64:
        return False
    for one in tensors:
        if one.dtype is not dtype or one.layout is not torch.strided or one.numel() == 0:
            return False
        if not one.is_cpu:
            return False
    return not torch.is_autocast_enabled("cpu")


def _is_eager(tensors: tuple[Any, ...]) -> bool:
    """Whether NumPy can look at the tensors: nobody traces or transforms the call."""
    for one in tensors:
        kind = type(one)
        if (kind is not torch.Tensor and kind is not torch.nn.Parameter) or one.is_neg():
            return False
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or arrays.is_transformed())


def _learns(tensors: tuple[Any, ...]) -> bool:
    """Whether a gradient may be asked for."""
    if torch.is_grad_enabled():
        for one in tensors:
            if one.requires_grad:
                return True
    return False


def _pair(value: Any, name: str) -> tuple[int, int]:
    if type(value) is int:
        return value, value
    pair = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(pair) == 1:
        pair *= 2
    if len(pair) != 2 or not all(type(one) is int for one in pair):
        raise ValueError(f"{name} is {value!r}; it must be an int or a pair of them, rows first")
    return pair[0], pair[1]


def _sides(padding: Any, weight: Any, stride: Any, dilation: Any) -> tuple[int, ...]:
    """Return the pixels (top, bottom, left, right) of PyTorch's padding."""
    if type(padding) is int:
        return padding, padding, padding, padding
    if padding == "valid":
        return 0, 0, 0, 0
    if padding != "same":
        rows, columns = _pair(padding, "padding")
        return rows, rows, columns, columns
    if _pair(stride, "stride") != (1, 1):
        raise ValueError(f"conv2d: padding='same' needs a stride of 1; stride is {stride!r}")
    sides: tuple[int, ...] = ()
    for size, step in zip(weight.shape[2:], _pair(dilation, "dilation"), strict=True):
        total = step * (size - 1)
        sides += (total // 2, total - total // 2)
    return sides
