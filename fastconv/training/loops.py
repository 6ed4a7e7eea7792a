"""Going through data, batch after batch: the loops of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .._core.random import next_seed
from .._core.validation import natural, truth
from ..callbacks import CallbackList, History
from ..callbacks.base import note
from ..callbacks.names import LogNames, Logs
from .batches import Batch
from .fit_arguments import (
    ValidationEpochs,
    callback_sequence,
    progress,
    validation_stream,
    verbosity,
    with_history,
)
from .fit_state import Run
from .labels import check_class_weight, check_same_classes, class_indices_of, weigh_classes
from .mirroring import averaged, check_tta, test_averaged
from .model import TrainableModel
from .resumption import Resumption
from .streams import BATCH_SIZE, Stream, is_batch_iterator, split_validation, stream_of
from .train_step import TrainStep


class FitLoop:
    """One call of `fit`: arguments and data, checked before anything is changed, and the epochs.

    `open_data`, then `run`.
    """

    def __init__(
        self,
        step: TrainStep,
        *,
        epochs: Any,
        initial_epoch: Any,
        class_weight: Any,
        validation_freq: int | Collection[int],
        verbose: Any,
        resume_from: Any,
        backup: str | None = None,
    ) -> None:
        self.step, self.model = step, step.model
        self.owner = owner = f"{self.model.owner}: fit"
        optimizer = step.require_compiled("fit")
        self._check_no_other(None)
        optimizer.claim(self.model)
        self.class_weight = check_class_weight(class_weight, owner)
        self.epochs = natural(epochs, "epochs", owner)
        self.initial_epoch = natural(initial_epoch, "initial_epoch", owner)
        self.validated = ValidationEpochs(validation_freq, owner)
        self.verbosity = verbosity(verbose, owner)
        self._resume_from = resume_from
        self._backup = backup

    def _check_no_other(self, run: Run | None) -> None:
        if self.model._run not in (None, run):
            raise RuntimeError(
                f"{self.owner}: the model is being trained already; wait for the end of that "
                "fit(), or train a copy.deepcopy(model)"
            )

    # Before the run

    def open_data(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        *,
        batch_size: int | None,
        steps: int | None,
        shuffle: bool,
        validation_data: Any,
        validation_split: float,
        validation_steps: int | None,
        validation_batch_size: int | None,
    ) -> None:
        """Make the streams of training and validation; read the checkpoint to go on from."""
        owner = self.owner
        shuffle = truth(shuffle, "shuffle", owner)
        x, ports = self.step.inputs(x, owner)
        self._resumption = None
        if self._backup is not None:  # it is of later than `resume_from`
            self._resumption = Resumption(self.model, self._backup, repeat_epoch=True)
        elif self._resume_from is not None:
            self._resumption = Resumption(self.model, self._resume_from)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(
                validation_split, x, y, sample_weight, owner, ports
            )
        self._data, self._validation_data = x, validation_data
        self.train = stream_of(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            seed=next_seed() if shuffle and not is_batch_iterator(x) else None,
            steps=steps,
            start=self.initial_epoch,
            owner=owner,
            steps_argument="steps_per_epoch",
            ports=ports,
        )
        if self.train.needs_steps:
            raise ValueError(
                f"{owner}: steps_per_epoch is None; it must be given with a generator, which has "
                "no length"
            )
        self.validation = validation_stream(
            validation_data, validation_batch_size, validation_steps, owner, batch_size, ports
        )
        self._check_classes()

    def _check_classes(self) -> None:
        known = None if self._resumption is None else self.model.class_names
        mine = class_indices_of(self._data)
        check_same_classes(known, mine, self.owner, "resumed run", stacklevel=5)
        theirs = class_indices_of(self._validation_data)
        check_same_classes(mine, theirs, f"{self.owner}: validation_data", stacklevel=5)

    def _log_names(self) -> LogNames:
        names = LogNames(("loss", *self.step.meters().names))
        if self.validation is None:
            return names
        return self.validated.log_names(names.always, self.initial_epoch, self.epochs)

    def _check_stream(self, stream: Stream, method: str, class_weight: Any = None) -> None:
        """Raise, before anything is changed, unless the data fit the model and its loss."""
        with self.model.layers_lock:
            self.step.prepare(stream.peek(), method, class_weight, stream.all_labels())

    # The run

    def run(self, callbacks: Any) -> History:
        """Go through the epochs with `callbacks`; these are closed however it ends."""
        run = self._begin(callbacks)
        model = self.model
        with model.layers_lock:
            self._check_no_other(run)
            model._run = run
        model.history = run.history
        model.stop_training = run.stopped
        with run.callbacks.closing():
            try:
                self._run_epochs(run)
            except BaseException as error:
                self._keep_state(run, error)
                raise
            self._keep_state(run)
        return run.history

    def _begin(self, callbacks: Any) -> Run:
        """Check what is left to check; put the run where the one that is resumed was."""
        names = self._log_names()
        given, history = with_history(callback_sequence(callbacks, self.owner))
        params = {"epochs": self.epochs, "steps": self.train.steps, "verbose": self.verbosity}
        callback_list = CallbackList(
            [*progress(self.verbosity), *given], self.model, names, **params
        )
        self._check_stream(self.train, "fit", self.class_weight)
        if self.validation is not None:
            self._check_stream(self.validation, "fit: validation_data")
        callback_list.call("set_examples", (self.validation or self.train).peek)
        run = Run(self.train, self.validation, callback_list, history, epoch=self.initial_epoch)
        if self._resumption is not None:
            self._resumption.begin(run, self.epochs)
        _learn_from_iterator(self.model, self._data)
        return run

    def _keep_state(self, run: Run, error: BaseException | None = None) -> None:
        """Keep where an ended run stands; a failure of that does not hide the run's own `error`."""
        self.model._run = self.model._fit_state = None
        try:
            self.model._fit_state = run.get_state()
        except Exception as failure:
            if error is None:
                raise
            note(error, f"the state of the run could not be kept: {failure!r}")

    def _run_epochs(self, run: Run) -> None:
        callbacks = run.callbacks
        if self._resumption is None:  # which else has told them
            callbacks.call("on_train_begin", {})
        logs = Logs()
        # As in Keras a stop counts after the next batch, whenever it is asked for.
        while run.epoch < self.epochs and not run.stopped:
            epoch = run.epoch
            run.train.begin()
            callbacks.call("on_epoch_begin", epoch, {})
            logs = self._train_epoch(run)
            if run.validation is not None and epoch in self.validated:
                result = evaluate_batches(self.step, run.validation.one_pass(), callbacks)
                logs.update({f"val_{name}": value for name, value in result.items()})
            # The state that a checkpoint at the epoch's end holds is the next one's.
            run.epoch, run.batch = epoch + 1, 0
            callbacks.call("on_epoch_end", epoch, logs)
            run.stopped = bool(self.model.stop_training)
        self.step.finish_training()
        callbacks.call("on_train_end", logs)

    def _train_epoch(self, run: Run) -> Logs:
        """Train on every batch of an epoch; return the epoch's logs."""
        model, meters = self.model, self.step.meters()
        owner = f"{model.owner}: the iterator's batch"
        for index, batch in enumerate(run.train.take()):
            run.callbacks.call("on_train_batch_begin", index, {})
            batch = weigh_classes(batch, self.class_weight, owner)
            with model.layers_lock:
                self.step.check_later_batch(batch)
                meters.update(batch, *model.train_step(batch))
            run.batch = index + 1
            run.callbacks.call("on_train_batch_end", index, meters.logs())
            if model.stop_training:
                break
        return meters.logs()


