"""Ending a training whose loss is no longer a number."""

from __future__ import annotations

import math

from .base import Callback


class TerminateOnNaN(Callback):
    """Stop the training at the first batch with a loss that is NaN or infinite."""

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Batch {batch}: the loss is {loss}, training is stopped")
            self.model.stop_training = True
