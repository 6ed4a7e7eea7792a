"""The bookkeeping of a training run: its averages and where it stands."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import metrics
from ..callbacks import CallbackList, History
from ..callbacks.names import Logs, twin
from .batches import Batch
from .streams import Stream


class Meters:
    """The mean loss and the metrics of one pass, of its own: passes do not disturb each other.

    As in Keras the epoch's loss is the mean of the batches' losses weighted
    by their rows, and metrics do not regard sample weights. A second metric of
    one name is called `<name>_1`, as in Keras.
    """

    def __init__(self, chosen: Sequence[Any]) -> None:
        self._total = 0.0
        self._rows = 0
        self._metrics: dict[str, metrics.Metric] = {}
        for choice in chosen:
            metric = metrics.get(choice)
            if not isinstance(choice, str):
                metric = copy.deepcopy(metric)
                metric.reset()
            self._metrics[self._free_name(metric.name)] = metric

    def _free_name(self, name: str) -> str:
        if name == "loss":
            raise ValueError("metrics: a metric is named 'loss', which the logs have; give name=")
        free, count = name, 0
        while free in self._metrics:
            count += 1
            free = f"{name}_{count}"
        return free

    def reset(self) -> None:
        """Forget every batch."""
        self._total, self._rows = 0.0, 0
        for metric in self._metrics.values():
            metric.reset()

    @property
    def names(self) -> list[str]:
        return list(self._metrics)

    def larger_is_better(self, name: str) -> bool | None:
        """Return whether more of what is logged as `name` is better, None if that is not known."""
        for own_name in (name, twin(name)):
            if own_name in self._metrics:
                declared = self._metrics[own_name].larger_is_better
                return metrics.larger_is_better(name) if declared is None else declared
        return metrics.larger_is_better(name)

    def update(self, batch: Batch, loss: float, output: np.ndarray) -> None:
        """Take in a batch's mean loss and the model's output for it."""
        rows = len(batch.x)
        self._total += float(loss) * rows
        self._rows += rows
        for metric in self._metrics.values():
            metric.update(batch.y, output)

    def logs(self) -> Logs:
        """Return the values so far by name, "loss" first."""
        logs = Logs(loss=self._total / max(self._rows, 1))
        for name, metric in self._metrics.items():
            logs.update(metrics.logged(name, metric.result()))
        return logs


@dataclass
class Run:
    """A training run: its data, its callbacks and how far it has come.

    `epoch` counts the epochs that are done, `batch` the batches done in the
    running one. `stopped` tells of a run that was ended before its last epoch.
    """

    train: Stream
    validation: Stream | None
    callbacks: CallbackList
    history: History
    epoch: int = 0
    batch: int = 0
    stopped: bool = False

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the run: JSON values and NumPy arrays."""
        validation = None if self.validation is None else self.validation.get_state()
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "stopped": self.stopped or bool(self.history.model.stop_training),
            "history": self.history.get_state(),
            "callbacks": self.callbacks.get_state(),
            "data": self.train.get_state(),
            "validation_data": validation,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up the state of an earlier run.

        Raises ValueError, naming the part, for a state that one refuses; those
        before it have theirs then.
        """
        self.epoch = int(state["epoch"])
        self.batch = 0
        self.stopped = bool(state["stopped"])
        self.callbacks.set_state(state["callbacks"])
        self.history.set_state(state["history"])
        _put_data(self.train, state["data"], "the data")
        if self.validation is not None and state["validation_data"] is not None:
            _put_data(self.validation, state["validation_data"], "the validation data")


def _put_data(stream: Stream, state: Mapping[str, Any], what: str) -> None:
    try:
        stream.set_state(state)
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{what}: {reason}; give data as that run had") from error