def _learn_from_iterator(model: TrainableModel, data: Any) -> None:
    """Keep the classes' names, and how the images are made, for predictions."""
    indices = getattr(data, "class_indices", None)
    if isinstance(indices, Mapping) and indices:
        model.class_names = sorted(indices, key=lambda name: indices[name])
    if hasattr(data, "image_data_generator"):
        # What reads images takes a quarter of the time that all other modules of models take.
        from ..preprocessing.image_input import ImageInput

        ImageInput.note(model, data)


def evaluate(
    step: TrainStep,
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    steps: int | None,
    callbacks: Any,
    verbose: Any,
    tta: Any = None,
) -> Logs:
    """Return loss and metrics over the data; see `Trainer.evaluate`."""
    model = step.model
    step.require_compiled("evaluate")
    owner = f"{model.owner}: evaluate"
    check_same_classes(model.class_names, class_indices_of(x), owner, stacklevel=4)
    x, ports = step.inputs(x, owner)
    stream = stream_of(
        x, y, sample_weight, batch_size=batch_size, steps=steps, owner=owner, ports=ports
    )
    callback_list = _callbacks_for(model, callbacks, verbose, stream.steps, owner)
    with model.layers_lock:
        step.prepare(stream.peek(), "evaluate")
        mirrors = check_tta(tta, step, owner)
    with callback_list.closing():
        return evaluate_batches(step, stream.one_pass(), callback_list, mirrors)


