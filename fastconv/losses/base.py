"""What a loss is: targets are prepared, each sample's loss computed, and the losses reduced."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._core import differentiation, handing_out
from .._core.json_values import Configured
from .._core.naming import describe, snake_case
from .._core.options import Option
from .._core.validation import number_array, wrong_type, wrong_value
from ..ops import losses as kernels

EPSILON = np.float32(1e-7)
"""Probabilities are kept this far from 0 and 1, in float32, as Keras does."""

_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")

_DTYPES = ("int", "bfloat16", "mixed_float16", "mixed_bfloat16")
"""Keras's names for dtypes that NumPy does not know or calls otherwise."""


def _reduction(value: Any, argument: str, owner: str) -> str | None:
    if value is not None and not (isinstance(value, str) and value in (*_REDUCTIONS, "none")):
        raise wrong_value(value, argument, owner, " or ".join(map(repr, (*_REDUCTIONS, "none"))))
    return None if value is None else str(value)


def check_dtype(value: Any, owner: str) -> str | None:
    """Return the name of a dtype as configurations have it, None where it is left to us.

    It changes nothing: losses and metrics are computed in float64 whatever it says.
    """
    if value is None:
        return None
    if isinstance(value, str) and value in _DTYPES:
        return str(value)
    try:
        if isinstance(value, str) and not value.isalnum():
            raise TypeError
        name: str = np.dtype(value).name
    except (TypeError, ValueError):
        raise wrong_type(value, "dtype", owner, "None or the name of a dtype") from None
    return name


class Evaluated(NamedTuple):
    """The losses of a batch before they are reduced."""

    #: One for each sample, pixel ..., float64.
    losses: np.ndarray
    #: (*losses.shape, outputs) float64, each of its own loss.
    gradients: np.ndarray
    #: Which losses count, where not all do.
    counted: np.ndarray | None
    layout: AxesLast | None = None


