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
from ._core.registry import Registry, custom_object_scope
from ._core.validation import above_zero, finite, one_of

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


class TruncatedNormal(_Random):
    """Normal numbers within two standard deviations of the mean; others are drawn again."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = finite(mean, "mean", "TruncatedNormal")
        self.stddev = finite(stddev, "stddev", "TruncatedNormal")

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        values = _truncated_normal(random.generator(self.seed), self.stddev, shape)
        values += np.float32(self.mean)
        return values

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class VarianceScaling(_Random):
    """Numbers of variance `scale` / n.

    By `mode`, n is how many inputs reach an output ("fan_in"), how many outputs an input
    ("fan_out"), or their mean ("fan_avg").  `distribution` is "truncated_normal" (also called
    "normal"), "untruncated_normal" or "uniform".
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        self.scale = above_zero(scale, "scale", owner)
        self.mode = one_of("fan_in", "fan_out", "fan_avg")(mode, "mode", owner)
        known = one_of("truncated_normal", "normal", "untruncated_normal", "uniform")
        distribution = known(distribution, "distribution", owner)
        self.distribution = "truncated_normal" if distribution == "normal" else distribution

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        counts = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        variance = self.scale / max(1.0, counts[self.mode])
        generator = random.generator(self.seed)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return _uniform(generator, -limit, limit, shape)
        if self.distribution == "untruncated_normal":
            values: np.ndarray = generator.standard_normal(shape, np.float32)
            values *= np.float32(math.sqrt(variance))
            return values
        # A normal cut off at two deviations has this much less deviation than the whole.
        return _truncated_normal(generator, math.sqrt(variance) / 0.87962566103423978, shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an initializer of a config, Keras's too, which names the axes of neither side."""
        axes = ("input_axes", "output_axes")
        return cls(**{k: v for k, v in config.items() if not (k in axes and v is None)})


class _Scaled(VarianceScaling):
    """A `VarianceScaling` with a name of its own."""

    _arguments: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self._arguments, seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_Scaled):
    """Uniform within sqrt(6 / (fan_in + fan_out)); the default of kernels."""

    _arguments = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out)."""

    _arguments = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_Scaled):
    """Uniform within sqrt(6 / fan_in), meant for ReLU."""

    _arguments = 2.0, "fan_in", "uniform"


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in, meant for ReLU."""

    _arguments = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Scaled):
    """Uniform within sqrt(3 / fan_in)."""

    _arguments = 1.0, "fan_in", "uniform"


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in."""

    _arguments = 1.0, "fan_in", "truncated_normal"


class Orthogonal(_Random):
    """`gain` times an orthogonal matrix: columns, or rows where these are fewer, are orthonormal.

    All axes but the last are the matrix's rows.  Drawn evenly among all such matrices.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = finite(gain, "gain", "Orthogonal")

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal: the weight's shape is {tuple(shape)}; it must have two axes or more"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = random.generator(self.seed).standard_normal(
            (max(rows, columns), min(rows, columns))
        )
        q, r = np.linalg.qr(drawn)
        q *= np.copysign(self.gain, self.gain * np.diag(r))  # else some are likelier than others
        values: np.ndarray = np.ascontiguousarray(q if rows >= columns else q.T, np.float32)
        return values.reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 beside it."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = finite(gain, "gain", "Identity")

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity: the weight's shape is {tuple(shape)}; it must have 2 axes")
        values: np.ndarray = np.eye(*shape, dtype=np.float32) * np.float32(self.gain)
        return values

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


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


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Initializer:
    """Make an initializer from what `serialize` returned, or from Keras's config."""
    with custom_object_scope(custom_objects):
        return get(config)


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
            HeUniform, HeNormal, LecunUniform, LecunNormal, TruncatedNormal, VarianceScaling,
            Orthogonal, Identity,
        )
    },
    words=("initializers", "initializer", "an Initializer"),
    aliases={
        "zero": "zeros", "one": "ones", "normal": "random_normal", "uniform": "random_uniform",
        "identity_initializer": "identity", "orthogonal_initializer": "orthogonal",
    },
)  # fmt: skip

# The same in lower case, as Keras has them.
zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
