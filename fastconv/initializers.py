"""How weights start: Keras's initializers, drawn from fastconv's own generator."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from ._core import random
from ._core.json_values import Configured
from ._core.naming import describe, snake_case
from ._core.registry import Registry
from ._core.validation import finite

#: Where the weights of a model that is being rebuilt come from: (name, shape) to the array.
Source = Callable[[str, tuple[int, ...]], np.ndarray]

_source: ContextVar[Source | None] = ContextVar("weights_from", default=None)


class Initializer(Configured):
    """Base class: `initializer(shape)` returns a new float32 array of `shape`."""

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the initial value of a weight of `shape`."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")

    __repr__ = describe


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape, np.float32)


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.ones(shape, np.float32)


class Constant(Initializer):
    """One number, or an array that broadcasts to the shape of the weight."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = np.asarray(value, np.float32)

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        try:
            value: np.ndarray = np.broadcast_to(self.value, shape).copy()
            return value
        except ValueError:
            raise ValueError(
                f"Constant: a value of shape {self.value.shape} does not broadcast to the "
                f"weight's shape {tuple(shape)}"
            ) from None

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist()}


class _Random(Initializer):
    """A random initializer; with a `seed` it gives the same numbers at every call."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomNormal(_Random):
    """Normal numbers of the given mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = finite(mean, "mean", "RandomNormal")
        self.stddev = finite(stddev, "stddev", "RandomNormal")

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        values: np.ndarray = random.generator(self.seed).standard_normal(shape, np.float32)
        values = values * np.float32(self.stddev) + np.float32(self.mean)
        return values

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class RandomUniform(_Random):
    """Uniform numbers from [minval, maxval)."""

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = finite(minval, "minval", "RandomUniform")
        self.maxval = finite(maxval, "maxval", "RandomUniform")

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        return _uniform(random.generator(self.seed), self.minval, self.maxval, shape)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class _VarianceScaling(_Random):
    """Numbers of variance `scale` / n, where n is a count of inputs or of inputs and outputs."""

    scale = 1.0
    mode = "fan_in"
    normal = False

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        count = fan_in if self.mode == "fan_in" else (fan_in + fan_out) / 2
        variance = self.scale / max(1.0, count)
        generator = random.generator(self.seed)
        if not self.normal:
            limit = math.sqrt(3 * variance)
            return _uniform(generator, -limit, limit, shape)
        # A normal cut off at two deviations has this much less deviation than the whole.
        return _truncated_normal(generator, math.sqrt(variance) / 0.87962566103423978, shape)


class GlorotUniform(_VarianceScaling):
    """Uniform within sqrt(6 / (fan_in + fan_out)); the default of kernels."""

    mode = "fan_average"


class GlorotNormal(_VarianceScaling):
    """Truncated normal of variance 2 / (fan_in + fan_out)."""

    mode, normal = "fan_average", True


class HeUniform(_VarianceScaling):
    """Uniform within sqrt(6 / fan_in), meant for ReLU."""

    scale = 2.0


class HeNormal(_VarianceScaling):
    """Truncated normal of variance 2 / fan_in, meant for ReLU."""

    scale, normal = 2.0, True


class LecunUniform(_VarianceScaling):
    """Uniform within sqrt(3 / fan_in)."""


class LecunNormal(_VarianceScaling):
    """Truncated normal of variance 1 / fan_in."""

    normal = True


@contextlib.contextmanager
def weights_from(source: Source) -> Iterator[None]:
    """Within the block, take new weights from `source` and draw none.

    A model is rebuilt from a file so: the file's arrays say which shapes are
    right, and `source` raises before anything of another shape is made.
    """
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def initial_value(initializer: Initializer, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return what the weight `name` of `shape` starts with."""
    source = _source.get()
    return initializer(shape) if source is None else source(name, shape)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many inputs reach one output of a weight, and how many outputs one input."""
    if len(shape) < 2:
        size = int(shape[0]) if shape else 1
        return size, size
    receptive = math.prod(shape[:-2])
    return receptive * shape[-2], receptive * shape[-1]


def get(identifier: Any, *, owner: str = "initializers") -> Initializer:
    """Return the initializer of a name, a class, a config ({"class_name", "config"}) or itself.

    Raises ValueError for an unknown name and TypeError for anything else,
    naming `owner`.
    """
    return _registry.get(identifier, owner)


def serialize(initializer: Initializer) -> dict[str, Any]:
    """Return that from which `get` makes the same initializer again; it fits JSON."""
    return _registry.serialize(initializer)


def _uniform(
    generator: np.random.Generator, low: float, high: float, shape: tuple[int, ...]
) -> np.ndarray:
    values: np.ndarray = generator.random(shape, np.float32)
    values = values * np.float32(high - low) + np.float32(low)
    return values


def _truncated_normal(
    generator: np.random.Generator, stddev: float, shape: tuple[int, ...]
) -> np.ndarray:
    """Draw normal numbers again and again where they are beyond two deviations."""
    values = generator.standard_normal(math.prod(shape), np.float32)
    while (outside := np.flatnonzero(np.abs(values) > 2)).size:
        values[outside] = generator.standard_normal(outside.size, np.float32)
    scaled: np.ndarray = values.reshape(shape) * np.float32(stddev)
    return scaled


_registry = Registry(
    Initializer,
    {
        snake_case(cls.__name__): cls
        for cls in (
            Zeros, Ones, Constant, RandomNormal, RandomUniform, GlorotUniform, GlorotNormal,
            HeUniform, HeNormal, LecunUniform, LecunNormal,
        )
    },
    words=("initializers", "initializer", "an Initializer"),
)  # fmt: skip
