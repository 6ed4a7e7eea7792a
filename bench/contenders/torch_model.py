"""PyTorch in the models' comparison: eager or compiled, contiguous or channels_last."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..spec import LayerSpec, ModelTask
from .base import ModelContender

OPTIMIZER_STEPS = 3


class TorchModel(ModelContender):
    """The standard training loop, and `torch.inference_mode`, over an `nn.Sequential`."""

    def __init__(
        self, *, threads: int, channels_last: bool = False, compiled: bool = False, **options: Any
    ) -> None:
        super().__init__(threads=threads, **options)
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.compiled = compiled

    def build(self, task: ModelTask) -> None:
        channels_last = self.format is torch.channels_last
        body: list[nn.Module] = []
        for spec, weights in task.weights_of(channels_first=not channels_last):
            body += _modules(spec, weights, channels_last)
        self.sigmoid = task.layers[-1].activation == "sigmoid"
        self.module = nn.Sequential(*body).to(memory_format=self.format)
        self.saved = [parameter.detach().clone() for parameter in self.module.parameters()]
        # One copy of the weights is enough: peak memory is compared.
        self.task = replace(task, weights=())
        self.notes = ""

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        model = nn.Sequential(self.module, nn.Sigmoid()) if self.sigmoid else self.module
        model.eval()
        run = torch.compile(model) if self.compiled and self.mode == "predict" else model
        images = self._images(x)

        def predict() -> np.ndarray:
            with torch.inference_mode():
                return run(images).numpy()

        return predict

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        self.module.train()
        run = torch.compile(self.module) if self.compiled else self.module
        images, labels = self._images(x), torch.from_numpy(y).reshape(-1, 1)
        criterion = nn.BCEWithLogitsLoss()
        optimizer, self.notes = fastest_optimizer(
            list(self.module.parameters()), self.task.optimizer, self.task.learning_rate
        )

        def step() -> float:
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(run(images), labels)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def reset_weights(self) -> None:
        with torch.no_grad():
            for parameter, saved in zip(self.module.parameters(), self.saved, strict=True):
                parameter.copy_(saved)

    def facts(self) -> dict[str, Any]:
        """Return which form of the optimizer was fastest."""
        return {"notes": self.notes}

    def _images(self, x: np.ndarray) -> torch.Tensor:
        images = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)
        return images.clone(memory_format=self.format)


class FlattenNHWC(nn.Module):
    """Flatten (batch, channels, rows, columns) with channels last: no copy where they are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def _modules(spec: LayerSpec, weights: list[np.ndarray], channels_last: bool) -> list[nn.Module]:
    """Return a layer as modules; the sigmoid at the end is left to the loss."""
    if spec.kind == "conv":
        modules = [convolution(spec, weights)]
    elif spec.kind == "max_pool":
        modules = [nn.MaxPool2d(spec.size, spec.strides, symmetric(spec))]
    elif spec.kind == "flatten":
        modules = [FlattenNHWC() if channels_last else nn.Flatten()]
    elif spec.kind == "dropout":
        modules = [nn.Dropout(spec.rate)]
    else:
        modules = [_dense(spec, weights)]
    if spec.activation == "relu":
        modules.append(nn.ReLU())
    return modules


def symmetric(spec: LayerSpec) -> tuple[int, int]:
    """Return the padding as PyTorch takes it; raise ValueError if its sides differ."""
    if any(before != after for before, after in spec.padding):
        raise ValueError(f"padding {spec.padding} differs between sides; PyTorch has no such layer")
    return spec.padding[0][0], spec.padding[1][0]


def convolution(spec: LayerSpec, weights: list[np.ndarray]) -> nn.Conv2d:
    """Return the convolution `spec` with `weights`, a kernel in HWIO and a bias if there is one."""
    module = nn.Conv2d(
        spec.input_shape[2],
        spec.units,
        spec.size,
        spec.strides,
        symmetric(spec),
        groups=spec.groups,
        bias=len(weights) > 1,
    )
    assign(module.weight, weights[0].transpose(3, 2, 0, 1))
    if len(weights) > 1:
        assign(module.bias, weights[1])
    return module


def _dense(spec: LayerSpec, weights: list[np.ndarray]) -> nn.Linear:
    module = nn.Linear(spec.input_shape[-1], spec.units, bias=len(weights) > 1)
    assign(module.weight, weights[0].T)
    if len(weights) > 1:
        assign(module.bias, weights[1])
    return module


def assign(parameter: torch.Tensor, array: np.ndarray) -> None:
    """Copy an array into a tensor of its shape."""
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def fastest_optimizer(
    parameters: list[nn.Parameter], name: str, learning_rate: float
) -> tuple[torch.optim.Optimizer, str]:
    """Return Keras's optimizer `name` in PyTorch's fastest form here, and which form that is."""
    options = {"lr": learning_rate, "eps": 1e-7}
    if name == "adam":
        factory, forms = torch.optim.Adam, [{"foreach": False}, {"foreach": True}, {"fused": True}]
    elif name == "rmsprop":
        factory, forms = torch.optim.RMSprop, [{"foreach": False}, {"foreach": True}]
        options["alpha"] = 0.9
    else:
        raise ValueError(f"bench: no PyTorch twin of the optimizer {name!r}")
    seconds = {}
    for index, form in enumerate(forms):
        copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
        for copy in copies:
            copy.grad = torch.randn_like(copy)
        optimizer = factory(copies, **options, **form)
        optimizer.step()
        start = time.perf_counter()
        for _ in range(OPTIMIZER_STEPS):
            optimizer.step()
        seconds[index] = time.perf_counter() - start
    form = forms[min(seconds, key=seconds.__getitem__)]
    plain = "for-loop" if not any(form.values()) else next(iter(form))
    return factory(parameters, **options, **form), f"{factory.__name__} {plain}"
