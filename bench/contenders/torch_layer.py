"""PyTorch in the sweep: eager modules, contiguous and channels_last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ..cases import Case
from .layer_data import BACKWARD, FORWARD, Arrays, arrays, sample, seconds_of, undecided

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class TorchLayer:
    """Forward in `inference_mode`; backward by `autograd.grad` over a graph that is kept."""

    def __init__(self, *, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.operations: dict[str, Callable[[], Any]] = {}

    def prepare(self, case: Case) -> dict[str, Any]:
        """Return samples of output and gradients, and the seconds of a second call.

        "undecided" says which outputs' gradients are taken as 0.
        """
        self.operations.clear()
        data = arrays(case)
        near_ties = undecided(case, _sums(case, data))
        data.dy.reshape(-1)[near_ties] = 0
        samples: dict[str, Any] = {}
        for name, memory_format in FORMATS.items():
            forward, backward = _operations(case, data, memory_format)
            self.operations[f"{FORWARD} {name}"] = forward
            self.operations[f"{BACKWARD} {name}"] = backward
            if not samples:
                samples = _samples(case, forward(), backward())
        seconds = seconds_of(self.operations)
        return {"samples": samples, "seconds": seconds, "undecided": near_ties}

    def restore(self) -> None:
        """Nothing changes."""


def _operations(
    case: Case, data: Arrays, memory_format: torch.memory_format
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    module = _module(case, data).to(memory_format=memory_format)
    x = _images(data.x, memory_format)
    dy = _images(data.dy, memory_format)
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_(case.input_gradient)
    wanted = [*([leaf] if case.input_gradient else []), *module.parameters()]
    y = module(leaf)

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return module(x)

    def backward() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(y, wanted, dy, retain_graph=True)

    return forward, backward


def _sums(case: Case, data: Arrays) -> np.ndarray:
    """Return the convolution's output before ReLU and pooling, NHWC."""
    convolution = _module(case, data)[0]
    with torch.inference_mode():
        return convolution(_images(data.x, torch.contiguous_format)).permute(0, 2, 3, 1).numpy()


def _module(case: Case, data: Arrays) -> nn.Sequential:
    convolution = nn.Conv2d(
        case.channels, case.filters, case.kernel, case.stride, case.padding, groups=case.groups
    )
    with torch.no_grad():
        convolution.weight.copy_(torch.from_numpy(data.kernel).permute(3, 2, 0, 1))
        convolution.bias.copy_(torch.from_numpy(data.bias))
    modules: list[nn.Module] = [convolution]
    if case.relu:
        modules.append(nn.ReLU())
    if case.pool is not None:
        modules.append(nn.MaxPool2d(*case.pool))
    return nn.Sequential(*modules)


def _images(array: np.ndarray, memory_format: torch.memory_format) -> torch.Tensor:
    return torch.from_numpy(array).permute(0, 3, 1, 2).clone(memory_format=memory_format)


def _samples(case: Case, y: torch.Tensor, gradients: tuple[torch.Tensor, ...]) -> dict[str, Any]:
    """Return samples by the names that fastconv's twin uses, in fastconv's layouts."""
    samples = {"output": sample(y.permute(0, 2, 3, 1).numpy())}
    *dx, dkernel, dbias = gradients
    if dx:
        samples["dx"] = sample(dx[0].permute(0, 2, 3, 1).numpy())
    samples["dkernel"] = sample(dkernel.permute(2, 3, 1, 0).numpy())
    samples["dbias"] = sample(dbias.numpy())
    return samples