class Loss(Configured):
    """Base class of losses.

    A subclass defines `losses_and_gradient`, and `prepare` where targets are
    not numbers of the predictions' shape.  `activation` names the activation
    that the loss can take in with `logits=True`, if there is one.

    `reduction` says what becomes of the losses of a batch, each times its
    weight: "sum_over_batch_size" (or "mean") divides their sum by their number,
    "mean_with_sample_weight" by the sum of the weights, "sum" by nothing.
    "none" (or None) leaves them as they are; a model cannot be trained with it.
    An output of any rank has a loss for each place along all axes but the last:
    a mask (batch, height, width, 1) one for each pixel.  Targets that lack a
    last axis of 1 get it.
    """

    reduction = Option(_reduction)
    #: The axis, or axes, along which one loss is computed.
    axis: Any = -1

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        check_dtype(dtype, type(self).__name__)

    @property
    def activation(self) -> str | None:
        """The activation to take in, if there is one."""
        return None

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Return the targets in the form that `losses_and_gradient` takes, or raise."""
        targets = match_rank(y_true, y_pred.shape)
        if targets.shape != y_pred.shape:
            raise ValueError(
                f"{self.name}: the targets have shape {y_true.shape} and the predictions "
                f"{y_pred.shape}; they must be the same"
            )
        return targets.astype(np.float64, copy=False)

    def counted(self, targets: np.ndarray) -> np.ndarray | None:
        """Return which losses of prepared targets count, None where all do."""
        return None

    def losses_and_gradient(
        self, targets: np.ndarray, predictions: np.ndarray, logits: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the losses (the predictions' shape less the last axis) and each one's gradient.

        Float64; the gradient has the predictions' shape.  With `logits` the
        predictions are what `activation` would have been applied to.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define losses_and_gradient(targets, predictions, "
            "logits); it must return each sample's loss and that loss's gradient, since fastconv "
            "does not differentiate"
        )

    def call(self, y_true: Any, y_pred: Any) -> np.ndarray:
        """Return the losses before they are weighed and reduced, float64."""
        return self.evaluate(np.asarray(y_true), self._predictions(y_pred)).losses

    def evaluate(self, y_true: np.ndarray, y_pred: np.ndarray, logits: bool = False) -> Evaluated:
        """Return the losses of a batch and their gradients."""
        if type(self).call is not Loss.call and differentiation.differentiator is not None:
            return self._evaluated_by_call(y_true, y_pred)
        targets, rows, layout = self._arranged(y_true, y_pred)
        losses, gradients = self.losses_and_gradient(targets, rows, logits)
        if losses.shape != rows.shape[:-1] or gradients.shape != rows.shape:
            raise ValueError(
                f"{self.name}: losses_and_gradient returned the shapes {losses.shape} and "
                f"{gradients.shape}; {rows.shape[:-1]} and {rows.shape} are expected"
            )
        return Evaluated(losses, gradients, self.counted(targets), layout)

    def _evaluated_by_call(self, y_true: np.ndarray, y_pred: np.ndarray) -> Evaluated:
        """Return what a `call` of one's own gives, differentiated."""
        targets = match_rank(y_true, y_pred.shape)
        result = differentiation.loss_and_gradient(lambda y: self.call(targets, y), y_pred)
        losses, gradients = (np.asarray(one, np.float64) for one in result)
        outputs = gradients.size // losses.size if losses.size else y_pred.shape[-1]
        return Evaluated(losses, gradients.reshape(*losses.shape, outputs), None)

    def _arranged(
        self, y_true: np.ndarray, y_pred: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, AxesLast | None]:
        """Return prepared targets and predictions, one loss's values along the last axis."""
        layout = None
        if self.axis != -1:
            layout = AxesLast(self.axis, y_pred.shape, self.name)
            y_true, y_pred = layout.targets(y_true), layout.rows(y_pred)
        return self.prepare(y_true, y_pred), y_pred, layout

    def value_and_gradient(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        *,
        logits: bool = False,
        out: np.ndarray | None = None,
    ) -> tuple[float, np.ndarray]:
        """Return the reduced loss of a batch and its gradient, float32 of `y_pred`'s shape.

        `sample_weight` is (batch,) or has the losses' shape, or one that
        broadcasts to it.  With `logits=True` `y_pred` holds logits and the
        gradient is theirs.  The gradient is written to `out` if it is given.

        Raises ValueError where shapes or labels do not fit, where labels
        or weights are not finite, and where there is no reduction.
        """
        y_pred = self._predictions(y_pred)
        self._check_reduction()
        losses, gradients, counted, layout = self.evaluate(np.asarray(y_true), y_pred, logits)
        weights = self._weights(sample_weight, losses.shape, counted)
        mean, gradient = kernels.mean_loss(losses, weights, gradients)
        gradient = gradient.reshape(y_pred.shape) if layout is None else layout.back(gradient)
        if out is None:
            return mean, gradient
        out[...] = gradient
        return mean, out

    def check(
        self, y_true: Any, shape: tuple[int, ...], sample_weight: Any = None, logits: bool = False
    ) -> None:
        """Raise what `value_and_gradient` would raise for every prediction of `shape`."""
        if not type(self).losses_and_gradient.__module__.startswith(__package__):
            predictions = np.zeros(shape, np.float32)
            self.value_and_gradient(y_true, predictions, sample_weight, logits=logits)
            return
        # What can be wrong is found before the loss is computed.
        self._check_reduction()
        targets, rows, _ = self._arranged(np.asarray(y_true), _zeros(shape))
        self._weights(sample_weight, rows.shape[:-1], self.counted(targets))

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss of a batch, a float; with reduction "none" the weighed losses."""
        if hasattr(y_pred, "lost"):  # what a loss of one's own is differentiated by
            return y_pred.lost(self, y_true, sample_weight)
        y_pred = self._predictions(y_pred)
        counted = None
        if type(self).call is Loss.call:
            if self.reduction not in (None, "none"):
                return handing_out.number(self.value_and_gradient(y_true, y_pred, sample_weight)[0])
            losses, _, counted, _ = self.evaluate(np.asarray(y_true), y_pred)
        else:
            losses = np.asarray(self.call(y_true, y_pred), np.float64)
        weights = self._weights(sample_weight, losses.shape, counted)
        weighed = losses if weights is None else losses * weights
        if self.reduction in (None, "none"):
            return weighed.astype(np.float32)
        return handing_out.number(float(weighed.sum()) / max(losses.size, 1))

    def _predictions(self, y_pred: Any) -> np.ndarray:
        predictions = np.asarray(y_pred)
        if predictions.dtype.kind != "f":
            predictions = predictions.astype(np.float32)
        if predictions.ndim == 0:
            raise ValueError(f"{self.name}: the predictions are one number; give a batch")
        return predictions

    def _check_reduction(self) -> None:
        if self.reduction in (None, "none"):
            raise wrong_value(
                self.reduction,
                "reduction",
                self.name,
                " or ".join(map(repr, _REDUCTIONS)),
                "a model is trained by one number",
            )

    def _weights(
        self, sample_weight: Any, shape: tuple[int, ...], counted: np.ndarray | None
    ) -> np.ndarray | None:
        """Return factors of the losses by which their plain mean is the reduced loss."""
        count = math.prod(shape)
        if sample_weight is None:
            weights = None
        elif shape:
            weights = broadcast_weights(sample_weight, shape, self.name)
        else:
            return self._weight_of_one(sample_weight)
        if counted is not None:
            weights = counted * (1.0 if weights is None else weights)
        divisor: float = count if counted is None else int(np.count_nonzero(counted))
        if self.reduction in (None, "none", "sum"):
            divisor = 1 if self.reduction == "sum" else count
        elif self.reduction == "mean_with_sample_weight" and weights is not None:
            divisor = float(weights.sum())
        if divisor == count:
            return weights
        scale = count / divisor if divisor else 0.0
        return np.full(shape, scale) if weights is None else weights * scale

    def _weight_of_one(self, sample_weight: Any) -> np.ndarray:
        """Return the factor of a batch's one loss, which every sample's weight multiplies."""
        weights = number_array(sample_weight, "sample_weight", self.name).astype(np.float64)
        check_finite(weights, "sample_weight runs", self.name)
        if self.reduction in (None, "none"):
            return weights
        total = float(weights.sum())
        if self.reduction == "mean_with_sample_weight":
            return np.array(float(total != 0))
        return np.array(total if self.reduction == "sum" else total / max(weights.size, 1))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    def __repr__(self) -> str:
        return describe(self)


@functools.lru_cache(maxsize=64)
def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Return zeros to read, in the memory of one; NumPy takes a while to arrange it."""
    return np.broadcast_to(np.float32(0), shape)


