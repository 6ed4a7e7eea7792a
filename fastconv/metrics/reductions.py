"""Sums and means, of values and of what is computed of each sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._core.naming import short
from .._core.registry import custom_object
from ..losses.base import broadcast_weights, match_rank
from ..losses.own import function_name
from .base import Metric


class Sum(Metric):
    """The sum of values, each times its weight."""

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values of any shape; `sample_weight` is theirs, or (batch,)."""
        values, weights = _weighed(values, sample_weight, self.name)
        self.total.assign_add(
            values.sum(dtype=np.float64) if weights is None else (values * weights).sum()
        )

    def result(self) -> float:
        return float(self.total)


class Averaging(Metric):
    """A weighted mean over samples, each of which is the mean of its own values."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")
        self.count = self.add_variable((), name="count")

    def add(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, (batch, ...) or one number; `sample_weight` is theirs or (batch,)."""
        values, weights = _weighed(values, sample_weight, self.name)
        if weights is None:
            self.total.assign_add(_sum_of_sample_means(values))
            self.count.assign_add(len(values) if values.ndim else 1)
        else:
            self.total.assign_add(_sum_of_sample_means(values * weights))
            self.count.assign_add(_sum_of_sample_means(weights))

    def result(self) -> float:
        return float(self.total) / float(self.count) if self.count else 0.0


class Mean(Averaging):
    """The weighted mean of values."""

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, (batch, ...) or one number; `sample_weight` is theirs or (batch,)."""
        self.add(values, sample_weight)


class MeanMetric(Averaging):
    """A weighted mean over samples; a subclass defines `values`."""

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        """Return what is averaged, (batch, ...)."""
        raise NotImplementedError(f"{type(self).__name__} does not define values")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; `sample_weight` is (batch,) or of the values' shape."""
        self.add(self.values(np.asarray(y_true), np.asarray(y_pred)), sample_weight)


class MeanMetricWrapper(MeanMetric):
    """The mean of what a function of your own, `fn(y_true, y_pred, **kwargs)`, returns.

    It returns a value for each sample, (batch, ...), which are averaged over all
    samples; or one number for the batch, which are averaged over the batches.
    Targets that lack the predictions' last axis of 1 get it. Saved by the
    function's name: load with `custom_objects={"my_metric": my_metric}`.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        if not callable(fn):
            raise TypeError(f"MeanMetricWrapper: fn is {fn!r}; it must be a function")
        own_name = function_name(fn)
        super().__init__(name or ("function" if own_name == "<lambda>" else own_name), dtype)
        self.fn, self.kwargs = fn, kwargs

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        values = np.asarray(self.fn(match_rank(y_true, y_pred.shape), y_pred, **self.kwargs))
        if values.dtype.kind not in "fiub":
            raise TypeError(
                f"{self.name}: the function returned {values.dtype} of shape {values.shape}; it "
                "must return numbers, one for each sample or one for the batch"
            )
        return values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": function_name(self.fn), **self.kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MeanMetricWrapper:
        """Make one of what `get_config` returned; the function is found in `custom_objects`."""
        name = config.get("fn")
        function = custom_object(name) if isinstance(name, str) else name
        if not callable(function):
            raise ValueError(
                f"metrics: the function {short.repr(name)} is not known; give "
                f"custom_objects={{{short.repr(name)}: the_function}}"
            )
        return cls(**{**config, "fn": function})

    def __repr__(self) -> str:
        return self._described(fn=self.fn, **self.kwargs)


def _weighed(values: Any, sample_weight: Any, owner: str) -> tuple[np.ndarray, np.ndarray | None]:
    values = np.asarray(values)
    if sample_weight is None:
        return values, None
    if values.ndim == 0 and np.size(sample_weight) != 1:
        raise ValueError(
            f"{owner}: there is one number for the batch, and sample_weight has shape "
            f"{np.shape(sample_weight)}; samples can be weighed where each has a value"
        )
    if values.ndim == 0:
        return values, broadcast_weights(np.reshape(sample_weight, ()), (), owner)
    return values.astype(np.float64, copy=False), broadcast_weights(
        sample_weight, values.shape, owner
    )


def _sum_of_sample_means(values: np.ndarray) -> float:
    # NumPy counts many times faster than it adds.
    total = np.count_nonzero(values) if values.dtype == bool else values.sum(dtype=np.float64)
    return float(total) * (len(values) / max(values.size, 1) if values.ndim else 1)
