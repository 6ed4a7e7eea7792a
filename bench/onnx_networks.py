"""Networks as PyTorch's users have them, exported to ONNX by PyTorch: no peer wrote them for us.

They are torchvision's in outline, with random weights, and its names for what they are.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions and what was before them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.past: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.past = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.past(x))


def resnet18(classes: int = 1000) -> nn.Module:
    """Return He et al.'s network of 18 layers with weights."""
    blocks: list[nn.Module] = []
    inputs = 64
    for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, classes),
    )


def _normalized(inputs: int, outputs: int, size: int, stride: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class Inverted(nn.Module):
    """A wide depthwise convolution between two narrow ends."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        first = [_normalized(inputs, width, 1, 1, 1)] if expansion > 1 else []
        self.body = nn.Sequential(
            *first,
            _normalized(width, width, 3, stride, width),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2(classes: int = 1000) -> nn.Module:
    """Return Sandler et al.'s network of width 1."""
    settings = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
    blocks: list[nn.Module] = []
    inputs = 32
    for expansion, outputs, count, stride in settings:
        for number in range(count):
            blocks.append(Inverted(inputs, outputs, 1 if number else stride, expansion))
            inputs = outputs
    return nn.Sequential(
        _normalized(3, 32, 3, 2, 1),
        *blocks,
        _normalized(320, 1280, 1, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(1280, classes),
    )


class Fire(nn.Module):
    """A narrow convolution, and two wide ones side by side."""

    def __init__(self, inputs: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, narrow, 1)
        self.ones, self.threes = nn.Conv2d(narrow, wide, 1), nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.narrow(x))
        return torch.cat([torch.relu(self.ones(x)), torch.relu(self.threes(x))], 1)


def squeezenet(classes: int = 1000) -> nn.Module:
    """Return Iandola et al.'s network, version 1.1."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
        nn.Dropout(),
        nn.Conv2d(512, classes, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def vgg11(classes: int = 1000) -> nn.Module:
    """Return Simonyan and Zisserman's network A with dense layers of 512 units."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if outputs:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        else:
            layers.append(nn.MaxPool2d(2))
    dense = [nn.Linear(512 * 9, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, classes)]
    return nn.Sequential(*layers, nn.Flatten(), *dense)


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Ronneberger et al.'s network with a quarter of the filters and three steps down."""

    def __init__(self, filters: int = 16) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(4)]
        self.down = nn.ModuleList(map(_twice, [3, *widths[:2]], widths[:3]))
        self.middle = _twice(widths[2], widths[3])
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(wide, slim, 2, 2) for wide, slim in pairs)
        self.up = nn.ModuleList(_twice(wide, slim) for wide, slim in pairs)
        self.last = nn.Conv2d(filters, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for step in self.down:
            x = step(x)
            kept.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.middle(x)
        for grow, step in zip(self.grow, self.up, strict=True):
            x = step(torch.cat([grow(x), kept.pop()], 1))
        return torch.sigmoid(self.last(x))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (resnet18, 100),
    "mobilenet_v2": (mobilenet_v2, 100),
    "squeezenet": (squeezenet, 100),
    "vgg11": (vgg11, 100),
    "unet": (UNet, 96),
}
"""What makes each network, and rows and columns of its images."""


def made(name: str, seed: int = 0) -> nn.Module:
    """Return a network for prediction, its batch normalizations as a training leaves them."""
    torch.manual_seed(seed)
    network = NETWORKS[name][0]().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.6, 1.4)
    return network


def exported(name: str, *, modern: bool = False, batch: int = 1, any_batch: bool = True) -> bytes:
    """Return a network as the ONNX file that PyTorch writes, by its older or newer exporter."""
    size = NETWORKS[name][1]
    file = io.BytesIO()
    images = torch.zeros(batch, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own deprecations
        if modern:
            shapes = ({0: torch.export.Dim("batch")},) if any_batch else None
            program = torch.onnx.export(
                made(name), (images,), dynamo=True, dynamic_shapes=shapes, verbose=False
            )
            return program.model_proto.SerializeToString()
        axes = {"x": {0: "batch"}, "y": {0: "batch"}} if any_batch else None
        torch.onnx.export(
            made(name), (images,), file, dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes=axes,
        )  # fmt: skip
    return file.getvalue()
