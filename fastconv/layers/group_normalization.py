"""Group normalization."""

from __future__ import annotations

import math
from typing import Any

from .._core.validation import integer, wrong_value
from .arguments import Shape, checked_axes
from .options import FixedOption
from .standardization import Standardization


def _groups(value: Any, argument: str, owner: str) -> int:
    number = integer(value, argument, owner)
    if number < 1 and number != -1:
        raise wrong_value(value, argument, owner, "at least 1, or -1 for a group a channel")
    return number


class GroupNormalization(Standardization):
    """Takes each sample's groups of channels to mean 0 and deviation 1, then to their weights.

    Channels lie along `axis`, neighbours are a group; all places along the other axes count.
    `groups=-1` makes each channel a group of its own (instance normalization).  Weights, as
    asked for: `gamma`, `beta`, (channels,).  `epsilon` may be assigned at any time.
    """

    groups, axis = FixedOption(_groups), FixedOption(integer)

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **options: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, **options)
        self.groups, self.axis = groups, axis

    def build(self, input_shape: Shape) -> None:
        [axis] = checked_axes(self.axis, input_shape, self.owner)
        channels = input_shape[axis]
        if axis == 0 or channels is None:
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(input_shape)}; axis {self.axis} needs a "
                "known size, and is not the batch's"
            )
        if channels % self.groups:
            raise ValueError(
                f"{self.owner}: groups is {self.groups}; it must divide the {channels} channels of "
                f"an input of shape {tuple(input_shape)}"
            )
        self._add_weights((channels,))

    def _layout(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        [axis] = checked_axes(self.axis, shape, self.owner)
        channels = shape[axis]
        groups = channels if self.groups == -1 else self.groups
        before, behind = math.prod(shape[1:axis]), math.prod(shape[axis + 1 :])
        seen = (shape[0], before, groups, channels // groups, behind)
        return seen, (1, 3, 4), (1, 1, groups, channels // groups, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}
