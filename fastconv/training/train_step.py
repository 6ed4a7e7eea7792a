"""One batch at a time: how a model is compiled, and what it does with a batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import losses, optimizers
from .. import metrics as metrics_module
from .._core.locks import Group
from .._core.memory import contiguous
from .._core.naming import of_model
from .._core.options import truth
from ..callbacks import History
from ..graph.executor import Network, same, signature
from ..layers import revision
from ..layers.workspace import Pass
from .batches import Batch, as_batch, check_arrays, only_input
from .fit_state import Meters, Run
from .labels import (
    check_class_weight,
    check_label_dtype,
    check_weighed_classes,
    rows_without_number,
    weigh_classes,
)

#: Predicted values whose labels are checked at a time; bounds the memory of the check.
_VALUES_CHECKED = 1 << 16


class BatchModel:
    """A model that learns from, is tested on and predicts one batch.

    `train_step`, `test_step` and `predict_step` may be overridden. A subclass
    has `name`, `layers`, `built`, `build`, `input_shape` and `output_shape`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._optimizer: optimizers.Optimizer | None = None
        self._loss: losses.Loss | None = None
        self._metrics: list[Any] = []
        self._trainable = True
        #: The kind of labels, and the metrics, that were found to fit each other.
        self._tried: tuple | None = None
        self.history: History | None = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.class_names: list[str] | None = None
        #: Facts worth keeping with the model, saved in its checkpoints: JSON values.
        self.metadata: dict[str, Any] = {}
        self._fuse = True
        # Its signature, and the revision for which that was looked at.
        self._network_cache: tuple[Network, list[Any], object] | None = None
        self._run: Run | None = None
        self._run_state: dict[str, Any] | None = None
        self._group = Group()

    @property
    def owner(self) -> str:
        """How errors name this model: `Sequential 'model1'`."""
        return f"{type(self).__name__} '{self.name}'"

    def __getstate__(self) -> dict[str, Any]:
        # Locks and what is arranged of the layers come anew; a run goes on from its state.
        run_state = self._run_state if self._run is None else self._run.get_state()
        left = {"_network_cache": None, "_run": None, "_run_state": run_state}
        return {k: v for k, v in (self.__dict__ | left).items() if k != "_group"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._group = Group()
        if self._optimizer is not None:
            self._optimizer.follow(self)
        if self.history is not None:
            self.history.set_model(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> BatchModel:
        copied = memo[id(self)] = type(self).__new__(type(self))
        with self._lock:  # the weights of whole steps
            copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied

    def __copy__(self) -> BatchModel:
        return copy.deepcopy(self)

    @property
    def _lock(self) -> Pass:
        """`with self._lock`: two threads must not go through layers at once, nor half a step."""
        return Pass(self._group, self)

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets every layer's, as in Keras."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = truth(value, "trainable", self.owner)
        for layer in self.layers:
            layer.trainable = value
        self._trainable = value
        revision.changed()

    # Compiling

    @property
    def optimizer(self) -> optimizers.Optimizer | None:
        """What trains the model; it may be assigned, as a name or an object."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        chosen = optimizers.get(value)
        chosen.claim(self)
        self._optimizer = chosen

    @property
    def loss(self) -> losses.Loss | None:
        """What training makes smaller; it may be assigned, as a name or an object."""
        return self._loss

    @loss.setter
    def loss(self, value: Any) -> None:
        self._loss = losses.get(value)

    @property
    def metrics(self) -> list[Any]:
        """Names and objects of what is reported; it may be assigned, and changed in place."""
        return self._metrics

    @metrics.setter
    def metrics(self, value: Iterable[Any] | str | None) -> None:
        self._metrics = self._metrics_of(value)

    @of_model
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Iterable | None = None,
        *,
        loss_weights: Any = None,
        weighted_metrics: Iterable | None = None,
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
            loss_weights, weighted_metrics: for Keras's calls that say what is
                so anyway (None, 1, []); anything else is refused.
            run_eagerly, jit_compile, steps_per_execution, auto_scale_loss:
                accepted as Keras's, and without effect: there is nothing to
                trace or to translate.
        """
        if loss is None:
            raise ValueError(
                f"{self.owner}: compile() needs a loss, for example loss='binary_crossentropy'"
            )
        self._check_loss_weights(loss_weights)
        if weighted_metrics not in (None, [], ()):
            raise ValueError(
                f"{self.owner}: compile: weighted_metrics is {weighted_metrics!r}; it must be left "
                "out: metrics do not regard sample weights"
            )
        chosen = losses.get(loss)
        watched = self._metrics_of(metrics)
        # All is checked: only now does the model change.
        self.optimizer = optimizer
        self._loss, self._metrics, self._run_state = chosen, watched, None

    def _check_loss_weights(self, weights: Any) -> None:
        values = list(weights.values()) if isinstance(weights, Mapping) else weights
        if values is not None and np.ravel(values).tolist() not in ([], [1]):
            raise ValueError(
                f"{self.owner}: compile: loss_weights is {weights!r}; it must be 1 or left out: "
                "there is one loss, which learning_rate scales"
            )

    def _metrics_of(self, metrics: Any) -> list[Any]:
        """Return names, which stay what the logs say, and objects for all else."""
        if isinstance(metrics, Mapping):
            raise TypeError(
                f"{self.owner}: compile: metrics is {metrics!r}; it must be a list: there is one "
                "output"
            )
        alone = isinstance(metrics, (str, type)) or not isinstance(metrics, Iterable | None)
        wanted = [metrics] if alone else metrics or []
        chosen = [m if isinstance(m, str) else metrics_module.get(m) for m in wanted]
        for name in Meters(chosen).names:
            metrics_module.check_name(name)
        return chosen

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._loss is not None and self._optimizer is not None

    @property
    def epochs_done(self) -> int:
        """How many epochs the running, last or loaded training has behind it."""
        if self._run is not None:
            return self._run.epoch
        return 0 if self._run_state is None else self._run_state["epoch"]

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns, in its order: "loss" and the metrics."""
        return ["loss", *self._meters().names] if self.compiled else []

    def _meters(self) -> Meters:
        return Meters(self.metrics)

    def larger_is_better(self, name: str) -> bool | None:
        """Return whether more of the logged `name` is better, None where that is not known."""
        if name in (f"{output}_loss" for output in getattr(self, "output_names", ())):
            return False
        return self._meters().larger_is_better(name)

    # One batch

    def train_step(self, batch: Batch) -> tuple[float, np.ndarray]:
        """Learn from one batch; return its mean loss and the model's output for it."""
        network = self._network()
        folded = self._folds(network)
        prediction = network.forward(batch.x, training=True, logits=folded)
        output = network.activate(prediction) if folded else prediction
        loss, gradient = self.loss.value_and_gradient(
            batch.y, prediction, batch.sample_weight, logits=folded
        )
        network.backward(gradient, logits=folded)
        self.optimizer.apply(network.trainable)
        return loss, output

    def test_step(self, batch: Batch) -> tuple[float, np.ndarray]:
        """Return one batch's mean loss and the model's output for it."""
        network = self._network()
        folded = self._folds(network)
        prediction = network.forward(batch.x, logits=folded)
        output = network.activate(prediction) if folded else prediction
        loss, _ = self.loss.value_and_gradient(
            batch.y, prediction, batch.sample_weight, logits=folded
        )
        return loss, output

    def predict_step(self, x: np.ndarray) -> np.ndarray:
        """Return the model's output for one batch, in memory that the next call overwrites."""
        return self._network().forward(x)

    def _network(self) -> Network:
        cache, now = self._network_cache, revision.current()
        layers = self.layers
        # Layers are equal where they are the same.
        known = cache is not None and cache[2] is now and cache[0].fuse is self._fuse
        if known and cache[0].layers == layers:
            return cache[0]
        key = signature(layers, self._fuse, self._trainable)
        if cache is not None and same(cache[1], key):
            network = cache[0]
        else:
            network = Network(layers, self._fuse, self._trainable)
        self._network_cache = (network, key, now)
        return network

    def _folds(self, network: Network) -> bool:
        return network.foldable is not None and network.foldable == self.loss.activation

    # Batches by hand

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
        batch = self._checked_batch("train_on_batch", x, y, sample_weight, class_weight)
        self.optimizer.claim(self)
        return self._step_alone(self.train_step, batch, return_dict)

    @of_model
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss of one batch, or [loss, metrics...], or a dict."""
        batch = self._checked_batch("test_on_batch", x, y, sample_weight)
        return self._step_alone(self.test_step, batch, return_dict)

    @of_model
    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Return the output for one batch as a new array."""
        owner = f"{self.owner}: predict_on_batch"
        x, _, _ = check_arrays(self._only_input(x, owner), None, None, owner)
        with self._lock:
            self._prepare_input(x.shape, "predict_on_batch")
            return np.array(self.predict_step(contiguous(x, np.float32)))

    def _checked_batch(self, method: str, x, y, sample_weight, class_weight=None) -> Batch:
        owner = f"{self.owner}: {method}"
        class_weight = check_class_weight(class_weight, owner)
        batch = as_batch((self._only_input(x, owner), y, sample_weight), owner)
        with self._lock:
            self._prepare(batch, method, class_weight)
        return weigh_classes(batch, class_weight, owner)

    def _step_alone(self, step: Any, batch: Batch, return_dict: bool) -> Any:
        meters = self._meters()
        with self._lock:
            meters.update(batch, *step(batch))
            return as_result(meters.logs(), return_dict)

    # Checks, all made before anything is changed

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"{self.owner}: {method}() needs a compiled model; call "
                "compile(optimizer=..., loss=..., metrics=[...]) first"
            )

    def _only_input(self, x: Any, owner: str) -> Any:
        return only_input(x, getattr(self, "input_shape", None), owner)

    def _prepare(
        self,
        batch: Batch,
        method: str,
        class_weight: dict[int, float] | None = None,
        labels: tuple | None = None,
    ) -> None:
        """Build the model if need be and check that a batch fits it, its loss and its metrics.

        `labels` are all (y, sample_weight) that can be seen, else the batch's are checked.
        """
        self._require_compiled(method)
        self._prepare_input(batch.x.shape, method)
        self._check_labels(*(labels or batch[1:]), method, class_weight)
        self._try_metrics(batch.y, method)

    def _check_labels(
        self,
        y: np.ndarray | None,
        weight: np.ndarray | None,
        method: str,
        class_weight: dict[int, float] | None = None,
    ) -> None:
        """Raise what the loss would raise on these labels, whatever the prediction."""
        owner = f"{self.owner}: {method}"
        if y is None:
            raise ValueError(f"{owner} needs the labels y")
        check_label_dtype(y, owner)
        classes = self._classes()
        if classes is not None:
            check_weighed_classes(class_weight, classes, owner)
        logits = self._folds(self._network())
        row_shape = self.output_shape[1:]
        # So many rows at a time: a row of labels may be as large as an image.
        step = max(1, _VALUES_CHECKED // max(1, math.prod(row_shape)))
        for start in range(0, len(y), step):
            rows = slice(start, start + step)
            part = Batch(y[rows], y[rows], None if weight is None else weight[rows])
            weights = weigh_classes(part, class_weight, owner).sample_weight
            try:
                self.loss.check(part.y, (len(part.y), *row_shape), weights, logits=logits)
            except (ValueError, TypeError) as error:
                where = rows_without_number(part.y, start)
                raise _reworded(error, f"{owner}: {error}{where}") from None

    def _classes(self) -> int | None:
        """How many classes the model tells apart, None where it is no classifier."""
        if self.output_shape[-1] > 1:
            return self.output_shape[-1]
        return 2 if isinstance(self.loss, losses.BinaryCrossentropy) else None

    def _try_metrics(self, y: np.ndarray, method: str) -> None:
        """Raise what the metrics would raise on such labels, before a step changes the weights."""
        kind = (y.shape[1:], y.dtype, self.output_shape, *self.metrics)
        if self._tried == kind or not self.metrics:
            return
        meters = self._meters()
        output = np.full((len(y), *self.output_shape[1:]), 0.5, np.float32)
        try:
            meters.update(Batch(y, y, None), 0.0, output)
            meters.logs()
        except (ValueError, TypeError) as error:
            raise _reworded(error, f"{self.owner}: {method}: {error}") from None
        self._tried = kind

    def _prepare_input(self, shape: tuple[int, ...], method: str) -> None:
        """Check an input's shape (batch, ...), and build the model for it if it is not built."""
        if not self.built:
            if not self.layers:
                raise ValueError(f"{self.owner}: {method}: the model has no layers; add some first")
            self.build((None, *shape[1:]))
        wanted = self.input_shape
        if shape[1:] == wanted[1:]:
            return
        if len(shape) != len(wanted) or any(
            size is not None and size != given
            for size, given in zip(wanted[1:], shape[1:], strict=True)
        ):
            hint = ""
            if tuple(shape) == tuple(wanted[1:]):
                hint = "; add the batch axis: x[None]"
            elif len(shape) == 4 and (*shape[2:], shape[1]) == tuple(wanted[1:]):
                hint = "; move the channel axis to the end: numpy.moveaxis(x, 1, -1)"
            raise ValueError(
                f"{self.owner}: {method}: x has shape {tuple(shape)}; the model takes "
                f"{tuple(wanted)}{hint}"
            )


def as_result(logs: dict[str, float], as_dict: bool) -> Any:
    """Return logs as Keras does: a dict, a list, or the loss where there is nothing else."""
    if as_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _reworded(error: Exception, text: str) -> Exception:
    """Return an error of the same kind that says more."""
    return (ValueError if isinstance(error, ValueError) else TypeError)(text)
