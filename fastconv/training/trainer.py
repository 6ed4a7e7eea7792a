"""Training, evaluation and prediction: batch -> epoch -> fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from .._core.naming import of_model
from .._core.random import next_seed
from ..callbacks import Callback, CallbackList, History
from ..callbacks.base import note
from ..callbacks.monitor import whole_number
from ..callbacks.names import LogNames, Logs
from ..preprocessing.image_input import ImageInput
from .batches import Batch
from .fit_arguments import (
    ValidationEpochs,
    callback_sequence,
    progress,
    truth,
    validation_stream,
    verbosity,
    with_history,
)
from .fit_state import Meters, Run
from .labels import (
    check_class_weight,
    check_label_dtype,
    check_same_classes,
    class_indices_of,
    weigh_classes,
)
from .resumption import Resumption
from .streams import Stream, is_batch_iterator, split_validation, stream_of
from .train_step import BatchModel, as_result


class Trainer(BatchModel):
    """A model that goes through data, batch after batch."""

    # Training

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
            steps_per_epoch: batches in an epoch; by default, all there are.
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
        owner = f"{self.owner}: fit"
        self._require_compiled("fit")
        self._check_no_other(None)
        self.optimizer.claim(self)
        class_weight = check_class_weight(class_weight, owner)
        epochs = whole_number(epochs, "epochs", owner)
        initial_epoch = whole_number(initial_epoch, "initial_epoch", owner)
        validated = ValidationEpochs(validation_freq, owner)
        level = verbosity(verbose, owner)
        shuffle = truth(shuffle, "shuffle", owner)
        x = self._only_input(x, owner)
        resumption = None if resume_from is None else self._resumption(resume_from)
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
            start=initial_epoch,
            owner=owner,
            steps_argument="steps_per_epoch",
        )
        if train.needs_steps:
            raise ValueError(f"{owner}: give steps_per_epoch with a generator; it has no length")
        validation = validation_stream(
            validation_data, validation_batch_size, validation_steps, owner, batch_size
        )
        known = None if resume_from is None else self.class_names
        check_same_classes(known, class_indices_of(x), owner, "resumed run")
        check_same_classes(
            class_indices_of(x), class_indices_of(validation_data), f"{owner}: validation_data"
        )
        names = LogNames(("loss", *self._meters().names))
        if validation is not None:
            names = validated.log_names(names.always, initial_epoch, epochs)
        given, history = with_history(callback_sequence(callbacks, owner))
        params = {"epochs": epochs, "steps": train.steps, "verbose": level}
        callback_list = CallbackList([*progress(level), *given], self, names, **params)
        self._check_stream(train, "fit", class_weight)
        if validation is not None:
            self._check_stream(validation, "fit: validation_data")
        run = Run(train, validation, callback_list, history, epoch=initial_epoch)
        if resumption is not None:
            resumption.begin(run, epochs)
        self._learn_from_iterator(x)
        return self._fit_run(run, epochs, class_weight, validated, resumption is not None)

    def _check_stream(self, stream: Stream, method: str, class_weight: Any = None) -> None:
        """Raise, before anything is changed, unless the data fit the model and its loss."""
        with self._lock:
            self._prepare(stream.peek(), method, class_weight, stream.all_labels())

    def _check_no_other(self, run: Run | None) -> None:
        if self._run not in (None, run):
            raise RuntimeError(
                f"{self.owner}: fit: the model is being trained already; wait for the end of "
                "that fit(), or train a copy.deepcopy(model)"
            )

    def _fit_run(self, run: Run, *arguments: Any) -> History:
        """Go through the run's epochs; the callbacks are closed however it ends."""
        with self._lock:
            self._check_no_other(run)
            self._run = run
        self.history = run.history
        self.stop_training = run.stopped
        with run.callbacks.closing():
            try:
                self._run_epochs(run, *arguments)
            except BaseException as error:
                self._keep_state(run, error)
                raise
            self._keep_state(run)
        return run.history

    def _keep_state(self, run: Run, error: BaseException | None = None) -> None:
        """Keep where an ended run stands; a failure of that does not hide the run's own `error`."""
        self._run = self._run_state = None
        try:
            self._run_state = run.get_state()
        except Exception as failure:
            if error is None:
                raise
            note(error, f"the state of the run could not be kept: {failure!r}")

    def _run_epochs(
        self,
        run: Run,
        epochs: int,
        class_weight: dict[int, float] | None,
        validated: ValidationEpochs,
        begun: bool,
    ) -> None:
        callbacks = run.callbacks
        if not begun:
            callbacks.call("on_train_begin", {})
        logs = Logs()
        # As in Keras a stop counts after the next batch, whenever it is asked for.
        while run.epoch < epochs and not run.stopped:
            epoch = run.epoch
            run.train.begin()
            callbacks.call("on_epoch_begin", epoch, {})
            logs = self._train_epoch(run, class_weight)
            if run.validation is not None and epoch in validated:
                batches = run.validation.one_pass()
                result = self._test_batches(batches, callbacks, self._meters())
                logs.update({f"val_{name}": value for name, value in result.items()})
            # The state that a checkpoint at the epoch's end holds is the next one's.
            run.epoch, run.batch = epoch + 1, 0
            callbacks.call("on_epoch_end", epoch, logs)
            run.stopped = bool(self.stop_training)
        callbacks.call("on_train_end", logs)

    def _train_epoch(self, run: Run, class_weight: dict[int, float] | None):
        """Train on every batch of an epoch; return the epoch's logs."""
        meters = self._meters()
        owner = f"{self.owner}: the iterator's batch"
        for index, batch in enumerate(run.train.take()):
            run.callbacks.call("on_train_batch_begin", index, {})
            batch = weigh_classes(batch, class_weight, owner)
            with self._lock:
                self._check_batch(batch)
                meters.update(batch, *self.train_step(batch))
            run.batch = index + 1
            run.callbacks.call("on_train_batch_end", index, meters.logs())
            if self.stop_training:
                break
        return meters.logs()

    def _check_batch(self, batch: Batch) -> None:
        """Check what may differ between an iterator's batches; the first was checked in full."""
        self._prepare_input(batch.x.shape, "the iterator's batch")
        if batch.y is None:
            raise ValueError(f"{self.owner}: the iterator gave no labels; it must give (x, y)")
        check_label_dtype(batch.y, f"{self.owner}: the iterator's batch")
        self._try_metrics(batch.y, "the iterator's batch")

    def _resumption(self, path: Any) -> Resumption:
        return Resumption(self, path)

    def _learn_from_iterator(self, data: Any) -> None:
        """Keep the classes' names, and how the images are made, for predictions."""
        indices = getattr(data, "class_indices", None)
        if isinstance(indices, Mapping) and indices:
            self.class_names = sorted(indices, key=indices.get)
        ImageInput.note(self, data)

    @of_model
    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Iterable[Callback] | None = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: int | Collection[int] = 1,
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
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> Any:
        """Return the loss over the data, or [loss, metrics...], or a dict.

        Data as in `fit`, whose last three arguments are accepted as well.
        `steps` is the number of batches, where there are fewer they are gone
        through again; without it a generator is read to its end. Set
        `model.stop_evaluating` in a callback to end it after the batch.

        Raises ValueError if an iterator's classes are not those that the model
        was trained on.
        """
        self._require_compiled("evaluate")
        owner = f"{self.owner}: evaluate"
        check_same_classes(self.class_names, class_indices_of(x), owner)
        x = self._only_input(x, owner)
        stream = stream_of(x, y, sample_weight, batch_size=batch_size, steps=steps, owner=owner)
        callback_list = self._callbacks_for(callbacks, verbose, stream.steps, owner)
        with self._lock:
            self._prepare(stream.peek(), "evaluate")
        with callback_list.closing():
            logs = self._test_batches(stream.one_pass(), callback_list, self._meters())
        return as_result(logs, return_dict)

    def _test_batches(self, batches: Iterable[Batch], callbacks: CallbackList, meters: Meters):
        self.stop_evaluating = False
        callbacks.call("on_test_begin", {})
        for index, batch in enumerate(batches):
            callbacks.call("on_test_batch_begin", index, {})
            with self._lock:
                self._check_batch(batch)
                meters.update(batch, *self.test_step(batch))
            callbacks.call("on_test_batch_end", index, meters.logs())
            if self.stop_evaluating:
                break
        logs = meters.logs()
        callbacks.call("on_test_end", logs)
        return logs

    @of_model
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        *,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> np.ndarray:
        """Return the model's output for every row, (n, ...) float32.

        `x` is an array or an iterator of batches, whose labels are ignored;
        the other arguments are those of `evaluate`. Set `model.stop_predicting`
        in a callback to end it after the batch.
        """
        owner = f"{self.owner}: predict"
        x = self._only_input(x, owner)
        stream = stream_of(x, batch_size=batch_size, steps=steps, owner=owner)
        callback_list = self._callbacks_for(callbacks, verbose, stream.steps, owner)
        outputs = []
        self.stop_predicting = False
        with callback_list.closing():
            callback_list.call("on_predict_begin", {})
            for index, batch in enumerate(stream.one_pass()):
                callback_list.call("on_predict_batch_begin", index, {})
                with self._lock:
                    self._prepare_input(batch.x.shape, "predict")
                    outputs.append(np.array(self.predict_step(batch.x)))
                callback_list.call("on_predict_batch_end", index, {"outputs": outputs[-1]})
                if self.stop_predicting:
                    break
            callback_list.call("on_predict_end", {})
        return np.concatenate(outputs)

    def _callbacks_for(self, callbacks, verbose, steps: int | None, owner: str) -> CallbackList:
        level = verbosity(verbose, owner)
        given = [*progress(level), *callback_sequence(callbacks, owner)]
        return CallbackList(given, self, epochs=1, steps=steps, verbose=level)
