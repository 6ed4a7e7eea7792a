"""The chapter's models and the compared networks, written as PyTorch's users write them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


def chapter(name: str, size: int = 100) -> nn.Sequential:
    """Return model1 ... model4 without the sigmoid, which is in the loss."""
    filters = {"model1": (32,), "model4": (32, 64, 128)}.get(name, (32, 32))
    modules: list[nn.Module] = []
    for before, after in pairwise((3, *filters)):
        modules += [nn.Conv2d(before, after, 3), nn.ReLU(), nn.MaxPool2d(2)]
        size = (size - 2) // 2
    features = filters[-1] * size * size
    modules.append(nn.Flatten())
    if name == "model4":
        modules += [nn.Dropout(0.5), nn.Linear(features, 512), nn.ReLU()]
        features = 512
    return nn.Sequential(*modules, nn.Linear(features, 1))


def _convolved(channels: int, filters: int, size: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; what they give is added to what they got."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.first = _convolved(channels, filters, 3, stride)
        self.second = _convolved(filters, filters, 3)
        self.shortcut = _convolved(channels, filters, 1, stride) if stride > 1 else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both ways, without what is negative."""
        y = self.relu(self.first(x))
        y = self.second(y)
        y += self.shortcut(x)
        return self.relu(y)


class ResNet20(nn.Module):
    """The residual network of 20 layers for small pictures."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolved(3, 16, 3), nn.ReLU(inplace=True))
        blocks, channels = [], 16
        for filters in (16, 32, 64):
            for block in range(3):
                blocks.append(ResidualBlock(channels, filters, 1 + (not block and filters > 16)))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        x = self.pool(self.blocks(self.stem(x)))
        return self.head(torch.flatten(x, 1))


class Separable(nn.Sequential):
    """BatchNorm, ReLU, and a depthwise and a pointwise convolution."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, filters, 1, bias=False),
        )


class XceptionBlock(nn.Module):
    """Two separable convolutions and a pooling, beside a 1x1 convolution."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Separable(channels, filters), Separable(filters, filters), nn.MaxPool2d(3, 2, 1)
        )
        self.beside = nn.Conv2d(channels, filters, 1, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both ways."""
        return self.body(x) + self.beside(x)


class SmallXception(nn.Module):
    """Five residual blocks of separable convolutions, each of which halves the size."""

    def __init__(self) -> None:
        super().__init__()
        sizes = pairwise((32, 32, 64, 128, 256, 512))
        blocks = [XceptionBlock(before, after) for before, after in sizes]
        self.features = nn.Sequential(nn.Conv2d(3, 32, 5, bias=False), *blocks)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        x = functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1)
        return self.head(x)


class InvertedResidual(nn.Module):
    """A 1x1 convolution widens, a depthwise one looks around, another 1x1 narrows."""

    def __init__(self, channels: int, filters: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide)]
            layers.append(nn.ReLU6(inplace=True))
        layers += [
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(inplace=True),
            nn.Conv2d(wide, filters, 1, bias=False),
            nn.BatchNorm2d(filters),
        ]
        self.body = nn.Sequential(*layers)
        self.adds = stride == 1 and channels == filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the narrow result, added to the input where it is of its shape."""
        return x + self.body(x) if self.adds else self.body(x)


class MobileNetV2Like(nn.Module):
    """MobileNetV2's seventeen blocks, 0.35 times as wide."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(inplace=True),
        ]
        channels = 16
        for expansion, filters, blocks, stride in (
            (1, 8, 1, 1),
            (6, 8, 2, 2),
            (6, 16, 3, 2),
            (6, 24, 4, 2),
            (6, 32, 3, 1),
            (6, 56, 3, 2),
            (6, 112, 1, 1),
        ):
            for block in range(blocks):
                step = 1 if block else stride
                layers.append(InvertedResidual(channels, filters, step, expansion))
                channels = filters
        layers += [nn.Conv2d(channels, 1280, 1, bias=False), nn.BatchNorm2d(1280)]
        self.features = nn.Sequential(*layers, nn.ReLU6(inplace=True))
        self.head = nn.Linear(1280, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        x = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.head(torch.flatten(x, 1))


def _twice(channels: int, filters: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (channels, filters):
        layers += [*_convolved(before, filters, 3), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Down three times and up again; each size sees again what it was on the way down."""

    def __init__(self, filters: int = 16, depth: int = 3) -> None:
        super().__init__()
        sizes = [filters * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_twice(a, b) for a, b in pairwise((3, *sizes)))
        back = [(b, a) for a, b in pairwise(sizes)][::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in back)
        self.joined = nn.ModuleList(_twice(a, b) for a, b in back)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(filters, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the mask."""
        skipped: list[torch.Tensor] = []
        for place, convolutions in enumerate(self.down):
            if place:
                skipped.append(x)
                x = self.pool(x)
            x = convolutions(x)
        for up, convolutions in zip(self.up, self.joined, strict=True):
            x = convolutions(torch.cat([skipped.pop(), up(x)], 1))
        return self.head(x)


#: What makes each network, and (rows and columns, images in the batch).
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int]]] = {
    **{
        name: (lambda name=name: chapter(name), (100, 32))  # type: ignore[misc]
        for name in ("model1", "model2", "model3", "model4")
    },
    "resnet20": (ResNet20, (32, 128)),
    "small_xception": (SmallXception, (100, 32)),
    "mobilenet_v2_like": (MobileNetV2Like, (100, 32)),
    "unet": (UNet, (96, 8)),
}
