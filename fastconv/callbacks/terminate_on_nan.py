"""Ending a training whose loss is no longer a number."""

from __future__ import annotations

import math

from .base import Callback
from .output import say


class TerminateOnNaN(Callback):
    """Stop the training at the first batch with a loss that is NaN or infinite.

    With `raise_error` it is ended by a RuntimeError instead, and no callback's
    `on_train_end` is called.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"{self._owner}: the loss of batch {batch} is {loss}")
            say(f"Batch {batch}: the loss is {loss}, training is stopped")
            self.model.stop_training = True
