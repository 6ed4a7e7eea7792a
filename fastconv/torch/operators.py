"""The operators of `torch.library`, `torch.ops.fastconv.*`, and what computes them with NumPy.

Options come flat, in the order of PyTorch's arguments; padding is (top, bottom, left, right).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .. import ops
from ..ops.kept_plans import Operation, plans
from ..ops.plans import ConvPoolPlan
from . import arrays

Options = tuple[Any, ...]
Gradients = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
_POOLED: Operation[ConvPoolPlan] = Operation(
    "conv2d_relu_pool", ConvPoolPlan, ("strides", "padding")
)


def convolved(x: Any, weight: Any, bias: Any, options: Options) -> torch.Tensor:
    """Return the convolution; options: stride, padding, dilation, groups."""
    y = ops.conv2d(
        arrays.images_of(x), _kernel(weight), _vector(bias), *_convolution_options(options)
    )
    return arrays.tensor_of(y)


def convolution_gradients(dy: Any, x: Any, weight: Any, options: Options) -> Gradients:
    """Return the gradients of the images, the weight and the bias."""
    dx, dkernel, dbias = ops.conv2d_backward(
        arrays.images_of(dy),
        arrays.images_of(x),
        _kernel(weight),
        *_convolution_options(options),
    )
    return arrays.tensor_of(dx), arrays.weight_of(dkernel), torch.from_numpy(dbias)


def convolved_and_pooled(
    x: Any, weight: Any, bias: Any, options: Options, *, learns: bool
) -> tuple[torch.Tensor, np.ndarray | None]:
    """Return the pooled ReLU of a convolution, and, if it `learns`, where the largest were."""
    images, kernel = arrays.images_of(x), _kernel(weight)
    kept = plans.take(_POOLED, (images.shape, kernel.shape), images.dtype, _pooled_options(options))
    shape = kept.plan.output_shape
    y, places = np.empty(shape, images.dtype), np.empty(shape, np.uint8) if learns else None
    kept.plan.forward(images, kernel, _vector(bias), y, places)
    plans.give_back(kept)
    return arrays.tensor_of(y), places


def pooled_gradients(
    dy: Any, places: np.ndarray, x: Any, weight: Any, options: Options
) -> Gradients:
    """Return the gradients of `convolved_and_pooled`."""
    images, kernel = arrays.images_of(x), _kernel(weight)
    kept = plans.take(_POOLED, (images.shape, kernel.shape), images.dtype, _pooled_options(options))
    dx, dkernel = np.empty_like(images), np.empty_like(kernel)
    dbias = np.empty(kernel.shape[3], images.dtype)
    kept.plan.backward(arrays.images_of(dy), places, images, kernel, dx, dkernel, dbias)
    plans.give_back(kept)
    return arrays.tensor_of(dx), arrays.weight_of(dkernel), torch.from_numpy(dbias)


def pooled(x: Any, options: Options) -> torch.Tensor:
    """Return the max pooling; options: kernel size, stride, padding of both sides, dilation..."""
    return arrays.tensor_of(ops.max_pool2d(arrays.images_of(x), *_pooling_options(options)))


def pooling_gradient(dy: Any, x: Any, options: Options) -> torch.Tensor:
    """Return the gradient of `pooled`."""
    size, strides, padding, dilation, ceil_mode = _pooling_options(options)
    images = arrays.images_of(dy), arrays.images_of(x)
    dx = ops.max_pool2d_backward(
        *images, size, strides, padding, dilation_rate=dilation, ceil_mode=ceil_mode
    )
    return arrays.tensor_of(dx)


def _kernel(weight: Any) -> np.ndarray:
    return np.ascontiguousarray(arrays.kernel_of(weight))


def _vector(bias: Any) -> np.ndarray | None:
    return None if bias is None else np.ascontiguousarray(bias.detach().numpy())


def _convolution_options(options: Options) -> Options:
    sides = (options[2], options[3]), (options[4], options[5])
    return options[:2], sides, options[6:8], options[8]


def _pooled_options(options: Options) -> Options:
    return options[:2], ((options[2], options[3]), (options[4], options[5]))


def _pooling_options(options: Options) -> Options:
    sides = (options[4], options[4]), (options[5], options[5])
    return options[:2], options[2:4], sides, options[6:8], options[8]


# The operators, for torch.compile, torch.export and others that look at an operation from outside.


def _channels_last(like: torch.Tensor, *shape: Any) -> torch.Tensor:
    batch, channels, rows, columns = shape
    return like.new_empty((batch, rows, columns, channels)).permute(0, 3, 1, 2)


def _reached(size: Any, kernel: int, stride: int, sides: Sequence[int], dilation: int) -> Any:
    return (size + sum(sides) - dilation * (kernel - 1) - 1) // stride + 1


def _output(x: torch.Tensor, weight: torch.Tensor, options: Options) -> list[Any]:
    return [
        _reached(
            x.shape[2 + axis],
            weight.shape[2 + axis],
            options[axis],
            options[2 + 2 * axis : 4 + 2 * axis],
            options[6 + axis],
        )
        for axis in (0, 1)
    ]


@torch.library.custom_op("fastconv::conv2d", mutates_args=(), device_types="cpu")
def _conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> torch.Tensor:
    return convolved(x, weight, bias, (*stride, *padding, *dilation, groups))


@_conv2d.register_fake
def _(x, weight, bias, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    size = _output(x, weight, (*stride, *padding, *dilation))
    return _channels_last(x, x.shape[0], weight.shape[0], *size)


@torch.library.custom_op("fastconv::conv2d_backward", mutates_args=(), device_types="cpu")
def _conv2d_backward(
    dy: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return convolution_gradients(dy, x, weight, (*stride, *padding, *dilation, groups))


@_conv2d_backward.register_fake
def _(dy, x, weight, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    return _fake_gradients(x, weight)


def _fake_gradients(x: torch.Tensor, weight: torch.Tensor) -> Gradients:
    return (
        _channels_last(x, *x.shape),
        weight.new_empty(weight.shape),
        x.new_empty(weight.shape[:1]),
    )


def _save_convolution(ctx: Any, inputs: Options, output: Any) -> None:
    x, weight, bias, *ctx.options = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(x, weight)


def _convolution_backward(ctx: Any, dy: torch.Tensor) -> Options:
    dx, dweight, dbias = torch.ops.fastconv.conv2d_backward(dy, *ctx.saved_tensors, *ctx.options)
    return dx, dweight, dbias if ctx.has_bias else None, *(None for _ in ctx.options)


_conv2d.register_autograd(_convolution_backward, setup_context=_save_convolution)


@torch.library.custom_op("fastconv::conv2d_relu_pool", mutates_args=(), device_types="cpu")
def _conv2d_relu_pool(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: list[int],
    padding: list[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    y, places = convolved_and_pooled(x, weight, bias, (*stride, *padding), learns=True)
    return y, torch.from_numpy(places)


@_conv2d_relu_pool.register_fake
def _(x, weight, bias, stride, padding):  # type: ignore[no-untyped-def]
    rows, columns = _output(x, weight, (*stride, *padding, 1, 1))
    filters = weight.shape[0]
    y = _channels_last(x, x.shape[0], filters, rows // 2, columns // 2)
    return y, x.new_empty((x.shape[0], rows // 2, columns // 2, filters), dtype=torch.uint8)


@torch.library.custom_op("fastconv::conv2d_relu_pool_backward", mutates_args=(), device_types="cpu")
def _conv2d_relu_pool_backward(
    dy: torch.Tensor,
    places: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: list[int],
    padding: list[int],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return pooled_gradients(dy, places.numpy(), x, weight, (*stride, *padding))


@_conv2d_relu_pool_backward.register_fake
def _(dy, places, x, weight, stride, padding):  # type: ignore[no-untyped-def]
    return _fake_gradients(x, weight)


def _save_pooled(ctx: Any, inputs: Options, output: Any) -> None:
    x, weight, bias, *ctx.options = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(output[1], x, weight)


def _pooled_backward(ctx: Any, dy: torch.Tensor, _: Any) -> Options:
    gradients = torch.ops.fastconv.conv2d_relu_pool_backward(dy, *ctx.saved_tensors, *ctx.options)
    dx, dweight, dbias = gradients
    return dx, dweight, dbias if ctx.has_bias else None, *(None for _ in ctx.options)


_conv2d_relu_pool.register_autograd(_pooled_backward, setup_context=_save_pooled)


@torch.library.custom_op("fastconv::max_pool2d", mutates_args=(), device_types="cpu")
def _max_pool2d(
    x: torch.Tensor,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
) -> torch.Tensor:
    return pooled(x, (*kernel_size, *stride, *padding, *dilation, ceil_mode))


@_max_pool2d.register_fake
def _(x, *options):  # type: ignore[no-untyped-def]
    y = torch.nn.functional.max_pool2d(x, *options)
    return _channels_last(x, *y.shape)


@torch.library.custom_op("fastconv::max_pool2d_backward", mutates_args=(), device_types="cpu")
def _max_pool2d_backward(
    dy: torch.Tensor,
    x: torch.Tensor,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
) -> torch.Tensor:
    return pooling_gradient(dy, x, (*kernel_size, *stride, *padding, *dilation, ceil_mode))


@_max_pool2d_backward.register_fake
def _(dy, x, kernel_size, stride, padding, dilation, ceil_mode):  # type: ignore[no-untyped-def]
    return _channels_last(x, *x.shape)


def _save_pooling(ctx: Any, inputs: Options, output: Any) -> None:
    x, *ctx.options = inputs
    ctx.save_for_backward(x)


def _pooling_backward(ctx: Any, dy: torch.Tensor) -> Options:
    dx = torch.ops.fastconv.max_pool2d_backward(dy, *ctx.saved_tensors, *ctx.options)
    return dx, *(None for _ in ctx.options)


_max_pool2d.register_autograd(_pooling_backward, setup_context=_save_pooling)
