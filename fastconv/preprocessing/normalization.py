"""What comes after the random changes: rescaling, and evening out the statistics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .._core import random
from .._core.options import Option
from .._core.validation import finite, optional, truth, wrong_type
from .ranges import magnitude

OWNER = "ImageDataGenerator"
T = TypeVar("T")
# Keeps a division by the standard deviation of a flat image finite, as in Keras.
EPSILON = 1e-6


def _function(value: Any, argument: str, owner: str) -> Callable[[np.ndarray], np.ndarray]:
    if not callable(value):
        raise wrong_type(value, argument, owner, "a function of one image")
    return value


def _measured(value: Any, argument: str, owner: str) -> np.ndarray:
    """Return numbers by channel, (1, 1, channels), as `fit` measures them; or by pixel."""
    array = np.array(value, np.float32)
    by_channel = array.ndim == 0 or array.size == array.shape[-1]
    return array.reshape(1, 1, -1) if by_channel else array


class Normalization:
    """The normalizing half of ImageDataGenerator, whose docstring has the arguments."""

    dtype = np.dtype(np.float32)

    featurewise_center, samplewise_center = Option(truth), Option(truth)
    featurewise_std_normalization = Option(truth)
    samplewise_std_normalization, zca_whitening = Option(truth), Option(truth)
    zca_epsilon = Option(magnitude)
    rescale = Option(optional(finite))
    preprocessing_function = Option(optional(_function))
    mean, std = Option(optional(_measured)), Option(optional(_measured))

    def _see_to_centring(self) -> None:
        """Refuse normalizations that exclude each other, and switch on what others need."""
        if self.zca_whitening and self.featurewise_std_normalization:
            raise ValueError(
                f"{OWNER}: zca_whitening=True already evens out the spread; leave out "
                "featurewise_std_normalization"
            )
        # Dividing by the deviation and whitening are about the mean, so both ask for centring too.
        self.featurewise_center |= self.featurewise_std_normalization or self.zca_whitening
        self.samplewise_center |= self.samplewise_std_normalization
        self.mean = self.std = None
        self._principal_axes: tuple[np.ndarray, np.ndarray] | None = None

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Return the image `x` (or a batch) as float32 after `preprocessing_function`, `rescale`
        and the normalizations.

        A normalization that waits for `fit` is left out with a warning.
        """
        return self._normalize(np.array(x, dtype=self.dtype))

    def random_transform(
        self, x: np.ndarray, seed: int | np.random.Generator | None = None
    ) -> np.ndarray:
        """Return the image `x`, changed at random; the generator knows how."""
        raise NotImplementedError

    def fit(
        self, x: np.ndarray, augment: bool = False, rounds: int = 1, seed: int | None = None
    ) -> None:
        """Measure mean, standard deviation and whitening on sample images.

        Args:
            x: sample images, (n, height, width, channels) with values of 0-255;
                `preprocessing_function` and `rescale` are applied before measuring.
            augment: measure randomly changed images instead.
            rounds: with `augment`, how often to go over the images.
            seed: of the random changes.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4 or len(x) == 0:
            raise ValueError(
                f"{OWNER}.fit: x has shape {x.shape}; (images, height, width, channels) with "
                "at least one image is needed"
            )
        if augment:
            if seed is None:
                seed = random.next_seed()
            draw = np.random.default_rng(seed)
            change = self.random_transform
            x = np.stack([change(image, draw) for _ in range(rounds) for image in x])
        if self.preprocessing_function:
            x = np.stack([self.preprocessing_function(image) for image in x]).astype(self.dtype)
        if self.rescale:
            x *= np.float32(self.rescale)
        # Sums over thousands of images need more digits than float32 has.
        if self.featurewise_center:
            mean = x.mean(axis=(0, 1, 2), dtype=np.float64)
            self.mean = mean.astype(np.float32).reshape(1, 1, -1)
            x -= self.mean
        if self.featurewise_std_normalization:
            std = x.std(axis=(0, 1, 2), dtype=np.float64)
            self.std = std.astype(np.float32).reshape(1, 1, -1)
        if self.zca_whitening:
            axes, spread, _ = np.linalg.svd(x.reshape(len(x), -1).T, full_matrices=False)
            # Only factors are kept: the whole matrix, axes · diag · axesᵀ, has (pixels)² numbers.
            self._principal_axes = (axes, np.sqrt(len(x)) / (spread + self.zca_epsilon))

    def channel_scale(self) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Return (factor, offset): `rescale` and the featurewise normalization as one.

        Values become `value * factor + offset`; both are one number or one per
        channel. What waits for `fit` is left out with a warning.
        """
        factor: np.ndarray | float = self.rescale or 1.0
        offset: np.ndarray | float = 0.0
        if (mean := self._wanted("featurewise_center", self.mean)) is not None:
            offset = -mean.ravel()
        if (std := self._wanted("featurewise_std_normalization", self.std)) is not None:
            divisor = std.ravel() + np.float32(EPSILON)
            factor, offset = factor / divisor, offset / divisor
        return factor, offset

    def _normalize(self, x: np.ndarray) -> np.ndarray:
        """`standardize`, which may write into the float32 array `x`."""
        if self.preprocessing_function:
            x = np.array(self.preprocessing_function(x), dtype=self.dtype)
        if self.rescale:
            x *= np.float32(self.rescale)
        if self.samplewise_center:
            x -= x.mean(keepdims=True)
        if self.samplewise_std_normalization:
            x /= x.std(keepdims=True) + np.float32(EPSILON)
        if (mean := self._wanted("featurewise_center", self.mean)) is not None:
            x -= mean
        if (std := self._wanted("featurewise_std_normalization", self.std)) is not None:
            x /= std + np.float32(EPSILON)
        if (factors := self._wanted("zca_whitening", self._principal_axes)) is not None:
            axes, weight = factors
            flat = x.reshape(-1, math.prod(x.shape[-3:]))
            x = (((flat @ axes) * weight) @ axes.T).reshape(x.shape).astype(self.dtype, copy=False)
        return x

    def _wanted(self, option: str, measured: T | None) -> T | None:
        """Return what was measured for an `option` that is on; None, with a warning, if nothing."""
        if not getattr(self, option):
            return None
        if measured is None:
            warnings.warn(
                f"{OWNER}: {option}=True, but nothing was measured yet; it is left out until "
                "fit(x) is called with sample images",
                stacklevel=4,
            )
        return measured
