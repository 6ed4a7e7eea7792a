"""PyTorch in the sweep of operations: contiguous and channels_last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..cases import Case
from ..ops_cases import FilterCase, PoolCase, numbers
from .layer_data import BACKWARD, FORWARD, sample, seconds_of
from .torch_layer import FORMATS, TorchLayer, _images


class TorchOps(TorchLayer):
    """Forward in `inference_mode`; backward by `autograd.grad` over a graph that is kept."""

    def prepare(self, case: Any) -> dict[str, Any]:
        """Return samples of what is computed, and the seconds of a second call."""
        if isinstance(case, Case):
            return super().prepare(case)
        self.operations.clear()
        make = _pooling if isinstance(case, PoolCase) else _filtering
        samples: dict[str, Any] = {}
        for name, memory_format in FORMATS.items():
            made = make(case, memory_format)
            self.operations.update({f"{direction} {name}": made[direction] for direction in made})
            if not samples:
                for direction, what in ((FORWARD, "output"), (BACKWARD, "dx")):
                    if direction in made:
                        samples[what] = sample(_array(made[direction](), case))
        return {"samples": samples, "seconds": seconds_of(self.operations)}


def _array(found: Any, case: Any) -> np.ndarray:
    tensor = found[0] if isinstance(found, tuple) else found
    images: np.ndarray = tensor.permute(0, 2, 3, 1).numpy()
    return images.reshape(case.image_shape) if isinstance(case, FilterCase) else images


def _pooling(case: PoolCase, memory_format: Any) -> dict[str, Callable[[], Any]]:
    x = _images(numbers(case, case.batch, case.size, case.size, case.channels), memory_format)
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    window = case.window, case.stride, case.padding

    def pooled(images: torch.Tensor) -> torch.Tensor:
        if case.kind == "max":
            return functional.max_pool2d(images, *window)
        return functional.avg_pool2d(images, *window, count_include_pad=False)

    y = pooled(leaf)
    batch, channels, rows, columns = y.shape
    dy = _images(numbers(case, batch, rows, columns, channels), memory_format)

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return pooled(x)

    def backward() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(y, leaf, dy, retain_graph=True)

    return {FORWARD: forward, BACKWARD: backward}


def _filtering(case: FilterCase, memory_format: Any) -> dict[str, Callable[[], Any]]:
    image = np.atleast_3d(numbers(case, *case.image_shape))[np.newaxis]
    channels = image.shape[3]
    kernel = torch.from_numpy(numbers(case, case.kernel, case.kernel))
    weights = kernel.expand(channels, 1, *kernel.shape).contiguous(memory_format=memory_format)
    x = _images(image, memory_format)

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return functional.conv2d(x, weights, padding=case.kernel // 2, groups=channels)

    return {FORWARD: forward}
