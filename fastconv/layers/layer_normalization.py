"""Layer normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arguments import Shape, checked_axes, checked_axis_numbers
from .options import FixedOption
from .standardization import Standardization


class LayerNormalization(Standardization):
    """Takes each sample to mean 0 and deviation 1 along `axis`, then to `gamma` and `beta`.

    `axis` is a number or several; every place along the other axes is normalized by itself.
    Weights, as asked for: `gamma`, `beta`, of the sizes along `axis`.  `epsilon` may be
    assigned at any time.  Keras's deprecated `rms_scaling` is accepted as False only.
    """

    axis = FixedOption(checked_axis_numbers)

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **options: Any,
    ) -> None:
        rms_scaling = options.pop("rms_scaling", False)
        super().__init__(epsilon, center, scale, **options)
        if rms_scaling:
            raise ValueError(
                f"{self.owner}: rms_scaling is {rms_scaling!r}; it must be False, since what it "
                "divides by is no root of a mean square"
            )
        self.axis = axis

    def build(self, input_shape: Shape) -> None:
        axes = checked_axes(self.axis, input_shape, self.owner)
        sizes = [size for axis in axes if (size := input_shape[axis]) is not None]
        if axes[0] == 0 or len(sizes) < len(axes):
            raise ValueError(
                f"{self.owner}: the input has shape {tuple(input_shape)}; axis {self.axis} needs "
                "known sizes, and not the batch's"
            )
        self._add_weights(tuple(sizes))

    def _layout(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        axes = checked_axes(self.axis, shape, self.owner)
        weights = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))
        return shape, axes, weights

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
