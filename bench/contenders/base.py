"""What contenders of the models' comparison share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

TRAINING_STEP = "training step"


def prediction(batch: int) -> str:
    """Return the name of the operation that predicts `batch` images."""
    return f"prediction of {batch}"


class ModelContender:
    """A library that trains, or predicts with, a model given as a task.

    A subclass defines `build`, `predictor` and, if it trains, `trainer` and
    `reset_weights`.  `prepare` runs every operation once, so that a library
    that compiles at the first call has done so before anything is timed.
    """

    def __init__(self, *, threads: int, mode: str, batch_sizes: tuple[int, ...] = ()) -> None:
        self.threads = threads
        self.mode = mode
        self.batch_sizes = batch_sizes
        self.operations: dict[str, Callable[[], Any]] = {}

    # For subclasses.

    def build(self, task: Any) -> None:
        """Make the model of `task` with its weights."""
        raise NotImplementedError

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        """Return what predicts `x` (NHWC), converted beforehand; gives an array of (batch, 1)."""
        raise NotImplementedError

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        """Return what makes one step on `x` and `y` and gives the loss before it."""
        raise NotImplementedError

    def reset_weights(self) -> None:
        """Put the task's weights back."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Return what the report says besides the times; asked for after all else."""
        return {}

    # For the parent.

    def prepare(self, task: Any, converted: Mapping[int, Any] | None = None) -> dict[str, Any]:
        """Build, run each operation once and return the outputs to be compared.

        `converted` are the model's files, by batch sizes, for a peer that reads such.

        "outputs" are the predictions for the whole batch; of training without dropout "loss" is
        the first step's, "next loss" the second's, which the first one's gradients made.
        """
        self.task = task
        self.converted = converted or {}
        self.build(task)
        if self.mode == "predict":
            for size in self.batch_sizes:
                self.operations[prediction(size)] = self.predictor(task.x[:size])
            outputs = {size: self._run(prediction(size)) for size in self.batch_sizes}
            return {"outputs": outputs}
        outputs = {len(task.x): np.array(self.predictor(task.x)(), np.float32).reshape(-1)}
        self.operations[TRAINING_STEP] = self.trainer(task.x, task.y)
        loss, following = (float(self.operations[TRAINING_STEP]()) for _ in range(2))
        if not task.deterministic:
            return {"outputs": outputs}
        return {"outputs": outputs, "loss": loss, "next loss": following}

    def restore(self) -> None:
        """Put the weights back, so that rounds do not drift away from the photos' statistics."""
        if self.mode == "train":
            self.reset_weights()

    def _run(self, operation: str) -> np.ndarray:
        return np.array(self.operations[operation](), np.float32).reshape(-1)
