"""What an architecture is: a network for any size of image, together with its recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..layers import Dense
from ..models import Model
from .parts import class_layer
from .recipes import Recipe

#: Of an image: height, width and channels; None is any height or width.
Size = tuple[int | None, int | None, int]


@dataclass(frozen=True)
class Architecture:
    """A model that can be made for any size of image, and its recipe.

    Calling it, `architectures.model1(input_shape=(100, 100, 3), classes=2)`,
    returns an uncompiled model with new weights. Two classes are one unit with
    a sigmoid, more are a unit each with a softmax.

    `make` gives the model for images of a size, with the given last layer.
    """

    name: str
    recipe: Recipe
    make: Callable[[Size, Dense, str], Model]

    def __call__(self, input_shape: Size = (100, 100, 3), classes: int = 2) -> Model:
        return self.make(input_shape, class_layer(classes, self.name), self.name)
