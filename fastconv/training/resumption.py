"""Going on with a training run from its checkpoint: all of it, or nothing changes."""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import Any

from .._core import random
from .._core.model_formats import format_to_read
from ..saving.checkpoint_file import CheckpointFile
from ..saving.npz import CheckpointError, reading
from .fit_state import Run
from .model import TrainableModel

# What `fit` and a run set on a model, besides weights and states.
_ATTRIBUTES = ("_run", "_fit_state", "history", "stop_training", "class_names")


class NothingLeftWarning(UserWarning):
    """A run that `fit` was to go on with has nothing left to do."""


class Resumption:
    """A checkpoint that a run is to go on from, read and found to be of a run.

    With `repeat_epoch` it may be one of the middle of an epoch, which is then begun again.
    Raises FileNotFoundError, or CheckpointError for a file that no run can go
    on from; nothing is changed.
    """

    def __init__(
        self, model: TrainableModel, path: str | os.PathLike[str], repeat_epoch: bool = False
    ) -> None:
        self._drawn = random.get_state()
        self._model = model
        found = format_to_read(path, "load_weights", model.owner)
        if not found.resumable:
            raise CheckpointError(
                f"{os.fsdecode(path)}: the file is {found.name}, which holds no state of a "
                "training run; resume from an .npz file, or load_model it and train on"
            )
        self._file = CheckpointFile(path)
        self._state = self._file.resumable_state(repeat_epoch)

    def begin(self, run: Run, epochs: int) -> None:
        """Put model and run where the run that wrote the file was, and begin the training.

        Callbacks are told of the training's begin first, then given their
        states. Whatever fails, a callback or the data too, the model, its
        optimizer, the callbacks, the data and fastconv's random numbers are
        put back as they were before the resumption was made; a state that
        cannot be taken up is a CheckpointError.
        """
        before = _Snapshot(self._model, run)
        try:
            self._put(run)
            self._warn_if_nothing_is_left(run, epochs)
        except BaseException:
            for callback in run.callbacks.callbacks:
                with contextlib.suppress(Exception):
                    callback.close()
            before.restore()
            random.set_state(self._drawn)
            raise

    def _put(self, run: Run) -> None:
        file, model = self._file, self._model
        file.put_weights(model)
        file.put_layer_states(model)
        file.put_optimizer(model)
        with reading(file.path, "the file is damaged; the random numbers"):
            random.set_state((file.state or {})["random"])
        model._run, model.history, model.stop_training = run, run.history, False
        run.callbacks.call("on_train_begin", {})
        with reading(file.path, "the run cannot go on from this file"):
            run.set_state(self._state)
        model.stop_training = run.stopped

    def _warn_if_nothing_is_left(self, run: Run, epochs: int) -> None:
        path, done = self._file.path, run.epoch
        if run.stopped:
            text = (
                f"was stopped after epoch {done}; to train on all the same, call "
                f"load_model({path!r}).fit(..., initial_epoch={done}, "
                f"epochs={max(epochs, done + 1)})"
            )
        elif done >= epochs:
            text = f"has {done} epochs behind it; to train on, give epochs a number above {done}"
        else:
            return
        warnings.warn(
            f"{self._model.owner}: fit: nothing is trained: the run in {path!r} {text}",
            NothingLeftWarning,
            stacklevel=6,  # of the user's call of `fit`
        )


class _Snapshot:
    """A model, its optimizer, a run's callbacks and its data, as they are."""

    def __init__(self, model: TrainableModel, run: Run) -> None:
        self._model = model
        self._weights = model.get_weights()
        self._layers = [layer.get_state() for layer in model.layers]
        assert model.optimizer is not None, "fit asks for a compiled model"
        self._optimizer = model.optimizer
        self._optimizer_state = self._optimizer.get_state()
        self._attributes = {name: getattr(model, name) for name in _ATTRIBUTES}
        self._callbacks = [(callback, dict(vars(callback))) for callback in run.callbacks.callbacks]
        # Streams are the run's own, but what they go over is the caller's.
        data: list[Any] = [
            getattr(stream, "sequence", None) for stream in (run.train, run.validation)
        ]
        self._data = [(one, one.get_state()) for one in data if hasattr(one, "get_state")]

    def restore(self) -> None:
        """Put everything back; what refuses to be is passed over."""
        model = self._model
        model.set_weights(self._weights)
        for layer, state in zip(model.layers, self._layers, strict=True):
            with contextlib.suppress(Exception):
                layer.set_state(state)
        with contextlib.suppress(Exception):
            self._optimizer.set_state(self._optimizer_state, model.trainable_weights)
        for name, value in self._attributes.items():
            setattr(model, name, value)
        for callback, attributes in self._callbacks:
            vars(callback).clear()
            vars(callback).update(attributes)
        for data, state in self._data:
            with contextlib.suppress(Exception):
                data.set_state(state)
