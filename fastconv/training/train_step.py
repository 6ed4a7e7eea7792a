"""One batch at a time: what a model is compiled with, and what it does with a batch."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import losses, optimizers
from .. import metrics as metrics_module
from .._core.memory import contiguous
from .._core.validation import number_array
from .batches import Batch, as_batch, check_arrays, only_input
from .fit_state import Meters
from .labels import (
    check_class_weight,
    check_label_dtype,
    check_weighed_classes,
    rows_without_number,
    weigh_classes,
)
from .model import TrainableModel

#: Predicted values whose labels are checked at a time; bounds the memory of the check.
_VALUES_CHECKED = 1 << 16


class TrainStep:
    """A model's optimizer, loss and metrics, the checks of a batch, and the steps themselves.

    `train`, `test` and `predict` are what the model's own `train_step`, `test_step` and
    `predict_step` do; whoever goes through batches calls the model's, which a user may override.
    """

    def __init__(self, model: TrainableModel) -> None:
        self.follow(model)
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.metrics: list[Any] = []
        #: The kind of labels, and the metrics, that were found to fit each other.
        self._tried: tuple[Any, ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy follows the copied model.
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    def follow(self, model: TrainableModel) -> None:
        """Do the steps of `model`, which has this object and is not kept alive by it."""
        self._model = weakref.ref(model)

    @property
    def model(self) -> TrainableModel:
        """The model whose steps these are."""
        model = self._model()
        assert model is not None, "a TrainStep is used by its model"
        return model

    # What the model is compiled with

    def compile(self, optimizer: Any, loss: Any, metrics: Any) -> None:
        """Take names or objects; raise before anything is changed."""
        chosen, watched = losses.get(loss), self.metrics_of(metrics)
        self.set_optimizer(optimizer)
        self.loss, self.metrics = chosen, watched

    def set_optimizer(self, value: Any) -> None:
        """Train with the optimizer `value`, a name or an object that trains no other model."""
        chosen = optimizers.get(value)
        chosen.claim(self.model)
        self.optimizer = chosen

    def metrics_of(self, metrics: Any) -> list[Any]:
        """Return names, which stay what the logs say, and objects for all else."""
        if isinstance(metrics, Mapping):
            raise TypeError(
                f"{self.model.owner}: compile: metrics is {metrics!r}; it must be a list: there is "
                "one output"
            )
        alone = isinstance(metrics, (str, type)) or not isinstance(metrics, Iterable | None)
        wanted = [metrics] if alone else metrics or []
        chosen = [m if isinstance(m, str) else metrics_module.get(m) for m in wanted]
        for name in Meters(chosen).names:
            metrics_module.check_name(name)
        return chosen

    @property
    def compiled(self) -> bool:
        """Whether there are an optimizer and a loss."""
        return self.loss is not None and self.optimizer is not None

    def require_compiled(self, method: str) -> tuple[optimizers.Optimizer, losses.Loss]:
        """Return the optimizer and the loss; `method` needs them."""
        if self.optimizer is None or self.loss is None:
            raise RuntimeError(
                f"{self.model.owner}: {method}() needs a compiled model; call "
                "compile(optimizer=..., loss=..., metrics=[...]) first"
            )
        return self.optimizer, self.loss

    def meters(self) -> Meters:
        """Return a new pass's averages."""
        return Meters(self.metrics)

    # The steps

    def train(self, batch: Batch) -> tuple[float, np.ndarray]:
        """Learn from one batch; return its mean loss and the model's output for it."""
        optimizer, loss = self.require_compiled("train_step")
        executor = self.model._executor()
        fused = executor.fuses_loss(loss)
        (prediction,) = executor.forward([batch.x], training=True, logits=[fused], step=True)
        output = executor.activate(prediction) if fused else prediction
        value, gradient = loss.value_and_gradient(
            batch.y, prediction, batch.sample_weight, logits=fused
        )
        executor.backward([gradient])
        value += optimizers.regularize(executor.trainable)
        optimizer.apply(executor.trainable)
        return value, output

    def finish_training(self) -> None:
        """Give the model what its optimizer says at a training's end: averages of weights."""
        optimizer, _ = self.require_compiled("fit")
        with self.model.layers_lock:
            optimizer.finalize_variable_values(self.model.trainable_weights)

    def test(self, batch: Batch) -> tuple[float, np.ndarray]:
        """Return one batch's mean loss and the model's output for it."""
        _, loss = self.require_compiled("test_step")
        executor = self.model._executor()
        fused = executor.fuses_loss(loss)
        (prediction,) = executor.forward([batch.x], logits=[fused])
        output = executor.activate(prediction) if fused else prediction
        value, _ = loss.value_and_gradient(batch.y, prediction, batch.sample_weight, logits=fused)
        return value + optimizers.penalty(executor.trainable), output

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the model's output for one batch, in memory that the next call overwrites."""
        return self.model._executor().forward([x])[0]

    # Batches by hand

    def train_alone(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool
    ) -> Any:
        """Learn from one batch of arrays; return its loss and metrics as `as_result` does."""
        batch = self._checked_batch("train_on_batch", x, y, sample_weight, class_weight)
        self.require_compiled("train_on_batch")[0].claim(self.model)
        return self._step_alone(self.model.train_step, batch, return_dict)

    def test_alone(self, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        """Return the loss and metrics of one batch of arrays as `as_result` does."""
        batch = self._checked_batch("test_on_batch", x, y, sample_weight)
        return self._step_alone(self.model.test_step, batch, return_dict)

    def predict_alone(self, x: Any) -> np.ndarray:
        """Return the output for one batch as a new array."""
        model = self.model
        owner = f"{model.owner}: predict_on_batch"
        x, _, _ = check_arrays(self.only_input(x, owner), None, None, owner)
        with model.layers_lock:
            self.prepare_input(x.shape, "predict_on_batch")
            return np.array(model.predict_step(contiguous(x, np.float32)))

    def call_alone(self, x: Any, training: bool) -> np.ndarray:
        """Return the output for one batch as a new array."""
        model = self.model
        batch = contiguous(number_array(x, "x", f"{model.owner}: call"), np.float32)
        with model.layers_lock:
            self.prepare_input(batch.shape, "call")
            return np.array(model._executor().forward([batch], training)[0])

    def _checked_batch(
        self, method: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> Batch:
        owner = f"{self.model.owner}: {method}"
        class_weight = check_class_weight(class_weight, owner)
        batch = as_batch((self.only_input(x, owner), y, sample_weight), owner)
        with self.model.layers_lock:
            self.prepare(batch, method, class_weight)
        return weigh_classes(batch, class_weight, owner)

    def _step_alone(self, step: Any, batch: Batch, return_dict: bool) -> Any:
        meters = self.meters()
        with self.model.layers_lock:
            meters.update(batch, *step(batch))
            return as_result(meters.logs(), return_dict)

    # Checks, all made before anything is changed

    def only_input(self, x: Any, owner: str) -> Any:
        """Return `x`, or the one array of a list of inputs."""
        if type(x) is np.ndarray:
            return x
        return only_input(x, getattr(self.model, "input_shape", None), owner)

    def prepare(
        self,
        batch: Batch,
        method: str,
        class_weight: dict[int, float] | None = None,
        labels: tuple[np.ndarray | None, np.ndarray | None] | None = None,
    ) -> None:
        """Build the model if need be and check that a batch fits it, its loss and its metrics.

        `labels` are all (y, sample_weight) that can be seen, else the batch's are checked.
        """
        self.require_compiled(method)
        self.prepare_input(batch.x.shape, method)
        y, sample_weight = labels or (batch.y, batch.sample_weight)
        self.check_labels(y, sample_weight, method, class_weight)
        self._try_metrics(batch.y, method)

    def check_later_batch(self, batch: Batch) -> None:
        """Check what may differ between an iterator's batches; the first was checked in full."""
        self.prepare_input(batch.x.shape, "the iterator's batch")
        owner = self.model.owner
        if batch.y is None:
            raise ValueError(f"{owner}: the iterator gave no labels; it must give (x, y)")
        check_label_dtype(batch.y, f"{owner}: the iterator's batch")
        self._try_metrics(batch.y, "the iterator's batch")

    def check_labels(
        self,
        y: np.ndarray | None,
        weight: np.ndarray | None,
        method: str,
        class_weight: dict[int, float] | None = None,
    ) -> None:
        """Raise what the loss would raise on these labels, whatever the prediction."""
        owner = f"{self.model.owner}: {method}"
        if y is None:
            raise ValueError(f"{owner}: y is None; it must be the labels")
        check_label_dtype(y, owner)
        _, loss = self.require_compiled(method)
        classes = self._classes()
        if classes is not None:
            check_weighed_classes(class_weight, classes, owner)
        logits = self.model._executor().fuses_loss(loss)
        row_shape: Any = self.model.output_shape[1:]
        # So many rows at a time: a row of labels may be as large as an image.
        step = max(1, _VALUES_CHECKED // max(1, math.prod(row_shape)))
        for start in range(0, len(y), step):
            rows = slice(start, start + step)
            part = Batch(y[rows], y[rows], None if weight is None else weight[rows])
            weights = weigh_classes(part, class_weight, owner).sample_weight
            try:
                loss.check(y[rows], (len(part.x), *row_shape), weights, logits=logits)
            except (ValueError, TypeError) as error:
                where = rows_without_number(y[rows], start)
                raise _reworded(error, f"{owner}: {error}{where}") from None

    def _classes(self) -> int | None:
        """How many classes the model tells apart, None where it is no classifier."""
        outputs = self.model.output_shape[-1]
        if outputs is not None and outputs > 1:
            return outputs
        return 2 if isinstance(self.loss, losses.BinaryCrossentropy) else None

    def _try_metrics(self, y: Any, method: str) -> None:
        """Raise what the metrics would raise on such labels, before a step changes the weights."""
        shape: Any = self.model.output_shape
        kind = (y.shape[1:], y.dtype, shape, *self.metrics)
        if self._tried == kind or not self.metrics:
            return
        meters = self.meters()
        output = np.full((len(y), *shape[1:]), 0.5, np.float32)
        try:
            meters.update(Batch(y, y, None), 0.0, output)
            meters.logs()
        except (ValueError, TypeError) as error:
            raise _reworded(error, f"{self.model.owner}: {method}: {error}") from None
        self._tried = kind

    def prepare_input(self, shape: tuple[int, ...], method: str) -> None:
        """Check an input's shape (batch, ...), and build the model for it if it is not built."""
        model = self.model
        if not model.built:
            if not model.layers:
                raise ValueError(
                    f"{model.owner}: {method}: the model has no layers; add some first"
                )
            model.build((None, *shape[1:]))
        wanted = model.input_shape
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
                f"{model.owner}: {method}: x has shape {tuple(shape)}; it must be "
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
