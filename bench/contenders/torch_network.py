"""PyTorch in the networks' comparison: eager, channels_last, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import fusion

from ..graph import SPARSE, NetworkTask, Node
from .base import ModelContender
from .torch_model import assign, fastest_optimizer


class TorchNetwork(ModelContender):
    """The standard training loop, and `torch.inference_mode`, over an interpreter of nodes.

    What predicts has its batch normalizations folded by PyTorch's own `fuse_conv_bn_eval`; what
    is compiled is frozen too.
    """

    def __init__(
        self, *, threads: int, channels_last: bool = False, compiled: bool = False, **options: Any
    ) -> None:
        super().__init__(threads=threads, **options)
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.compiled = compiled

    def build(self, task: NetworkTask) -> None:
        self.module = Interpreter(task).to(memory_format=self.format)
        self.saved = [tensor.detach().clone() for tensor in self.module.state_dict().values()]
        self.notes = ""

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        self.module.eval()
        if self.mode == "train":
            run = self.module
        else:
            run = Interpreter(self.task, folded=True).to(memory_format=self.format).eval()
            if self.compiled:
                run = _frozen(run)
        images = images_of(x, self.format)

        def predict() -> np.ndarray:
            with torch.inference_mode():
                return run(images).numpy()

        return predict

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        self.module.train()
        logits = Logits(self.module)
        run = torch.compile(logits) if self.compiled else logits
        images = images_of(x, self.format)
        labels, criterion = _labels(y, self.task.loss)
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
            for tensor, saved in zip(self.module.state_dict().values(), self.saved, strict=True):
                tensor.copy_(saved)

    def facts(self) -> dict[str, Any]:
        """Return which form of the optimizer was fastest."""
        return {"notes": self.notes}


class Interpreter(nn.Module):
    """The nodes of a task as modules; images are (batch, channels, rows, columns).

    With `folded` batch normalizations are in the convolutions before them, where these have no
    other reader.
    """

    def __init__(self, task: NetworkTask, *, folded: bool = False) -> None:
        super().__init__()
        readers = task.readers()
        self.inputs = [node.inputs for node in task.nodes]
        self.kinds = [node.kind for node in task.nodes]
        self.spent = task.spent()
        modules = []
        for node in task.nodes:
            # In place where nobody else needs what goes in, as PyTorch's own networks have it.
            module = _module(
                node, task, in_place=readers[node.inputs[0]] == 1 and node.inputs[0] > 0
            )
            before = node.inputs[0] - 1
            if folded and node.kind == "batch_norm" and before >= 0 and readers[before + 1] == 1:
                module = _fold(modules, before, module)
            modules.append(module)
        self.steps = nn.ModuleList(modules)
        self.eval()

    def forward(self, x: torch.Tensor, logits: bool = False) -> torch.Tensor:
        """Return the output; with `logits` what goes into the activation at the end."""
        values: list[Any] = [x]
        last = len(self.steps) - 1
        for place, (kind, inputs, step) in enumerate(
            zip(self.kinds, self.inputs, self.steps, strict=True)
        ):
            if kind == "add":
                value = values[inputs[0]] + values[inputs[1]]
            elif kind == "concatenate":
                value = torch.cat([values[number] for number in inputs], 1)
            elif logits and place == last and kind in ("sigmoid", "softmax"):
                value = values[inputs[0]]
            else:
                value = step(values[inputs[0]])
            values.append(value)
            for number in self.spent[place]:
                values[number] = None
        return values[-1]


class Logits(nn.Module):
    """An interpreter without the activation at its end, which the loss has in it."""

    def __init__(self, interpreter: Interpreter) -> None:
        super().__init__()
        self.interpreter = interpreter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.interpreter(x, logits=True)


class GlobalAverage(nn.Module):
    """The mean of each channel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class Padded(nn.Module):
    """A window whose sides are padded unlike: PyTorch has no such layer, so pixels are added."""

    def __init__(self, node: Node, module: nn.Module) -> None:
        super().__init__()
        (top, bottom), (left, right) = node.padding
        self.sides = (left, right, top, bottom)
        # Finite: ncnn's files know no infinity.
        self.value = torch.finfo(torch.float32).min if node.kind == "max_pool" else 0.0
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(functional.pad(x, self.sides, value=self.value))