def evaluate_batches(
    step: TrainStep, batches: Iterable[Batch], callbacks: CallbackList, mirrors: bool = False
) -> Logs:
    """Return loss and metrics over `batches`, of outputs averaged with mirror images' if asked."""
    model, meters = step.model, step.meters()
    test = partial(test_averaged, step) if mirrors else model.test_step
    model.stop_evaluating = False
    callbacks.call("on_test_begin", {})
    for index, batch in enumerate(batches):
        callbacks.call("on_test_batch_begin", index, {})
        with model.layers_lock:
            step.check_later_batch(batch)
            meters.update(batch, *test(batch))
        callbacks.call("on_test_batch_end", index, meters.logs())
        if model.stop_evaluating:
            break
    logs = meters.logs()
    callbacks.call("on_test_end", logs)
    return logs


def predict(
    step: TrainStep,
    x: Any,
    *,
    batch_size: int | None,
    steps: int | None,
    callbacks: Any,
    verbose: Any,
    tta: Any = None,
) -> Any:
    """Return the model's output for every row; see `Trainer.predict`."""
    model = step.model
    silent = type(verbose) is int and verbose == 0 and callbacks is None and steps is None
    if (
        silent and tta is None and step.fits(x) and _is_one_batch(x, batch_size)
    ):  # as a server's requests
        model.stop_predicting = False
        return step.predict_alone(x)
    owner = f"{model.owner}: predict"
    x, ports = step.inputs(x, owner)
    stream = stream_of(x, batch_size=batch_size, steps=steps, owner=owner, ports=ports)
    callback_list = _callbacks_for(model, callbacks, verbose, stream.steps, owner)
    outputs = []
    model.stop_predicting = False
    with callback_list.closing():
        callback_list.call("on_predict_begin", {})
        for index, batch in enumerate(stream.one_pass()):
            callback_list.call("on_predict_batch_begin", index, {})
            with model.layers_lock:
                step.prepare_input(batch.x, "predict")
                if check_tta(tta, step, owner):
                    outputs.append(averaged(model.predict_step, batch.x))
                else:
                    outputs.append(_copied(model.predict_step(batch.x)))
            callback_list.call("on_predict_batch_end", index, {"outputs": outputs[-1]})
            if model.stop_predicting:
                break
        callback_list.call("on_predict_end", {})
    if isinstance(outputs[0], list):
        return step.packed([np.concatenate(parts) for parts in zip(*outputs, strict=True)])
    return step.packed(np.concatenate(outputs))


def _is_one_batch(x: np.ndarray, batch_size: Any) -> bool:
    rows = BATCH_SIZE if batch_size is None else batch_size
    return type(rows) is int and len(x) <= rows


def _copied(output: Any) -> Any:
    return [np.array(one) for one in output] if isinstance(output, list) else np.array(output)


def _callbacks_for(
    model: TrainableModel, callbacks: Any, verbose: Any, steps: int | None, owner: str
) -> CallbackList:
    level = verbosity(verbose, owner)
    given = [*progress(level), *callback_sequence(callbacks, owner)]
    return CallbackList(given, model, epochs=1, steps=steps, verbose=level)
