"""What images a model takes, as its training noted it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

_COLOR_MODES = {1: "grayscale", 3: "rgb", 4: "rgba"}
_DEFAULT_RESCALE = 1 / 255


@dataclass(frozen=True)
class ImageInput:
    """The size (height, width) in pixels, channels, scale and resampling of a model's images."""

    size: tuple[int, int]
    color_mode: str
    rescale: float | None
    interpolation: str

    @classmethod
    def of(cls, model: Any) -> ImageInput:
        """Return what `model` takes; raise ValueError if that is no image of a fixed size."""
        shape = model.input_shape
        if len(shape) != 4 or None in shape[1:] or shape[3] not in _COLOR_MODES:
            raise ValueError(
                f"{model.owner} takes inputs of shape {shape}; images of a fixed size with 1, 3 "
                "or 4 channels are needed"
            )
        noted = model.metadata.get("images", {})
        return cls(
            size=(shape[1], shape[2]),
            color_mode=_COLOR_MODES[shape[3]],
            rescale=noted.get("rescale", _DEFAULT_RESCALE),
            interpolation=noted.get("interpolation", "nearest"),
        )

    @staticmethod
    def note(model: Any, iterator: Any) -> None:
        """Keep with `model` how an iterator of images makes its batches."""
        generator = getattr(iterator, "image_data_generator", None)
        if generator is not None:
            model.metadata["images"] = {
                "rescale": generator.rescale,
                "interpolation": getattr(iterator, "interpolation", "nearest"),
            }

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """Return an image file as (height, width, channels) float32, ready for the model."""
        from .preprocessing.image import img_to_array, load_img

        image = load_img(path, self.color_mode, self.size, self.interpolation)
        array = img_to_array(image)
        return array if self.rescale is None else array * np.float32(self.rescale)
