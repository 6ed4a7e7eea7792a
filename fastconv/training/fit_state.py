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
from .objectives import Output, as_tuple
from .streams import Stream


class Meters:
    """The mean loss and the metrics of one pass, of its own: passes do not disturb each other.

    As in Keras the epoch's loss is the mean of the batches' losses weighted
    by their rows, and metrics do not regard sample weights, `weighted_metrics` do. A second
    metric of one name is called `<name>_1`, as in Keras, a weighted one `weighted_<name>`.
    Of several losses each has its output's `<output>_loss`, and metrics of several outputs have
    the output's name before theirs.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs, self._choices = outputs, _choices(outputs)
        places = [n for n, one in enumerate(outputs) if one.name is not None and one.loss]
        self._places = places if len(places) > 1 else []  # the only one is the loss itself
        self._losses = [outputs[n].name for n in self._places]
        self._totals = np.zeros(1 + len(self._losses))
        self._rows = 0
        #: Each metric by the name of the log, with its output and whether it is weighted.
        self._metrics: dict[str, tuple[metrics.Metric, int, bool]] = {}
        for weighted in (False, True):  # in Keras's order
            for n, output in enumerate(outputs):
                for choice in output.weighted_metrics if weighted else output.metrics:
                    self._add(choice, n, output.name, weighted)
        self._count = len(outputs)

    def _add(self, choice: Any, place: int, output: str | None, weighted: bool) -> None:
        metric = metrics.get(choice)
        if not isinstance(choice, str):
            metric = copy.deepcopy(metric)
            metric.reset()
        prefix = "" if output is None else f"{output}_"
        name = f"{prefix}{metric.name}"
        if weighted and name in self._metrics:
            name = f"{prefix}weighted_{metric.name}"
        self._metrics[self._free_name(name)] = (metric, place, weighted)

    def _free_name(self, name: str) -> str:
        if name == "loss":
            raise ValueError("metrics: a metric is named 'loss', which the logs have; give name=")
        free, count = name, 0
        while free in self._metrics:
            count += 1
            free = f"{name}_{count}"
        return free

    def serve(self, outputs: Sequence[Output]) -> bool:
        """Return whether those made for `outputs` now would be the same, after a reset.

        Not where there are metrics that are objects, whose options may have changed since.
        """
        known = self._choices is not None and outputs is self._outputs
        return known and self._choices == _choices(outputs)

    def reset(self) -> None:
        """Forget every batch."""
        self._totals[:], self._rows = 0.0, 0
        for metric, _, _ in self._metrics.values():
            metric.reset()

    @property
    def names(self) -> list[str]:
        return [*(f"{name}_loss" for name in self._losses), *self._metrics]

    def larger_is_better(self, name: str) -> bool | None:
        """Return whether more of what is logged as `name` is better, None if that is not known."""
        for own_name in (name, twin(name)):
            if own_name in self._metrics:
                metric = self._metrics[own_name][0]
                declared = metric.larger_is_better
                return metrics.larger_is_better(metric.name) if declared is None else declared
        return metrics.larger_is_better(name)

    def update(self, batch: Batch, loss: float, output: Any) -> None:
        """Take in a batch's mean loss and the model's output for it, or the list of them."""
        rows = batch.rows
        self._totals[0] += float(loss) * rows
        if self._losses:
            parts = getattr(loss, "parts", None)
            if parts is None:
                raise TypeError(
                    "train_step returned a loss without those of the outputs; return the one that "
                    "super().train_step(batch) gives"
                )
            self._totals[1:] += [parts[n] * rows for n in self._places]
        self._rows += rows
        if not self._metrics:
            return
        outputs = output if self._count > 1 else [output]
        targets = as_tuple(batch.y, self._count)
        weights = as_tuple(batch.sample_weight, self._count)
        for metric, n, weighted in self._metrics.values():
            if targets[n] is not None:
                metric.update_state(targets[n], outputs[n], weights[n] if weighted else None)

    def logs(self) -> Logs:
        """Return the values so far by name, "loss" first."""
        means = (self._totals / max(self._rows, 1)).tolist()
        logs = Logs(loss=means[0])
        logs.update({f"{n}_loss": mean for n, mean in zip(self._losses, means[1:], strict=True)})
        for name, (metric, _, _) in self._metrics.items():
            logs.update(metrics.logged(name, metric.result()))
        return logs


def _choices(outputs: Sequence[Output]) -> list[str] | None:
    """Return all metrics if they are names of fastconv's own, whose meaning is always the same."""
    chosen = [name for one in outputs for name in (*one.metrics, None, *one.weighted_metrics, None)]
    return chosen if all(name is None or metrics.is_built_in(name) for name in chosen) else None


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
