"""Training, evaluation and prediction, as a user calls them on a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from .. import optimizers
from .._core.naming import of_model
from ..callbacks import Callback, History
from . import loops
from .batches import Batch
from .fit_arguments import backup_of, callback_sequence
from .fit_state import Run
from .old_spellings import OldSpellings
from .train_step import TrainStep, as_result


class Trainer(OldSpellings):
    """The half of a model that is trained.

    `train_step`, `test_step` and `predict_step` may be overridden. The other half, a
    `models.model.Model`, has the name, the layers and the `TrainStep`.
    """

    _train_step: TrainStep

    def __init__(self) -> None:
        self.history: History | None = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._run: Run | None = None
        self._fit_state: dict[str, Any] | None = None

    # Compiling

    @property
    def optimizer(self) -> optimizers.Optimizer | None:
        """What trains the model; it may be assigned, as a name or an object."""
        return self._train_step.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._train_step.set_optimizer(value)

    @property
    def loss(self) -> Any:
        """What training makes smaller; it may be assigned, as a name or an object.

        A list or dict of losses where there are several outputs, as `compile` was given.
        """
        objectives = self._train_step.objectives
        return None if objectives is None else objectives.loss

    @loss.setter
    def loss(self, value: Any) -> None:
        self._train_step.set_objective("loss", value)

    @property
    def metrics(self) -> Any:
        """Names and objects of what is reported; it may be assigned, and changed in place."""
        objectives = self._train_step.objectives
        return [] if objectives is None else objectives.metrics

    @metrics.setter
    def metrics(self, value: Any) -> None:
        self._train_step.set_objective("metrics", value)

    @of_model
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        jit_compile: bool | str = "auto",
        steps_per_execution: int = 1,
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose how the model is trained.

        Args:
            optimizer: a name ("sgd", "adam", "rmsprop") or an object of
                `fastconv.optimizers`, which must not have trained another model.
            loss: a name ("binary_crossentropy", ...) or an object of
                `fastconv.losses`. After a last layer with "sigmoid" or
                "softmax" the matching cross-entropy is computed from logits.
            metrics: names or objects; a name is what the logs and the history
                call it. They do not regard sample weights. "accuracy" is of the
                kind that the shapes of targets and outputs ask for, as in Keras 3.
                Of several outputs, loss and metrics are a list with one (or a list)
                for each, or a dict by the outputs' names.
            loss_weights: what each output's loss counts in the sum that is trained
                on, 1 by default.
            weighted_metrics: metrics that regard sample weights.
            run_eagerly, jit_compile, steps_per_execution, auto_scale_loss:
                accepted as Keras's, and without effect: there is nothing to
                trace or to translate.
        """
        owner = self._train_step.model.owner
        if loss is None:
            raise ValueError(
                f"{owner}: compile: loss is None; it must be a name or a loss, for example "
                "loss='binary_crossentropy'"
            )
        self._train_step.compile(optimizer, loss, metrics, loss_weights, weighted_metrics)
        self._fit_state = None

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._train_step.compiled

    def objectives_config(self) -> dict[str, Any]:
        """Return the loss and metrics that `compile` was given, JSON values."""
        objectives = self._train_step.objectives
        return {} if objectives is None else objectives.get_config()

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns, in its order: "loss" and the metrics."""
        return ["loss", *self._train_step.meters().names] if self.compiled else []

    def larger_is_better(self, name: str) -> bool | None:
        """Return whether more of the logged `name` is better, None where that is not known."""
        if name in (f"{output}_loss" for output in getattr(self, "output_names", ())):
            return False
        return self._train_step.meters().larger_is_better(name)

    @property
    def epochs_done(self) -> int:
        """How many epochs the running, last or loaded training has behind it."""
        if self._run is not None:
            return self._run.epoch
        return 0 if self._fit_state is None else self._fit_state["epoch"]

    @property
    def fit_state(self) -> dict[str, Any] | None:
        """Where the running, last or loaded training stands, as checkpoints keep it."""
        return self._fit_state if self._run is None else self._run.get_state()

    @fit_state.setter
    def fit_state(self, state: dict[str, Any] | None) -> None:
        self._fit_state = state

    # One batch

    def train_step(self, batch: Batch) -> tuple[float, np.ndarray]:
        """Learn from one batch; return its mean loss and the model's output for it."""
        return self._train_step.train(batch)

    def test_step(self, batch: Batch) -> tuple[float, np.ndarray]:
        """Return one batch's mean loss and the model's output for it."""
        return self._train_step.test(batch)

    def predict_step(self, x: np.ndarray) -> np.ndarray:
        """Return the model's output for one batch, in memory that the next call overwrites."""
        return self._train_step.predict(x)

    @of_model
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Learn from one batch; return its loss, or [loss, metrics...], or a dict."""
        return self._train_step.train_alone(x, y, sample_weight, class_weight, return_dict)

    @of_model
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss of one batch, or [loss, metrics...], or a dict."""
        return self._train_step.test_alone(x, y, sample_weight, return_dict)

    def reset_metrics(self) -> None:
        """Do nothing: what `train_on_batch` and its like return is of the one batch."""

    @of_model
    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Return the output for one batch as a new array."""
        return self._train_step.predict_alone(x)

    # All batches

    @of_model
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
        resume_from: Any = None,
        *,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> History:
        """Train the model.

        Args:
            x, y: arrays (n, ...), or `x` alone, batches (x, y) or (x, y, weights)
                by themselves: any object with `__len__` and `__getitem__(i)`, any
                that `iter()` begins anew every epoch, such as PyTorch's
                DataLoader, or a generator together with `steps_per_epoch`.
            batch_size: rows in a batch, 32 by default; iterators bring theirs.
            epochs: the epoch to reach, counted from 1.
            verbose: 0 silent, 1 a progress line, 2 one line an epoch; "auto" is 1.
                Where the output is no terminal 1 is one line an epoch, too.
            callbacks: objects of `fastconv.callbacks`.
            validation_split: the share of the arrays, from their end, that is
                kept for validation where there is no `validation_data`.
            validation_data: (x, y), (x, y, sample_weight) or an iterator. Its
                classes must be the training's, where both tell them.
            shuffle: arrays in a new order every epoch; iterators order
                themselves.
            class_weight: {class index: weight}, by which rows are weighed; a
                row's class is its label, rounded, or its one-hot label's place.
            sample_weight: (n,) weights of the rows.
            initial_epoch: the epoch to begin with, counted from 0.
            steps_per_epoch: batches in an epoch; by default, all there are. A
                fraction, as len(x) / 32 may be, is rounded up.
                Unlike Keras, which ends the training where the data end before
                that, the next pass over them begins within the epoch.
            validation_steps, validation_batch_size: the same for the validation,
                which begins at the data's beginning every time.
            validation_freq: how many epochs lie between two validations, or the
                epochs, counted from 1, that end with one.
            resume_from: a checkpoint, written at an epoch's end by a run like
                this one, from which that run goes on: weights, optimizer,
                epoch, history, random states and callbacks are restored. What is
                gone through by `iter()` begins a new pass. Of a run that was
                stopped early, or has `epochs` behind it, nothing is left to do: a
                warning says so.
            workers, use_multiprocessing, max_queue_size: accepted as old Keras's,
                and without effect: iterators make batches ahead as they like.

        A finite generator must give all batches of all epochs: one that ends
        before is a ValueError, and so is one without `steps_per_epoch`, which
        Keras takes as one epoch.

        Returns the History. Raises before anything is changed if the data,
        the labels, a metric, a callback or an argument do not fit; CheckpointError
        if `resume_from` does not: model, callbacks, data and random numbers are
        then as before.
        """
        callbacks = callback_sequence(callbacks, f"{self._train_step.model.owner}: fit")
        loop = loops.FitLoop(
            self._train_step,
            epochs=epochs,
            initial_epoch=initial_epoch,
            class_weight=class_weight,
            validation_freq=validation_freq,
            verbose=verbose,
            resume_from=resume_from,
            backup=backup_of(callbacks),
        )
        loop.open_data(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps=steps_per_epoch,
            shuffle=shuffle,
            validation_data=validation_data,
            validation_split=validation_split,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
        )
        return loop.run(callbacks)

    @of_model
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        return_dict: bool = False,
        *,
        tta: str | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> Any:
        """Return the loss over the data, or [loss, metrics...], or a dict.

        Data as in `fit`, whose last three arguments are accepted as well.
        `steps` is the number of batches, where there are fewer they are gone
        through again; without it a generator is read to its end. Set
        `model.stop_evaluating` in a callback to end it after the batch. With
        `tta="flip"` (test-time augmentation) all is of the mean of the outputs
        for each image and for its mirror image.

        Raises ValueError if an iterator's classes are not those that the model
        was trained on, and for `tta` where outputs are more than a row an image
        or `test_step` is one of your own.
        """
        if tta is not None and type(self).test_step is not Trainer.test_step:
            owner = f"{self._train_step.model.owner}: evaluate"
            raise ValueError(f"{owner}: tta is {tta!r}; it must be None: test_step is your own")
        logs = loops.evaluate(
            self._train_step,
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps=steps,
            callbacks=callbacks,
            verbose=verbose,
            tta=tta,
        )
        return as_result(logs, return_dict)

    @of_model
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        *,
        tta: str | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> np.ndarray:
        """Return the model's output for every row, (n, ...) float32.

        `x` is an array or an iterator of batches, whose labels are ignored;
        the other arguments are those of `evaluate`. Set `model.stop_predicting`
        in a callback to end it after the batch. With `tta="flip"` a row is the
        mean of the outputs for the image and for its mirror image.

        Threads may call it at once, as a server's do: batches go one after the
        other, and the results are the same bits, in new memory. Without
        callbacks and with `verbose=0` an array of one batch takes no longer
        than `predict_on_batch`.
        """
        return loops.predict(
            self._train_step,
            x,
            batch_size=batch_size,
            steps=steps,
            callbacks=callbacks,
            verbose=verbose,
            tta=tta,
        )