def _module(node: Node, task: NetworkTask, *, in_place: bool) -> nn.Module:
    arrays = task.arrays(node, channels_first=True)
    if node.kind in ("conv", "depthwise", "conv_transpose", "max_pool"):
        module = _windowed(node, arrays)
        return module if node.symmetric else Padded(node, module)
    if node.kind == "batch_norm":
        module = nn.BatchNorm2d(len(arrays[0]), eps=node.epsilon)
        state = (module.weight, module.bias, module.running_mean, module.running_var)
        for tensor, array in zip(state, arrays, strict=True):
            assign(tensor, array)
        return module
    if node.kind == "dense":
        module = nn.Linear(node.input_shape[-1], node.output_shape[-1], bias=len(arrays) > 1)
        assign(module.weight, arrays[0].T)
        if len(arrays) > 1:
            assign(module.bias, arrays[1])
        return module
    makers: dict[str, Callable[[], nn.Module]] = {
        "add": nn.Identity,
        "concatenate": nn.Identity,
        "global_average_pool": GlobalAverage,
        "dropout": lambda: nn.Dropout(node.rate),
        "flatten": nn.Flatten,
        "relu": lambda: nn.ReLU(inplace=in_place),
        "relu6": lambda: nn.ReLU6(inplace=in_place),
        "sigmoid": nn.Sigmoid,
        "softmax": lambda: nn.Softmax(1),
    }
    return makers[node.kind]()


def _windowed(node: Node, arrays: list[np.ndarray]) -> nn.Module:
    padding = (node.padding[0][0], node.padding[1][0]) if node.symmetric else (0, 0)
    if node.kind == "max_pool":
        return nn.MaxPool2d(node.size, node.strides, padding)
    channels, filters = node.input_shape[2], node.output_shape[2]
    options: dict[str, Any] = {"padding": padding, "bias": len(arrays) > 1}
    kernel = arrays[0]
    maker = nn.ConvTranspose2d if node.kind == "conv_transpose" else nn.Conv2d
    if node.kind == "depthwise":
        options["groups"] = channels
        kernel = kernel.reshape(*kernel.shape[:2], 1, filters)
    elif node.kind == "conv":
        options["groups"] = node.groups
    module = maker(channels, filters, node.size, node.strides, **options)
    assign(module.weight, kernel.transpose(3, 2, 0, 1))
    if len(arrays) > 1:
        assign(module.bias, arrays[1])
    return module


def _fold(modules: list[nn.Module], place: int, normalization: nn.Module) -> nn.Module:
    """Put a batch normalization into the convolution at `place`; return what remains of it."""
    before = modules[place]
    convolution = before.module if isinstance(before, Padded) else before
    if not isinstance(convolution, nn.Conv2d):
        return normalization
    folded = fusion.fuse_conv_bn_eval(convolution.eval(), normalization.eval())
    if isinstance(before, Padded):
        before.module = folded
    else:
        modules[place] = folded
    return nn.Identity()


def _frozen(module: nn.Module) -> Any:
    import torch._inductor.config as inductor

    inductor.freezing = True
    return torch.compile(module)


def images_of(x: np.ndarray, memory_format: torch.memory_format) -> torch.Tensor:
    """Return NHWC images as a tensor (batch, channels, rows, columns)."""
    images = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)
    return images.clone(memory_format=memory_format)


def _labels(y: np.ndarray, loss: str) -> tuple[torch.Tensor, nn.Module]:
    if loss == SPARSE:
        return torch.from_numpy(y).long(), nn.CrossEntropyLoss()
    labels = torch.from_numpy(y)
    masks = labels.permute(0, 3, 1, 2).contiguous() if labels.ndim == 4 else labels
    return masks, nn.BCEWithLogitsLoss()
