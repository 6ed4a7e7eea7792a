"""Losses that are functions of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._core.differentiation import loss_and_gradient
from .._core.naming import describe, short
from .._core.registry import custom_object
from .._core.validation import NUMBER_KINDS
from .base import Evaluated, Loss, match_rank

_EXAMPLE = (
    "return such as (difference ** 2).mean(axis=-1), 2 * difference / difference.shape[-1] with "
    "difference = y_pred - y_true"
)
#: Rows on which a function is tried before training: it may compare each with all others.
_ROWS_TRIED = 2


class LossFunctionWrapper(Loss):
    """A loss of a function of your own, `fn(y_true, y_pred, **kwargs) -> (loss, gradient)`.

    fastconv does not differentiate: the function does. It gets float32 arrays
    of one shape where it can be made so, `y_pred` read-only, and returns either

    - losses of shape (batch,) or of the predictions' shape less the last axis,
      and an array of the predictions' shape, each loss's own gradient: these are
      weighed by sample weights and reduced as `reduction` says; or
    - one number for the batch and its gradient, taken as they are. Samples
      cannot be weighed then.

    In files it stands by its name: load them with
    `custom_objects={"my_loss": my_loss}`.

    Raises TypeError or ValueError, saying what is wanted, for what else is returned.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"LossFunctionWrapper: fn is {fn!r}; it must be a function")
        super().__init__(name or function_name(fn), reduction, dtype)
        self.fn, self.kwargs = fn, kwargs

    def evaluate(self, y_true: np.ndarray, y_pred: np.ndarray, logits: bool = False) -> Evaluated:
        losses, gradients = self._checked(self._result(y_true, y_pred), y_pred.shape)
        outputs = gradients.size // losses.size if losses.size else y_pred.shape[-1]
        return Evaluated(losses, gradients.reshape(*losses.shape, outputs), None)

    def _result(self, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
        predictions = y_pred.view()
        predictions.flags.writeable = False
        targets = match_rank(y_true, y_pred.shape).astype(y_pred.dtype, copy=False)
        return loss_and_gradient(lambda y: self.fn(targets, y, **self.kwargs), predictions)

    def _checked(self, result: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        owner = f"the loss function {self.name!r}"
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"{owner} returned {_kind(result)}; it must return (loss, gradient), since "
                f"fastconv does not differentiate: {_EXAMPLE}"
            )
        losses, gradients = map(np.asarray, result)
        if not {losses.dtype.kind, gradients.dtype.kind} <= set(NUMBER_KINDS):
            raise TypeError(f"{owner} returned {_kind(result)}; both must be numbers: {_EXAMPLE}")
        if losses.shape not in ((), shape[:1], shape[:-1]) or gradients.shape != shape:
            accepted = " or ".join(map(str, dict.fromkeys((shape[:1], shape[:-1]))))
            raise ValueError(
                f"{owner} returned a loss of shape {losses.shape} and a gradient of shape "
                f"{gradients.shape}; the loss must be one number or of shape {accepted}, the "
                f"gradient of shape {shape}"
            )
        return losses.astype(np.float64), gradients.astype(np.float64)

    def _weight_of_one(self, sample_weight: Any) -> np.ndarray:
        raise ValueError(
            f"the loss function {self.name!r} returned one number for the batch, in which samples "
            "cannot be weighed; return the loss of each, of shape (batch,), with its gradient"
        )

    def check(
        self, y_true: Any, shape: tuple[int, ...], sample_weight: Any = None, logits: bool = False
    ) -> None:
        rows = slice(_ROWS_TRIED)
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        predictions = np.full((min(shape[0], _ROWS_TRIED), *shape[1:]), 0.5, np.float32)
        self._check_reduction()
        try:
            with np.errstate(all="ignore"):
                result = self._result(np.asarray(y_true)[rows], predictions)
        except Exception:
            return  # of so few rows, perhaps; what is wrong with a whole batch shows there
        losses, _ = self._checked(result, predictions.shape)
        self._weights(weights, losses.shape, None)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": function_name(self.fn), **self.kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LossFunctionWrapper:
        """Make one of what `get_config` returned; the function is found in `custom_objects`."""
        name = config.get("fn")
        function = custom_object(name) if isinstance(name, str) else name
        if not callable(function):
            raise ValueError(
                f"losses: the loss function {short.repr(name)} is not known; give "
                f"custom_objects={{{short.repr(name)}: the_function}}"
            )
        return cls(**{**config, "fn": function})

    def __repr__(self) -> str:
        return describe(self, fn=self.fn, **self.kwargs)


def function_name(function: Callable[..., Any]) -> str:
    """Return the name by which a function is logged and saved."""
    while hasattr(function, "func"):  # of functools.partial
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _kind(result: Any) -> str:
    if isinstance(result, tuple):
        return f"({', '.join(map(_kind, result))})"
    shape = f" of shape {result.shape}" if isinstance(result, np.ndarray) else ""
    return f"{type(result).__name__}{shape}"
