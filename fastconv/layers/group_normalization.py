"""Group normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.memory import contiguous
from .._core.validation import integer, wrong_value
from ..ops.plans import NormalizationPlan
from .arguments import Shape, checked_axes
from .options import FixedOption
from .standardization import Standardization

#: The numbers of a sample from which on the kernels are worth their calls, one by one.
_LARGE_SAMPLE = 16 * 1024


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
        **options: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, **options)
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

    # A large sample with its channels last is a matrix of pixels and channels, whose moments and
    # sums the kernels of batch normalization take; what is left is arithmetic of its channels.

    def call(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        last = self.axis in (-1, x.ndim - 1)
        if not last or math.prod(x.shape[1:]) < _LARGE_SAMPLE:
            return super().call(x, training)
        x = contiguous(x, np.float32)
        samples, channels = len(x), x.shape[-1]
        rows = x.reshape(samples, -1, channels)
        plan = self.plan(("sample", rows.shape[1:]), lambda: NormalizationPlan(*rows.shape[1:]))
        out = self.buffer("output", rows.shape)
        centers, inverses = (np.empty((samples, channels)) for _ in range(2))
        for sample in range(samples):
            mean, variance = plan.moments(rows[sample])
            center = centers[sample] = self._group_means(mean)
            spread = self._group_means(variance + (mean - center) ** 2)
            inverses[sample] = 1 / np.sqrt(spread + self.epsilon)
            self._set_affine(plan, center, inverses[sample])
            plan.forward(rows[sample], out[sample])
        saved = (plan, x, rows, centers, inverses)
        self._workspace.saved_for_backward = saved if training else None
        return out.reshape(x.shape)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        saved = self._saved_for_backward()
        if not isinstance(saved[0], NormalizationPlan):
            return super().backward(dy)
        plan, x, rows, centers, inverses = saved
        dy = self.checked_gradient(dy, x.shape).reshape(rows.shape)
        gamma = self.gamma.contents if self.scale else 1.0
        dx = self.buffer("dx", rows.shape) if self.needs_input_gradient else None
        dgamma, dbeta = np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
        for sample, (center, inverse) in enumerate(zip(centers, inverses, strict=True)):
            self._set_affine(plan, center, inverse)
            total, along = plan.sums(dy[sample], rows[sample])
            along = along * inverse
            dgamma += along
            dbeta += total
            if dx is not None:
                # Less the parts of dy that shift and stretch a group: they change its moments.
                shift, stretch = (
                    self._group_means(gamma * sums) / rows.shape[1] for sums in (total, along)
                )
                plan.input_gradient(
                    dy[sample],
                    rows[sample],
                    inverse * gamma,
                    -(inverse**2) * stretch,
                    -inverse * shift,
                    dx[sample],
                )
        if self.scale:
            self.gamma.gradient[...] = dgamma
        if self.center:
            self.beta.gradient[...] = dbeta
        return None if dx is None else dx.reshape(x.shape)

    def _group_means(self, values: np.ndarray) -> np.ndarray:
        """Return for each channel the mean of its group."""
        if self.groups == -1:
            return values
        means = values.reshape(self.groups, -1).mean(axis=1)
        return np.repeat(means, len(values) // self.groups)

    def _set_affine(self, plan: NormalizationPlan, center: np.ndarray, inverse: np.ndarray) -> None:
        scale = inverse * self.gamma.contents if self.scale else inverse
        plan.set_affine(center, scale, self.beta.contents if self.center else 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "axis": self.axis}
