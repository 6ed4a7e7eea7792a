"""Scalars for TensorBoard."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

from .._core.validation import positive_integer, truth
from .base import Callback


class TensorBoard(Callback):
    """Log losses, metrics and the learning rate where TensorBoard reads them.

    `log_dir/train` and `log_dir/validation` get the tags `epoch_loss`,
    `epoch_accuracy`, ... for every epoch, and `train` also
    `epoch_learning_rate`. View them with `tensorboard --logdir=log_dir`.

    Args:
        log_dir: the folder; it is made if missing.
        histogram_freq, write_images, write_grads, profile_batch: accepted as Keras's, old ones
            too; a warning says that histograms, images and profiles are not written.
        write_graph: accepted as Keras's, and without effect: no graph is written.
        write_steps_per_second: log `epoch_steps_per_second`, of training alone, as well.
        update_freq: "epoch"; or "batch", or a number of batches, to log
            `batch_loss` and the like as well.
        embeddings_freq, embeddings_metadata, embeddings_layer_names, embeddings_data: 0 and
            None; embeddings are not written.
        batch_size: accepted as old Keras's, and without effect.

    Raises ImportError without the package `tensorboard`:
    `pip install 'fastconv[tensorboard]'`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        batch_size: int | None = None,
        write_grads: bool = False,
        embeddings_layer_names: Any = None,
        embeddings_data: Any = None,
    ) -> None:
        super().__init__()
        for name, value, what in (
            ("histogram_freq", histogram_freq, "histograms of weights"),
            ("write_images", write_images, "images of weights"),
            ("write_grads", write_grads, "histograms of gradients"),
            ("profile_batch", profile_batch, "profiles"),
        ):
            if value:
                warnings.warn(
                    f"TensorBoard: {name} is {value!r} and has no effect: {what} are not written",
                    stacklevel=2,
                )
        for name, value in (
            ("embeddings_freq", embeddings_freq),
            ("embeddings_metadata", embeddings_metadata),
            ("embeddings_layer_names", embeddings_layer_names),
            ("embeddings_data", embeddings_data),
        ):
            if value:
                raise ValueError(
                    f"TensorBoard: {name} is {value!r}; it must be left out: embeddings are not "
                    "written"
                )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.profile_batch = histogram_freq, profile_batch
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second = truth(
            write_steps_per_second, "write_steps_per_second", "TensorBoard"
        )
        self.update_freq = update_freq
        if update_freq == "batch":
            self._every = 1
        elif update_freq == "epoch":
            self._every = 0
        else:
            self._every = positive_integer(update_freq, "update_freq", "TensorBoard")
        self._writer_class = _writer_class()
        self._writers: dict[str, Any] = {}
        self._began = (0.0, 0)  # the epoch's: seconds, steps
        self._steps_per_second: float | None = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._began = (time.perf_counter(), self.model.optimizer.iterations)
        self._steps_per_second = None

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._measure()

    def _measure(self) -> float:
        """Return how fast the epoch's steps were, noted at the first validation after them."""
        if self._steps_per_second is None:
            seconds, steps = self._began
            passed = max(time.perf_counter() - seconds, 1e-9)
            self._steps_per_second = (self.model.optimizer.iterations - steps) / passed
        return self._steps_per_second

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._every and self.model.optimizer.iterations % self._every == 0:
            step = self.model.optimizer.iterations
            for name, value in (logs or {}).items():
                self._writer("train").add_scalar(f"batch_{name}", value, step)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = {**(logs or {}), "learning_rate": float(self.model.optimizer.learning_rate)}
        if self.write_steps_per_second:
            values["steps_per_second"] = self._measure()
        for name, value in values.items():
            folder = "validation" if name.startswith("val_") else "train"
            self._writer(folder).add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def _writer(self, folder: str) -> Any:
        if folder not in self._writers:
            self._writers[folder] = self._writer_class(os.path.join(self.log_dir, folder))
        return self._writers[folder]

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _writer_class() -> Any:
    try:
        from tensorboard.summary import Writer
    except ImportError as error:
        raise ImportError(
            "TensorBoard: the package 'tensorboard' cannot be imported "
            f"({error}); install it with: pip install 'fastconv[tensorboard]'"
        ) from error
    return Writer
