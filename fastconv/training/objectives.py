"""What a model is trained for: the loss and the metrics of each output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import losses
from .. import metrics as metrics_module
from .._core.validation import finite, wrong_type


@dataclass
class Output:
    """One output: its name where there are several, and what is asked of it."""

    name: str | None
    loss: losses.Loss | None
    weight: float = 1.0
    metrics: list[Any] = field(default_factory=list)
    #: Metrics that regard sample weights.
    weighted_metrics: list[Any] = field(default_factory=list)


class BatchLoss(float):
    """The loss of a batch, and its `parts`: that of each output before it is weighed."""

    parts: tuple[float, ...]

    def __new__(cls, total: float, parts: Sequence[float]) -> BatchLoss:
        made = super().__new__(cls, total)
        made.parts = tuple(parts)
        return made


class Objectives:
    """What `compile` was given, and what becomes of it for a model's outputs.

    A loss and metrics are given for all outputs, as a list with one for each, or as a dict by
    the outputs' names.
    """

    def __init__(
        self, loss: Any, metrics: Any, loss_weights: Any, weighted_metrics: Any, owner: str
    ) -> None:
        self.loss = _structure(loss, _loss)
        self.metrics = _structure(_some(metrics), _metric)
        self.weighted_metrics = _structure(_some(weighted_metrics), _metric)
        self.loss_weights = _structure(loss_weights, lambda w: _weight(w, owner))
        self._outputs: list[Output] = []
        self._made_from: tuple[Any, ...] = ()

    def known_outputs(self, names: tuple[str, ...] | None) -> list[Output] | None:
        """Return what `outputs` made for these names, None if it has to be made anew."""
        return self._outputs if self._made_from == self._key(names) else None

    def outputs(self, names: tuple[str, ...] | None, owner: str) -> list[Output]:
        """Return what is asked of each output; `names` is None where there is one.

        Raises ValueError for a list of another length or a name that no output has.
        """
        known = self.known_outputs(names)
        if known is not None:
            return known
        made = self._alone(owner) if names is None else self._of_each(names, owner)
        self._outputs, self._made_from = made, self._key(names)
        return made

    def _key(self, names: tuple[str, ...] | None) -> tuple[Any, ...]:
        # Tuples are equal whose parts are the same objects, without asking these.
        return names, self.loss, self.metrics, self.weighted_metrics, self.loss_weights

    def _alone(self, owner: str) -> list[Output]:
        loss = _only(self.loss, "loss", owner)
        if loss is None:
            raise ValueError(f"{owner}: loss is None; it must be a loss")
        weight = _only(self.loss_weights, "loss_weights", owner)
        lists = [
            _only_list(given, what, owner)
            for given, what in (
                (self.metrics, "metrics"),
                (self.weighted_metrics, "weighted_metrics"),
            )
        ]
        return [Output(None, loss, 1.0 if weight is None else weight, *lists)]

    def _of_each(self, names: tuple[str, ...], owner: str) -> list[Output]:
        chosen = _spread(self.loss, names, "loss", owner)
        weights = _spread(self.loss_weights, names, "loss_weights", owner)
        watched = _spread_lists(self.metrics, names, "metrics", owner)
        weighed = _spread_lists(self.weighted_metrics, names, "weighted_metrics", owner)
        if not any(chosen):
            raise ValueError(f"{owner}: loss has none for any output; give one at least")
        return [
            Output(name, loss, 1.0 if weight is None else weight, of_each, of_weighed)
            for name, loss, weight, of_each, of_weighed in zip(
                names, chosen, weights, watched, weighed, strict=True
            )
        ]

    def get_config(self) -> dict[str, Any]:
        """Return what `compile` takes, JSON values."""
        config = {
            "loss": _structure(self.loss, lambda one: one and losses.serialize(one)),
            "metrics": _structure(self.metrics, _serialized),
        }
        if self.loss_weights is not None:
            config["loss_weights"] = self.loss_weights
        if self.weighted_metrics:
            config["weighted_metrics"] = _structure(self.weighted_metrics, _serialized)
        return config


def _some(metrics: Any) -> Any:
    """Return metrics as a list, or a dict of them; one alone may be given without."""
    if isinstance(metrics, (Mapping, list)):
        return metrics
    alone = isinstance(metrics, (str, type)) or not isinstance(metrics, Iterable | None)
    return [metrics] if alone else list(metrics or [])


def _structure(given: Any, make: Callable[[Any], Any]) -> Any:
    """Return what `make` makes of each thing in lists and dicts; None stays."""
    if given is None:
        return None
    if isinstance(given, Mapping) and "class_name" not in given:
        return {str(name): _structure(one, make) for name, one in given.items()}
    if isinstance(given, (list, tuple)):
        return [_structure(one, make) for one in given]
    return make(given)


def _loss(given: Any) -> losses.Loss:
    return losses.get(given)


def _metric(given: Any) -> Any:
    """Return a metric's name, which stays what the logs say, or an object."""
    if isinstance(given, str):
        metrics_module.check_name(metrics_module.get(given).name)
        return given
    found = metrics_module.get(given)
    metrics_module.check_name(found.name)
    return found


