"""What images a model takes, as its training noted it."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.validation import is_integer

if TYPE_CHECKING:
    from .image import ImageDataGenerator

_COLOR_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}
_DEFAULT_RESCALE = 1 / 255
_LARGEST_SIZE = 1 << 14  # pixels: what a file may ask for
_LONGEST_NAMES = 200  # characters of what a file may bring into an error's text
_STATISTICS = {"mean": "featurewise_center", "std": "featurewise_std_normalization"}
_OF_LOADING = ("keep_aspect_ratio", "draft", "pad_to_aspect_ratio")
_SWITCHES = ("samplewise_center", "samplewise_std_normalization", *_OF_LOADING)


@dataclass(frozen=True)
class ImageInput:
    """How a model's images are made: size (height, width) in pixels, channels, resampling, and
    the generator whose normalizations training applied.

    Kept with a model, in `model.metadata["images"]`: `size`, where the model takes any, `rescale`,
    `interpolation`, `keep_aspect_ratio`, `draft`, `pad_to_aspect_ratio`, the samplewise
    normalizations, and `mean` and `std` of the featurewise ones, a number for each channel. What
    no file can hold is named there, and `of` refuses the model: a `preprocessing_function`, a
    `standardize` of the user's own, and ZCA whitening, whose matrix has as many numbers as the
    square of an image.
    """

    size: tuple[int, int]
    color_mode: str
    interpolation: str
    generator: ImageDataGenerator
    options: dict[str, bool] = field(default_factory=dict)  # of `load_img`

    @classmethod
    def of(cls, model: Any) -> ImageInput:
        """Return what `model` takes.

        Raises:
            ValueError: that is no image, or of no known size, or its images went through something
                that is not kept, or what is noted of them is not what `note` notes.
        """
        shape = model.input_shape
        noted = _Notes(model.metadata.get("images", {}), model.owner)
        size = noted.size(shape[1:3]) if len(shape) == 4 else None
        if size is None or shape[-1] not in _COLOR_MODES:
            raise ValueError(
                f"{model.owner} takes inputs of shape {shape}; images of a fixed size with 1, 3 "
                "or 4 channels are needed"
            )
        if "images" not in model.metadata:
            warnings.warn(
                f"{model.owner} does not say how its images were scaled, since it was not trained "
                "on an iterator of images; 1 / 255 is taken",
                stacklevel=3,
            )
        noted.refuse_what_is_not_kept()
        return cls(
            size=size,
            color_mode=_COLOR_MODES[shape[3]],
            interpolation=noted.interpolation(),
            generator=noted.generator(shape[3]),
            options={name: noted.switch(name) for name in _OF_LOADING},
        )

    @property
    def rescale(self) -> float | None:
        """What all values are multiplied with, or None."""
        return self.generator.rescale

    @staticmethod
    def note(model: Any, iterator: Any) -> None:
        """Keep with `model` how an iterator of images makes its batches."""
        generator = getattr(iterator, "image_data_generator", None)
        if generator is None:
            return
        noted = {
            "rescale": generator.rescale,
            "interpolation": getattr(iterator, "interpolation", "nearest"),
        }
        if None in model.input_shape[1:3]:
            noted["size"] = list(iterator.image_shape[:2])
        for name in _SWITCHES:
            if getattr(generator, name, getattr(iterator, name, False)):
                noted[name] = True
        lost = list(_not_kept(generator))
        for name, option in _STATISTICS.items():
            values = getattr(generator, name)
            if not getattr(generator, option) or values is None:
                continue  # what was not measured was left out of training, with a warning
            if np.size(values) == iterator.image_shape[-1]:
                noted[name] = np.ravel(values).tolist()
            else:
                lost.append(f"{name} of shape {np.shape(values)}")
        if lost:
            noted["not_kept"] = lost
        model.metadata["images"] = noted

    def read(self, path: str | os.PathLike[str]) -> np.ndarray:
        """Return an image file as (height, width, channels) float32, ready for the model."""
        from .image import img_to_array, load_img

        image = load_img(path, self.color_mode, self.size, self.interpolation, **self.options)
        return self.generator.standardize(img_to_array(image))


def _not_kept(generator: Any) -> Any:
    """Yield the names of what the generator does to images and no file can hold."""
    from .image import ImageDataGenerator

    function = generator.preprocessing_function
    if function:
        yield f"preprocessing_function={getattr(function, '__qualname__', repr(function))}"
    if generator.zca_whitening:
        yield "zca_whitening=True"
    own = type(generator).standardize is not ImageDataGenerator.standardize
    if own or "standardize" in vars(generator):
        yield f"{type(generator).__qualname__}.standardize"


class _Notes:
    """What a file says of a model's images: to be taken only for what it should be."""

    def __init__(self, noted: Any, owner: str) -> None:
        self._owner = owner
        if not isinstance(noted, Mapping):
            raise self._wrong("", noted, "a dict")
        self._noted = noted

    def _wrong(self, name: str, value: Any, wanted: str) -> ValueError:
        place = f"metadata['images']{f'[{name!r}]' if name else ''}"
        shown = repr(value) if len(repr(value)) < 80 else repr(value)[:80] + " ..."
        return ValueError(f"{self._owner}: {place} is {shown}; it must be {wanted}")

    def refuse_what_is_not_kept(self) -> None:
        lost = self._noted.get("not_kept", [])
        names = isinstance(lost, list) and all(isinstance(n, str) and n.isprintable() for n in lost)
        if not names or sum(map(len, lost)) > _LONGEST_NAMES:
            raise self._wrong("not_kept", lost, "a list of names")
        if lost:
            raise ValueError(
                f"{self._owner} was trained on images that went through {', '.join(lost)}, which "
                "is not kept with a model; give model.predict and model.evaluate batches of an "
                "ImageDataGenerator that does the same"
            )

    def size(self, shape: tuple[int | None, int | None]) -> tuple[int, int] | None:
        """Return height and width: the model's or, where it takes any, the noted ones, if any."""
        if shape[0] is not None and shape[1] is not None:
            return shape[0], shape[1]
        value = self._noted.get("size")
        if value is None:
            return None
        good = isinstance(value, list) and len(value) == 2
        if not good or not all(is_integer(one) and 0 < one <= _LARGEST_SIZE for one in value):
            raise self._wrong("size", value, f"a pair of whole numbers from 1 to {_LARGEST_SIZE}")
        if any(known not in (None, one) for known, one in zip(shape, value, strict=True)):
            raise self._wrong("size", value, f"{shape}")
        return value[0], value[1]

    def interpolation(self) -> str:
        from .image_files import INTERPOLATIONS

        value = self._noted.get("interpolation", "nearest")
        if value not in INTERPOLATIONS:
            raise self._wrong("interpolation", value, f"one of {', '.join(INTERPOLATIONS)}")
        return value

    def switch(self, name: str) -> bool:
        value = self._noted.get(name, False)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "True or False")
        return value

    def generator(self, channels: int) -> ImageDataGenerator:
        """Return a generator that normalizes images as that of training did."""
        from .image import ImageDataGenerator

        rescale = self._noted.get("rescale", _DEFAULT_RESCALE)
        if rescale is not None and not _is_finite(rescale):
            raise self._wrong("rescale", rescale, "a finite number or None")
        mean, std = (self._statistic(name, channels) for name in ("mean", "std"))
        if std is not None and (std < 0).any():
            raise self._wrong("std", std.ravel().tolist(), "of numbers of at least 0")
        if std is not None and mean is None:
            mean = np.zeros_like(std)
        generator = ImageDataGenerator(
            rescale=rescale,
            samplewise_center=self.switch("samplewise_center"),
            samplewise_std_normalization=self.switch("samplewise_std_normalization"),
            featurewise_center=mean is not None,
            featurewise_std_normalization=std is not None,
        )
        generator.mean, generator.std = mean, std
        return generator

    def _statistic(self, name: str, channels: int) -> np.ndarray | None:
        values = self._noted.get(name)
        if values is None:
            return None
        good = isinstance(values, list) and len(values) == channels and all(map(_is_finite, values))
        if not good:
            raise self._wrong(name, values, f"a list of {channels} finite numbers")
        return np.array(values, np.float32).reshape(1, 1, -1)


def _is_finite(value: Any) -> bool:
    """Whether a value is a number that float32 has."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= float(np.finfo(np.float32).max) and not math.isnan(value)
