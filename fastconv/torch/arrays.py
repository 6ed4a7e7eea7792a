"""Tensors (batch, channels, rows, columns) as arrays (batch, rows, columns, channels), and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

_IMAGES = (0, 2, 3, 1)
_CHANNELS_FIRST = (0, 3, 1, 2)
_KERNEL = (2, 3, 1, 0)
_FILTERS_FIRST = (3, 2, 0, 1)


def is_plain(tensor: torch.Tensor, dtype: torch.dtype | None = None) -> bool:
    """Whether a tensor is plain memory of this machine that NumPy can look at."""
    return (
        (type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter)
        and tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and (dtype is None or tensor.dtype is dtype)
        and not tensor.is_neg()
    )


_functorch: Any = getattr(torch._C, "_functorch", None)


def is_transformed() -> bool:
    """Whether torch.func transforms the call, by other means than autograd."""
    return _functorch is not None and _functorch.peek_interpreter_stack() is not None


def images_of(tensor: torch.Tensor) -> np.ndarray:
    """Return the images as a C-contiguous array, of the tensor's memory if that is channels_last.

    NumPy copies others: PyTorch's threads would go on spinning beside fastconv's.
    """
    images = tensor.detach().numpy().transpose(_IMAGES)
    return images if images.flags.carray else np.ascontiguousarray(images)


def tensor_of(images: np.ndarray) -> torch.Tensor:
    """Return images as a channels_last tensor of their memory."""
    return torch.from_numpy(images).permute(_CHANNELS_FIRST)


def copy_of(images: np.ndarray, channels_last: bool) -> torch.Tensor:
    """Return images as a tensor of its own memory, in this or PyTorch's usual order."""
    if channels_last:
        return tensor_of(images.copy())
    return torch.from_numpy(images.transpose(_CHANNELS_FIRST).copy(order="C"))


def is_channels_last(tensor: torch.Tensor) -> bool:
    """Whether PyTorch would give an operation's result in channels_last for this tensor."""
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def kernel_of(weight: torch.Tensor) -> np.ndarray:
    """Return a weight's memory, seen as (rows, columns, channels / groups, filters)."""
    kernel: np.ndarray = weight.detach().numpy()
    return kernel.transpose(_KERNEL) if kernel.ndim == 4 else kernel


def kernel_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the kernel that a weight of `shape` is."""
    return tuple([shape[axis] for axis in _KERNEL]) if len(shape) == 4 else shape


def weight_of(kernel: np.ndarray) -> torch.Tensor:
    """Return a kernel, or a vector, as a new tensor in PyTorch's order."""
    seen = kernel.transpose(_FILTERS_FIRST) if kernel.ndim == 4 else kernel
    return torch.from_numpy(seen.copy(order="C"))