def _serialized(metric: Any) -> Any:
    return metric if isinstance(metric, str) else metrics_module.serialize(metric)


def _weight(given: Any, owner: str) -> float:
    if isinstance(given, (str, metrics_module.Metric)):
        remedy = "metrics are given as metrics=[...]"
        raise wrong_type(given, "loss_weights", f"{owner}: compile", "numbers", remedy)
    return float(finite(given, "loss_weights", f"{owner}: compile"))


def _only(given: Any, what: str, owner: str) -> Any:
    """Return what the only output is given, also in a list or dict of one."""
    values = list(given.values()) if isinstance(given, dict) else given
    if not isinstance(values, list):
        return values
    if len(values) != 1:
        raise ValueError(
            f"{owner}: {what} has {len(values)} entries; it must be one: the model has one output"
        )
    return values[0]


def _only_list(given: Any, what: str, owner: str) -> list[Any]:
    """Return the only output's metrics."""
    if isinstance(given, dict):
        given = _only(given, what, owner)
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    if isinstance(given, list) and any(isinstance(one, (list, dict)) for one in given):
        raise ValueError(
            f"{owner}: {what} is {given!r}; it must be a list: the model has one output"
        )
    return _some(given)


def _spread(given: Any, names: tuple[str, ...], what: str, owner: str) -> list[Any]:
    """Return what each output is given, of one for all, a list or a dict."""
    if isinstance(given, dict):
        _check_names(given, names, what, owner)
        return [given.get(name) for name in names]
    if isinstance(given, list):
        if len(given) != len(names):
            raise ValueError(
                f"{owner}: {what} has {len(given)} entries; it must have {len(names)}, one for "
                f"each output, or be a dict: {', '.join(map(repr, names))}"
            )
        return given
    return [given] * len(names)


def _spread_lists(given: Any, names: tuple[str, ...], what: str, owner: str) -> list[list[Any]]:
    """Return the metrics of each output; a plain list is of every output, as in Keras."""
    if isinstance(given, dict):
        _check_names(given, names, what, owner)
        return [_some(given.get(name)) for name in names]
    given = given or []
    nested = any(isinstance(one, list) or one is None for one in given)
    if nested or (given and len(given) == len(names)):
        if len(given) != len(names):
            raise ValueError(
                f"{owner}: {what} has {len(given)} lists; it must have {len(names)}, one for each "
                f"output: {', '.join(map(repr, names))}"
            )
        return [_some(one) for one in given]
    if given:
        raise ValueError(
            f"{owner}: {what} is {given!r}; the model has several outputs: it must be a list with "
            f"a list for each, or a dict: {', '.join(map(repr, names))}"
        )
    return [[] for _ in names]


def _check_names(given: dict[str, Any], names: tuple[str, ...], what: str, owner: str) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"{owner}: {what} has {', '.join(map(repr, unknown))}; outputs are "
            f"{', '.join(map(repr, names))}"
        )


def row_shapes(shape: Any, targets: tuple[Any, ...]) -> list[tuple[int, ...]]:
    """Return the shape of one row of each output.

    Sizes that only the data tell are taken to be those of its targets.
    """
    if len(targets) == 1 and None not in shape[1:]:
        return [shape[1:]]
    shapes = shape if len(targets) > 1 else [shape]
    return [
        tuple(_size_of(y, axis) if size is None else size for axis, size in enumerate(one))[1:]
        for one, y in zip(shapes, targets, strict=True)
    ]


def _size_of(targets: Any, axis: int) -> int:
    return int(targets.shape[axis]) if targets is not None and axis < targets.ndim else 1


def as_tuple(arrays: Any, count: int) -> tuple[Any, ...]:
    """Return one thing for each of `count` outputs."""
    if arrays is None:
        return (None,) * count
    return arrays if isinstance(arrays, tuple) else (arrays,)


def halves(shape: tuple[int, ...], rows: int) -> np.ndarray:
    """Return predictions of 0.5, to try a metric on."""
    return np.full((rows, *shape), 0.5, np.float32)
