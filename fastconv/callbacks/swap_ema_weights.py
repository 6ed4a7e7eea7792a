"""Evaluating with the averages of the weights that the optimizer keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import Callback


class SwapEMAWeights(Callback):
    """Give the model its weights' averages for each evaluation, validation and prediction.

    The optimizer must have `use_ema=True`. With `swap_on_epoch` the averages stay in the
    model from an epoch's end to the next one's begin, so that a `ModelCheckpoint` saves and an
    `EarlyStopping` remembers what was validated, wherever they stand among the callbacks; who
    goes on from such a file trains the weights that belong to them. Without it both keep the
    training's own weights, as in Keras.

    However a run ends, the training's own weights are back after it, but for a `fit` that
    comes to its end: it leaves the averages in the model, as it does without this callback.
    """

    runs_last = -1  # at an epoch's end it is the first

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def set_params(self, params: Mapping[str, Any]) -> None:
        super().set_params(params)
        if not getattr(self.model.optimizer, "use_ema", False):
            raise ValueError(
                f"{self._owner}: the model's optimizer keeps no averages; compile it with one "
                "that has use_ema=True"
            )

    def _swap_in(self) -> None:
        if not self.model.optimizer.averages_in_model:
            self._swap()
            self._swapped = True

    def _swap_out(self) -> None:
        if self._swapped and self.model.optimizer.averages_in_model:
            self._swap()
        self._swapped = False

    def _swap(self) -> None:
        with self.model.layers_lock:
            self.model.optimizer.swap_averages()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._swap_out()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.swap_on_epoch:
            self._swap_in()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._swap_in()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self._swap_out()

    def on_predict_begin(self, logs: dict[str, float] | None = None) -> None:
        self._swap_in()

    def on_predict_end(self, logs: dict[str, float] | None = None) -> None:
        self._swap_out()

    def close(self) -> None:
        self._swap_out()
