"""What a callback is, and the list that calls a training run's callbacks in turn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .._core.naming import describe
from .names import LogNames


class Callback:
    """Base class: override the moments you care about.

    `logs` holds floats by name ("loss", "accuracy", "val_loss", ...), for the
    running epoch so far in the batch methods and for the whole epoch in
    `on_epoch_end`. Set `self.model.stop_training = True` to end the training
    after the current batch: as in Keras, the epoch is then validated and
    ended as others are, and a stop that comes between two batches lets the
    next one be trained on.

    Two things go beyond Keras: `get_state` / `set_state`, with which a resumed
    run goes on as if it had never been stopped, and `close`, which is called
    once however the run ends, an error or Ctrl-C included.
    """

    #: Called after all other callbacks at an epoch's end (a checkpoint must see
    #: what the others made of the epoch); of several such, the larger is the later. Before all
    #: others where it is below 0.
    runs_last: int = False
    #: Names that `on_epoch_end` adds to the logs of every epoch.
    adds_to_logs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or a file, of a callback is not one of the model too; the next run sets it.
        return self.__dict__ | {"model": None}

    def __repr__(self) -> str:
        return describe(self)

    @property
    def _owner(self) -> str:
        """How errors name this callback."""
        return type(self).__name__

    def set_model(self, model: Any) -> None:
        """Keep the model that is trained."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Keep the run's "epochs", "steps" (None if unknown) and "verbose".

        In `fit` there is "logs", too: what is known of the epochs' logs. Called
        before anything is trained or written: the place to refuse a run.
        """
        self.params = dict(params)

    def set_examples(self, take: Callable[[], Any]) -> None:
        """Called once before `fit` begins; `take()` returns a batch to look at.

        It is the first of the validation data, or of the training data where there are none.
        """

    def get_state(self) -> dict[str, Any]:
        """Return what this callback has learnt so far: JSON values and NumPy arrays."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `get_state` returned; called after `on_train_begin`."""

    def checkpoint_to_resume(self) -> str | None:
        """Return the file from which `fit` is to go on with an interrupted run, None for none."""
        return None

    def close(self) -> None:
        """Release files and the like; called at the end of a run, however it ends."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None: ...

    def on_train_end(self, logs: dict[str, float] | None = None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None: ...

    def on_test_end(self, logs: dict[str, float] | None = None) -> None: ...

    def on_test_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_predict_begin(self, logs: dict[str, float] | None = None) -> None: ...

    def on_predict_end(self, logs: dict[str, float] | None = None) -> None: ...

    def on_predict_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None: ...

    def on_predict_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None: ...


class CallbackList:
    """The callbacks of one run, called in their order.

    `logs` are the names that the model itself will log; the callbacks' own are
    added. Raises TypeError for an object that is no callback, and what a
    callback raises that cannot serve such a run.
    """

    def __init__(
        self,
        callbacks: Iterable[Callback],
        model: Any,
        logs: LogNames | None = None,
        **params: Any,
    ) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                hint = "; give an instance: add parentheses" if isinstance(callback, type) else ""
                raise TypeError(
                    f"callbacks has {callback!r}; it must be a fastconv.callbacks.Callback{hint}"
                )
        if logs is not None:
            params["logs"] = self._all_names(logs)
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)
        self._epoch_end_order = sorted(self.callbacks, key=lambda callback: callback.runs_last)

    def _all_names(self, logs: LogNames) -> LogNames:
        added = dict.fromkeys(name for callback in self.callbacks for name in callback.adds_to_logs)
        moments = ("on_epoch_end", "on_test_end", "on_train_batch_end", "on_batch_end")
        written_by = [getattr(callback, m) for callback in self.callbacks for m in moments]
        own = __package__ + "."
        more = not all(str(getattr(f, "__module__", "")).startswith(own) for f in written_by)
        always = dict.fromkeys((*logs.always, *added))
        return LogNames(tuple(always), logs.sometimes, logs.more or more)

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

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close every callback however the block ends.

        The first error is the one that is raised, be it the block's or a
        callback's; those that follow while closing are noted with it.
        """
        first: BaseException | None = None
        try:
            yield
        except BaseException as error:
            first = error
        for callback in self.callbacks:
            try:
                callback.close()
            except BaseException as error:
                if first is None:
                    first = error
                else:
                    note(first, f"{type(callback).__name__}.close() failed as well: {error!r}")
        if first is not None:
            raise first


def note(error: BaseException, text: str) -> None:
    """Say `text` together with `error`, which is on its way."""
    if hasattr(error, "add_note"):  # Python 3.11
        error.add_note(text)
    else:
        warnings.warn(text, stacklevel=3)
