"""One batch at a time: how a model is compiled, and what it does with a batch."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import losses, optimizers
from . import metrics as metrics_module
from ._memory import contiguous
from .batches import (
    Batch,
    as_batch,
    check_arrays,
    check_class_weight,
    check_label_dtype,
    weigh_classes,
)
from .callbacks import History
from .network import Network
from .run import Meters, Run

#: Rows of labels that are checked at a time; bounds the memory of the check.
_ROWS_CHECKED = 4096


class BatchModel:
    """A model that learns from, is tested on and predicts one batch.

    `train_step`, `test_step` and `predict_step` may be overridden. A subclass
    has `name`, `layers`, `built`, `build`, `input_shape` and `output_shape`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.metrics: list[Any] = []
        self._batch_meters: Meters | None = None
        self.history: History | None = None
        self.stop_training = False
        self.class_names: list[str] | None = None
        #: Facts worth keeping with the model, saved in its checkpoints: JSON values.
        self.metadata: dict[str, Any] = {}
        self._fuse = True
        self._network_cache: tuple[tuple, Network] | None = None
        self._run: Run | None = None
        self._run_state: dict[str, Any] | None = None
        # Two threads must not run through the layers' buffers at once.
        self._lock = threading.RLock()

    @property
    def owner(self) -> str:
        """How errors name this model: `Sequential 'model1'`."""
        return f"{type(self).__name__} '{self.name}'"

    # Compiling

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Iterable | None = None
    ) -> None:
        """Choose how the model is trained.

        Args:
            optimizer: a name ("sgd", "adam", "rmsprop") or an object of
                `fastconv.optimizers`.
            loss: a name ("binary_crossentropy", ...) or an object of
                `fastconv.losses`. After a last layer with "sigmoid" or
                "softmax" the matching cross-entropy is computed from logits.
            metrics: names or objects; a name is what the logs and the history
                call it.
        """
        if loss is None:
            raise ValueError(
                f"{self.owner}: compile() needs a loss, for example loss='binary_crossentropy'"
            )
        chosen = losses.get(loss)
        wanted = [metrics] if isinstance(metrics, str) else list(metrics or [])
        # A name stays one, since it is what the logs say; all else becomes an object.
        watched = [m if isinstance(m, str) else metrics_module.get(m, chosen) for m in wanted]
        batch_meters = Meters(watched, chosen)
        # All is checked: only now does the model change.
        self.optimizer = optimizers.get(optimizer)
        self.loss = chosen
        self.metrics = watched
        self._batch_meters = batch_meters
        self._run_state = None

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self.loss is not None

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
        return Meters(self.metrics, self.loss)

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
        layers = self.layers
        # Layers are equal where they are the same.
        key = (self._fuse, layers, [layer.trainable for layer in layers])
        if self._network_cache is None or self._network_cache[0] != key:
            self._network_cache = (key, Network(layers, self._fuse))
        return self._network_cache[1]

    def _folds(self, network: Network) -> bool:
        return network.foldable is not None and network.foldable == self.loss.activation

    # Batches by hand

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
        return self._step_alone(self.train_step, batch, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss of one batch, or [loss, metrics...], or a dict."""
        batch = self._checked_batch("test_on_batch", x, y, sample_weight)
        return self._step_alone(self.test_step, batch, return_dict)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Return the output for one batch as a new array."""
        x, _, _ = check_arrays(x, None, None, f"{self.owner}: predict_on_batch")
        with self._lock:
            self._prepare_input(x.shape, "predict_on_batch")
            return np.array(self.predict_step(contiguous(x, np.float32)))

    def _checked_batch(self, method: str, x, y, sample_weight, class_weight=None) -> Batch:
        owner = f"{self.owner}: {method}"
        class_weight = check_class_weight(class_weight, owner)
        batch = weigh_classes(as_batch((x, y, sample_weight), owner), class_weight)
        with self._lock:
            self._prepare(batch, method)
        return batch

    def _step_alone(self, step: Any, batch: Batch, return_dict: bool) -> Any:
        meters = self._batch_meters
        with self._lock:
            meters.reset()
            meters.update(batch, *step(batch))
            return as_result(meters.logs(), return_dict)

    # Checks, all made before anything is changed

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"{self.owner}: {method}() needs a compiled model; call "
                "compile(optimizer=..., loss=..., metrics=[...]) first"
            )

    def _prepare(self, batch: Batch, method: str) -> None:
        """Build the model if need be and check that a batch fits it."""
        self._require_compiled(method)
        self._prepare_input(batch.x.shape, method)
        self._check_labels(batch.y, batch.sample_weight, method)

    def _check_labels(self, y: np.ndarray | None, weight: np.ndarray | None, method: str) -> None:
        """Raise what the loss would raise on these labels, whatever the prediction."""
        if y is None:
            raise ValueError(f"{self.owner}: {method} needs the labels y")
        check_label_dtype(y, f"{self.owner}: {method}")
        logits = self._folds(self._network())
        for start in range(0, len(y), _ROWS_CHECKED):
            rows = slice(start, start + _ROWS_CHECKED)
            shape = (len(y[rows]), *self.output_shape[1:])
            weights = None if weight is None else weight[rows]
            try:
                self.loss.check(y[rows], shape, weights, logits=logits)
            except (ValueError, TypeError) as error:
                raise type(error)(f"{self.owner}: {method}: {error}") from None

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
