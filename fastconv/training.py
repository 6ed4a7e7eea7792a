"""Training, evaluation and prediction: batch -> epoch -> fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .batches import (
    Batch,
    Stream,
    check_class_weight,
    check_label_dtype,
    is_batch_iterator,
    split_validation,
    stream_of,
    weigh_classes,
)
from .callbacks import Callback, CallbackList, History, ProgressLine
from .callbacks.monitor import whole_number
from .image_input import ImageInput
from .random import next_seed
from .run import Meters, Run
from .stepping import BatchModel, as_result


class Trainer(BatchModel):
    """A model that goes through data, batch after batch."""

    # Training

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
        validation_freq: int = 1,
        resume_from: Any = None,
    ) -> History:
        """Train the model.

        Args:
            x, y: arrays (n, ...), or `x` alone: an iterator of batches (any
                object with `__len__` and `__getitem__(i) -> (x, y)`, or a
                generator together with `steps_per_epoch`).
            batch_size: rows in a batch, 32 by default; iterators bring theirs.
            epochs: the epoch to reach, counted from 1.
            verbose: 0 silent, 1 a progress line, 2 one line an epoch; "auto" is 1.
                Where the output is no terminal 1 is one line an epoch, too.
            callbacks: objects of `fastconv.callbacks`.
            validation_split: the share of the arrays, from their end, that is
                kept for validation.
            validation_data: (x, y), (x, y, sample_weight) or an iterator.
            shuffle: arrays in a new order every epoch; iterators order
                themselves.
            class_weight: {class index: weight}.
            sample_weight: (n,) weights of the rows.
            initial_epoch: the epoch to begin with, counted from 0.
            steps_per_epoch: batches in an epoch; by default, all there are.
            validation_steps, validation_batch_size, validation_freq: the same
                for the validation, and how many epochs lie between two.
            resume_from: a checkpoint, written at an epoch's end by a run like
                this one, from which that run goes on: weights, optimizer,
                epoch, history, random states and callbacks are restored.

        Returns the History. Raises before anything is changed if the data,
        the labels or an argument do not fit.
        """
        owner = f"{self.owner}: fit"
        self._require_compiled("fit")
        self.optimizer.claim(self)
        class_weight = check_class_weight(class_weight, owner)
        epochs = whole_number(epochs, "epochs", owner)
        validation_freq = whole_number(validation_freq, "validation_freq", owner, minimum=1)
        level = _verbosity(verbose, owner)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(
                validation_split, x, y, sample_weight, owner
            )
        train = stream_of(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            seed=next_seed() if shuffle and not is_batch_iterator(x) else None,
            steps=steps_per_epoch,
            start=whole_number(initial_epoch, "initial_epoch", owner),
            owner=owner,
        )
        if train.steps is None:
            raise ValueError(f"{owner}: give steps_per_epoch with a generator; it has no length")
        validation = _validation_stream(
            validation_data, validation_batch_size or batch_size, validation_steps, owner
        )
        history = History()
        callback_list = CallbackList(
            [*_progress(level), *_callback_sequence(callbacks), history],
            self,
            epochs=epochs,
            steps=train.steps,
            verbose=level,
        )
        self._check_stream(train, "fit", class_weight)
        if validation is not None:
            self._check_stream(validation, "fit: validation_data")
        run = Run(train, validation, callback_list, history, epoch=initial_epoch)
        saved = None if resume_from is None else self._restore(resume_from)
        self._learn_from_iterator(x)
        return self._fit_run(run, saved, epochs, class_weight, validation_freq)

    def _check_stream(self, stream: Stream, method: str, class_weight: Any = None) -> None:
        """Raise, before anything is changed, unless the data fit the model and its loss."""
        with self._lock:
            self._prepare(weigh_classes(stream.peek(), class_weight), method)
            self._check_labels(*stream.all_labels(), method)

    def _fit_run(
        self,
        run: Run,
        saved: dict[str, Any] | None,
        epochs: int,
        class_weight: dict[int, float] | None,
        validation_freq: int,
    ) -> History:
        """Go from the run's epoch to `epochs`; the callbacks are closed however it ends."""
        with self._lock:
            if self._run is not None:
                raise RuntimeError(
                    f"{self.owner}: fit: the model is being trained already; wait for the end of "
                    "that fit(), or train a copy.deepcopy(model)"
                )
            self._run = run
        self.history = run.history
        self.stop_training = False
        callbacks = run.callbacks
        try:
            callbacks.call("on_train_begin", {})
            if saved is not None:
                run.set_state(saved)
                self.stop_training = run.stopped
            while run.epoch < epochs and not self.stop_training:
                epoch = run.epoch
                run.train.begin()
                callbacks.call("on_epoch_begin", epoch, {})
                logs = self._train_epoch(run, class_weight)
                if run.validation is not None and (epoch + 1) % validation_freq == 0:
                    batches = run.validation.one_pass()
                    result = self._test_batches(batches, callbacks, self._meters())
                    logs.update({f"val_{name}": value for name, value in result.items()})
                # The state that a checkpoint at the epoch's end holds is the next one's.
                run.epoch, run.batch = epoch + 1, 0
                callbacks.call("on_epoch_end", epoch, logs)
            run.stopped = self.stop_training
            callbacks.call("on_train_end", {})
        finally:
            self._run_state = run.get_state()
            self._run = None
            callbacks.close()
        return run.history

    def _train_epoch(self, run: Run, class_weight: dict[int, float] | None):
        """Train on every batch of an epoch; return the epoch's logs."""
        meters = self._meters()
        for index, batch in enumerate(run.train.take()):
            if self.stop_training:
                break
            run.callbacks.call("on_train_batch_begin", index, {})
            batch = weigh_classes(batch, class_weight)
            with self._lock:
                self._check_batch(batch)
                meters.update(batch, *self.train_step(batch))
            run.batch = index + 1
            run.callbacks.call("on_train_batch_end", index, meters.logs())
        return meters.logs()

    def _check_batch(self, batch: Batch) -> None:
        """Check what may differ between an iterator's batches; the first was checked in full."""
        self._prepare_input(batch.x.shape, "the iterator's batch")
        if batch.y is None:
            raise ValueError(f"{self.owner}: the iterator gave no labels; it must give (x, y)")
        check_label_dtype(batch.y, f"{self.owner}: the iterator's batch")

    def _restore(self, path: Any) -> dict[str, Any]:
        from . import checkpoint  # which knows models, as this module does not

        return checkpoint.restore_run(self, path)

    def _learn_from_iterator(self, data: Any) -> None:
        """Keep the classes' names, and how the images are made, for predictions."""
        indices = getattr(data, "class_indices", None)
        if indices:
            self.class_names = sorted(indices, key=indices.get)
        ImageInput.note(self, data)

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Iterable[Callback] | None = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: int = 1,
        class_weight: dict[int, float] | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> History:
        """Train on an iterator of batches: the old spelling of `fit`.

        `max_queue_size`, `workers` and `use_multiprocessing` are accepted and
        have no effect.
        """
        return self.fit(
            generator,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    # Evaluation and prediction

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
    ) -> Any:
        """Return the loss over the data, or [loss, metrics...], or a dict.

        Data as in `fit`; `steps` limits the number of batches.
        """
        self._require_compiled("evaluate")
        owner = f"{self.owner}: evaluate"
        stream = stream_of(x, y, sample_weight, batch_size=batch_size, steps=steps, owner=owner)
        callback_list = self._callbacks_for(callbacks, verbose, stream.steps, owner)
        with self._lock:
            self._prepare(stream.peek(), "evaluate")
        try:
            logs = self._test_batches(stream.one_pass(), callback_list, self._meters())
        finally:
            callback_list.close()
        return as_result(logs, return_dict)

    def _test_batches(self, batches: Iterable[Batch], callbacks: CallbackList, meters: Meters):
        callbacks.call("on_test_begin", {})
        for index, batch in enumerate(batches):
            callbacks.call("on_test_batch_begin", index, {})
            with self._lock:
                self._check_batch(batch)
                meters.update(batch, *self.test_step(batch))
            callbacks.call("on_test_batch_end", index, meters.logs())
        logs = meters.logs()
        callbacks.call("on_test_end", logs)
        return logs

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
    ) -> np.ndarray:
        """Return the model's output for every row, (n, ...) float32.

        `x` is an array or an iterator of batches, whose labels are ignored.
        """
        owner = f"{self.owner}: predict"
        stream = stream_of(x, batch_size=batch_size, steps=steps, owner=owner)
        callback_list = self._callbacks_for(callbacks, verbose, stream.steps, owner)
        outputs = []
        try:
            callback_list.call("on_predict_begin", {})
            for index, batch in enumerate(stream.one_pass()):
                callback_list.call("on_predict_batch_begin", index, {})
                with self._lock:
                    self._prepare_input(batch.x.shape, "predict")
                    outputs.append(np.array(self.predict_step(batch.x)))
                callback_list.call("on_predict_batch_end", index, {"outputs": outputs[-1]})
            callback_list.call("on_predict_end", {})
        finally:
            callback_list.close()
        return np.concatenate(outputs)

    def _callbacks_for(self, callbacks, verbose, steps: int | None, owner: str) -> CallbackList:
        level = _verbosity(verbose, owner)
        return CallbackList(
            [*_progress(level), *_callback_sequence(callbacks)],
            self,
            epochs=1,
            steps=steps,
            verbose=level,
        )


def _validation_stream(
    data: Any, batch_size: int | None, steps: int | None, owner: str
) -> Stream | None:
    if data is None:
        return None
    owner = f"{owner}: validation_data"
    if not isinstance(data, (tuple, list)):
        stream = stream_of(data, steps=steps, owner=owner)
        if stream.steps is None:
            raise ValueError(f"{owner} is a generator; give validation_steps as well")
        return stream
    if len(data) not in (2, 3):
        raise ValueError(f"{owner} has {len(data)} parts; give (x, y) or (x, y, sample_weight)")
    return stream_of(*data, batch_size=batch_size, steps=steps, owner=owner)


def _callback_sequence(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    return [callbacks] if isinstance(callbacks, Callback) else list(callbacks)


def _progress(verbosity: int) -> list[Callback]:
    return [ProgressLine(live=verbosity == 1)] if verbosity else []


def _verbosity(verbose: Any, owner: str) -> int:
    if verbose == "auto":
        return 1
    if verbose not in (0, 1, 2):
        raise ValueError(f"{owner}: verbose is {verbose!r}; 0, 1, 2 and 'auto' are accepted")
    return int(verbose)
