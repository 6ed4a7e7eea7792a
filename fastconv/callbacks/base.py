"""What a callback is, and the list that calls a training run's callbacks in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Callback:
    """Base class: override the moments you care about.

    `logs` holds floats by name ("loss", "accuracy", "val_loss", ...), for the
    running epoch so far in the batch methods and for the whole epoch in
    `on_epoch_end`. Set `self.model.stop_training = True` to end the training
    after the current batch.

    Two things go beyond Keras: `get_state` / `set_state`, with which a resumed
    run goes on as if it had never been stopped, and `close`, which is called
    once however the run ends, an error or Ctrl-C included.
    """

    #: Called after all other callbacks at an epoch's end (a checkpoint must see
    #: what the others made of the epoch).
    runs_last = False

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Keep the model that is trained."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Keep the run's "epochs", "steps" (None if unknown) and "verbose"."""
        self.params = dict(params)

    def get_state(self) -> dict[str, Any]:
        """Return what this callback has learnt so far: JSON values and NumPy arrays."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `get_state` returned; called after `on_train_begin`."""

    def close(self) -> None:
        """Release files and the like; called at the end of a run, however it ends."""

    def on_train_begin(self, logs=None) -> None: ...

    def on_train_end(self, logs=None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs=None) -> None: ...

    def on_epoch_end(self, epoch: int, logs=None) -> None: ...

    def on_batch_begin(self, batch: int, logs=None) -> None: ...

    def on_batch_end(self, batch: int, logs=None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs=None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs=None) -> None: ...

    def on_test_end(self, logs=None) -> None: ...

    def on_test_batch_begin(self, batch: int, logs=None) -> None: ...

    def on_test_batch_end(self, batch: int, logs=None) -> None: ...

    def on_predict_begin(self, logs=None) -> None: ...

    def on_predict_end(self, logs=None) -> None: ...

    def on_predict_batch_begin(self, batch: int, logs=None) -> None: ...

    def on_predict_batch_end(self, batch: int, logs=None) -> None: ...


class CallbackList:
    """The callbacks of one run, called in their order.

    Raises TypeError for an object that is no callback.
    """

    def __init__(self, callbacks: Iterable[Callback], model: Any, **params: Any) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                hint = " (give an instance: add parentheses)" if isinstance(callback, type) else ""
                raise TypeError(f"callbacks: {callback!r} is no fastconv.callbacks.Callback{hint}")
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)
        self._epoch_end_order = sorted(self.callbacks, key=lambda callback: callback.runs_last)

    def call(self, moment: str, *arguments: Any) -> None:
        """Call the method `moment` ("on_train_batch_end", ...) of every callback."""
        order = self._epoch_end_order if moment == "on_epoch_end" else self.callbacks
        for callback in order:
            getattr(callback, moment)(*arguments)

    def get_state(self) -> list[dict[str, Any]]:
        """Return every callback's class name and state, for a checkpoint."""
        return [
            {"class_name": type(callback).__name__, "state": callback.get_state()}
            for callback in self.callbacks
        ]

    def set_state(self, saved: list[Mapping[str, Any]]) -> None:
        """Give saved states back: to the first callback of each class, then the second, ...

        A callback without a saved state starts afresh, so that a resumed run
        may have more callbacks than the one before, or fewer. Raises
        ValueError, naming the callback, if one refuses its state; those
        before it have theirs then.
        """
        waiting = list(saved)
        for callback in self.callbacks:
            name = type(callback).__name__
            found = next((entry for entry in waiting if entry["class_name"] == name), None)
            if found is not None:
                waiting.remove(found)
                try:
                    callback.set_state(found["state"])
                except Exception as error:
                    reason = str(error) if isinstance(error, ValueError) else repr(error)
                    raise ValueError(f"{name} refuses its state: {reason}") from error

    def close(self) -> None:
        """Close every callback, also when one of them fails to."""
        error = None
        for callback in self.callbacks:
            try:
                callback.close()
            except Exception as raised:
                error = error or raised
        if error is not None:
            raise error
