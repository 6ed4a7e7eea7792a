"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import Callback


class LambdaCallback(Callback):
    """Call the given functions at the moments they are named after.

    `on_epoch_begin` and `on_epoch_end` are handed (epoch, logs), the batch
    functions (batch, logs), `on_train_begin` and `on_train_end` (logs). Any
    other method of `Callback` may be given by name as well.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **others: Callable[..., Any] | None,
    ) -> None:
        super().__init__()
        functions = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **others,
        }
        for name, function in functions.items():
            if not (name.startswith("on_") and hasattr(Callback, name)):
                raise TypeError(
                    f"LambdaCallback: an argument is {name!r}; it must be a moment's name, such as "
                    "on_epoch_end"
                )
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"LambdaCallback: {name} is {function!r}; it must be a function")
            setattr(self, name, function)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}=..." for name in vars(self) if name.startswith("on_"))
        return f"{type(self).__name__}({given})"