class NumberLoss(Loss):
    """A loss of targets that are any finite numbers of the predictions' shape."""

    def prepare(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        targets = super().prepare(y_true, y_pred)
        check_finite(targets, "the targets run", self.name)
        return targets


class AxesLast:
    """Arrays whose one loss's values lie along `axis` (an int, several, or None for all)."""

    def __init__(self, axis: int | Sequence[int] | None, shape: tuple[int, ...], owner: str):
        ndim = len(shape)
        axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
        if any(not -ndim <= one < ndim for one in axes):
            raise ValueError(
                f"{owner}: axis is {axis!r}; it must be within the predictions' shape {shape}"
            )
        self._axes = tuple(dict.fromkeys(one % ndim for one in axes))
        kept = tuple(one for one in range(ndim) if one not in self._axes)
        self._order = kept + self._axes
        self._shape = shape
        self._moved = tuple(shape[one] for one in self._order)
        self._rows = self._moved[: len(kept)]

    def rows(self, array: np.ndarray) -> np.ndarray:
        """Return `array`, of the predictions' shape, with those axes as its last one."""
        outputs = math.prod(self._moved[len(self._rows) :])
        moved: np.ndarray = array.transpose(self._order).reshape(*self._rows, outputs)
        return moved

    def targets(self, array: np.ndarray) -> np.ndarray:
        """Return targets likewise; class numbers lose an axis of 1."""
        matched = match_rank(array, self._shape)
        if matched.shape == self._shape:
            return self.rows(matched)
        if len(self._axes) == 1 and array.ndim == len(self._shape):
            [axis] = self._axes
            return array.squeeze(axis) if array.shape[axis] == 1 else array
        return array

    def back(self, rows: np.ndarray) -> np.ndarray:
        """Return what `rows` was made of."""
        moved = rows.reshape(self._moved)
        return np.ascontiguousarray(moved.transpose(np.argsort(self._order)))


def match_rank(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return `array` with a last axis of 1 added or dropped if that makes its rank `shape`'s."""
    if array.ndim + 1 == len(shape) and shape[-1] == 1:
        return array[..., None]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def broadcast_weights(sample_weight: Any, shape: tuple[int, ...], owner: str) -> np.ndarray:
    """Return the weights, float64, for values of `shape`; (batch,) weighs whole samples."""
    weights = number_array(sample_weight, "sample_weight", owner).astype(np.float64, copy=False)
    check_finite(weights, "sample_weight runs", owner)
    fitted = match_rank(weights, shape)
    if fitted.ndim < len(shape):
        fitted = fitted.reshape(*fitted.shape, *(1,) * (len(shape) - fitted.ndim))
    try:
        return np.broadcast_to(fitted, shape)
    except ValueError:
        accepted = " or ".join(map(str, dict.fromkeys((shape[:1], shape))))
        raise ValueError(
            f"{owner}: sample_weight has shape {weights.shape}; it must be {accepted}"
        ) from None


def check_finite(values: np.ndarray, what: str, owner: str) -> None:
    """Refuse float64 values that would make the loss, and then every weight, NaN."""
    low, high = kernels.extremes(values) if values.size else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{owner}: {what} from {low:g} to {high:g}; they must be finite")
