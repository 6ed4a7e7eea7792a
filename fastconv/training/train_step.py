"""One batch at a time: what a model is compiled with, and what it does with a batch."""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import numpy as np

from .. import optimizers
from .._core.handing_out import handed_out
from .._core.memory import contiguous
from .._core.validation import number_array
from ..graph.executor import Executor
from .batches import Batch, as_batch, check_arrays, each, only_input
from .checks import BatchChecks
from .fit_state import Meters
from .labels import check_class_weight, weigh_classes
from .model import TrainableModel
from .objectives import BatchLoss, Objectives, Output, as_tuple
from .ports import ONE, Ports, only_value


class TrainStep(BatchChecks):
    """A model's optimizer, loss and metrics, the checks of a batch, and the steps themselves.

    `train`, `test` and `predict` are what the model's own `train_step`, `test_step` and
    `predict_step` do; whoever goes through batches calls the model's, which a user may override.
    """

    def __init__(self, model: TrainableModel) -> None:
        self.follow(model)
        self.optimizer: optimizers.Optimizer | None = None
        self.objectives: Objectives | None = None
        # The graph that they are of, and the shape of a row of the only input.
        self._ports: tuple[Any, Ports, Any] | None = None
        #: The kind of labels, and the metrics, that were found to fit each other.
        self._tried: tuple[Any, ...] | None = None
        self._spare_meters: Meters | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy follows the copied model.
        left = ("_model", "_ports", "_spare_meters")
        return {name: value for name, value in self.__dict__.items() if name not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _ports=None, _spare_meters=None)

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

    def compile(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        """Take names or objects; raise before anything is changed."""
        owner = f"{self.model.owner}: compile"
        chosen = Objectives(loss, metrics, loss_weights, weighted_metrics, self.model.owner)
        if self.model.built:
            Meters(chosen.outputs(self.ports().outputs, owner))
        self.set_optimizer(optimizer)
        self.objectives = chosen

    def set_optimizer(self, value: Any) -> None:
        """Train with the optimizer `value`, a name or an object that trains no other model."""
        chosen = optimizers.get(value)
        chosen.claim(self.model)
        self.optimizer = chosen

    def set_objective(self, name: str, value: Any) -> None:
        """Train with another loss, or report other metrics."""
        now = self.objectives
        given = {
            what: getattr(now, what, None)
            for what in ("loss", "metrics", "loss_weights", "weighted_metrics")
        }
        chosen = Objectives(**(given | {name: value}), owner=self.model.owner)
        if self.model.built and chosen.loss is not None:
            Meters(chosen.outputs(self.ports().outputs, self.model.owner))
        self.objectives = chosen

    @property
    def compiled(self) -> bool:
        """Whether there are an optimizer and a loss."""
        return self._has_loss() and self.optimizer is not None

    def _has_loss(self) -> bool:
        return self.objectives is not None and self.objectives.loss is not None

    def require_compiled(self, method: str) -> optimizers.Optimizer:
        """Return the optimizer; `method` needs it and a loss."""
        if self.optimizer is None or not self._has_loss():
            raise RuntimeError(
                f"{self.model.owner}: {method}() needs a compiled model; call "
                "compile(optimizer=..., loss=..., metrics=[...]) first"
            )
        return self.optimizer

    def ports(self) -> Ports:
        """Return the names of several inputs and outputs of the model, which is built."""
        model = self.model
        if self._ports is None or self._ports[0] is not model.graph:
            inputs, outputs = tuple(model.input_names), tuple(model.output_names)
            ports = Ports(
                inputs if len(inputs) > 1 else None,
                outputs if len(outputs) > 1 else None,
                inputs + outputs,
            )
            alone = model.input_shape[1:] if len(inputs) == 1 else None
            self._ports = (model.graph, ports, alone)
        return self._ports[1]

    def outputs(self, method: str = "fit") -> list[Output]:
        """Return what is asked of each of the model's outputs."""
        assert self.objectives is not None, "only a compiled model is asked"
        model, ports = self.model, self._ports
        if ports is not None and ports[0] is model._graph:  # asked several times for each batch
            names = ports[1].outputs
        else:
            names = self.ports().outputs if model.built else None
        known = self.objectives.known_outputs(names)
        if known is not None:
            return known
        return self.objectives.outputs(names, f"{model.owner}: {method}")

    def meters(self) -> Meters:
        """Return a new pass's averages."""
        return Meters(self.outputs())

    # The steps

    def train(self, batch: Batch) -> tuple[float, Any]:
        """Learn from one batch; return its mean loss and the model's output for it."""
        optimizer = self.require_compiled("train_step")
        optimizer.restore_values()
        executor = self.model._executor()
        if not executor.trainable:
            warnings.warn(
                f"{self.model.owner}: no weights are trained, since there are none or all are "
                "frozen; set model.trainable = True where that is not meant",
                stacklevel=2,
            )
        try:
            value, predictions, gradients = self._forward(executor, batch, training=True)
            executor.backward(gradients)
        except BaseException:
            executor.abandon()
            raise
        penalty = optimizers.regularize(executor.trainable)
        optimizer.apply(executor.trainable)
        return with_penalty(value, penalty), predictions

    def finish_training(self) -> None:
        """Give the model what its optimizer says at a training's end: averages of weights."""
        optimizer = self.require_compiled("fit")
        with self.model.layers_lock:
            optimizer.finalize_variable_values(self.model.trainable_weights)

    def test(self, batch: Batch) -> tuple[float, Any]:
        """Return one batch's mean loss and the model's output for it."""
        self.require_compiled("test_step")
        executor = self.model._executor()
        value, predictions, _ = self._forward(executor, batch, training=False)
        return with_penalty(value, optimizers.penalty(executor.trainable)), predictions

    def _forward(
        self, executor: Executor, batch: Batch, training: bool
    ) -> tuple[float, Any, list[np.ndarray | None]]:
        """Return the loss, the output (a list of several) and each output's gradient."""
        asked = self.outputs()
        fused = executor.fused_losses([one.loss for one in asked])
        inputs = batch.x if isinstance(batch.x, tuple) else (batch.x,)
        results = executor.forward(inputs, training, fused, step=training)
        targets = as_tuple(batch.y, len(asked))
        weights = as_tuple(batch.sample_weight, len(asked))
        total = 0.0
        parts: list[float] = []
        gradients: list[np.ndarray | None] = []
        outputs: list[np.ndarray] = []
        for n, (one, result) in enumerate(zip(asked, results, strict=True)):
            outputs.append(executor.activate(result, n) if fused[n] else result)
            if one.loss is None or targets[n] is None:
                parts.append(0.0)
                gradients.append(None)
                continue
            value, gradient = one.loss.value_and_gradient(
                targets[n], result, weights[n], logits=fused[n]
            )
            total += value * one.weight
            parts.append(value)
            gradients.append(gradient if one.weight == 1 else gradient * np.float32(one.weight))
        if len(asked) == 1:
            return total, outputs[0], gradients
        return BatchLoss(total, parts), outputs, gradients

    def predict(self, x: Any) -> Any:
        """Return the model's output for one batch, in memory that the next call overwrites.

        A list of them where there are several.
        """
        results = self.model._executor().forward(x if isinstance(x, tuple) else (x,))
        return results if len(results) > 1 else results[0]

    # Batches by hand

    def train_alone(
        self, x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool
    ) -> Any:
        """Learn from one batch of arrays; return its loss and metrics as `as_result` does."""
        batch = self._checked_batch("train_on_batch", x, y, sample_weight, class_weight)
        self.require_compiled("train_on_batch").claim(self.model)
        return self._step_alone(self.model.train_step, batch, return_dict)

    def test_alone(self, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        """Return the loss and metrics of one batch of arrays as `as_result` does."""
        batch = self._checked_batch("test_on_batch", x, y, sample_weight)
        return self._step_alone(self.model.test_step, batch, return_dict)

    def predict_alone(self, x: Any) -> Any:
        """Return the output for one batch as a new array."""
        model = self.model
        if self.fits(x):
            with model.layers_lock:
                return self.packed(model.predict_step(x), copy=True)
        owner = f"{model.owner}: predict_on_batch"
        x, ports = self.inputs(x, owner)
        x, _, _ = check_arrays(x, None, None, owner, ports)
        with model.layers_lock:
            self.prepare_input(x, "predict_on_batch")
            return self.packed(model.predict_step(each(_float32, x)), copy=True)

    def fits(self, x: Any) -> bool:
        """Whether `x` is what the only input takes as it is: asked before single predictions."""
        known = self._ports
        return (
            known is not None
            and known[0] is self.model._graph
            and type(x) is np.ndarray
            and x.shape[1:] == known[2]
            and x.dtype == np.float32
            and x.flags.carray
            and len(x) > 0
        )

    def call_alone(self, x: Any, training: bool) -> Any:
        """Return the output for one batch as a new array."""
        model = self.model
        owner = f"{model.owner}: call"
        x, ports = self.inputs(x, owner)
        if ports.inputs is None:
            x = number_array(only_value(x, "x", owner, ports), "x", owner)
        else:
            x, _, _ = check_arrays(x, None, None, owner, ports)
        batch = each(_float32, x)
        with model.layers_lock:
            self.prepare_input(batch, "call")
            inputs = batch if isinstance(batch, tuple) else (batch,)
            results = model._executor().forward(inputs, training)
            copies = [handed_out(np.array(one)) for one in results]
            return self.packed(copies if len(copies) > 1 else copies[0])

    def packed(self, outputs: Any, copy: bool = False) -> Any:
        """Return outputs as the model gives them: an array, a list, or a dict by names."""
        arrays = outputs if isinstance(outputs, list) else [outputs]
        arrays = [np.array(one) for one in arrays] if copy else arrays
        names = self.model._output_names
        if names is None:
            return arrays if isinstance(outputs, list) else arrays[0]
        return dict(zip(names, arrays, strict=True))

    def _checked_batch(
        self, method: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None
    ) -> Batch:
        model = self.model
        owner = f"{model.owner}: {method}"
        class_weight = check_class_weight(class_weight, owner)
        x, ports = self.inputs(x, owner)
        batch = as_batch((x, y, sample_weight), owner, ports)
        with model.layers_lock:
            self.prepare(batch, method, class_weight)
        return weigh_classes(batch, class_weight, owner)

    def _step_alone(self, step: Any, batch: Batch, return_dict: bool) -> Any:
        with self.model.layers_lock:
            # Taken meanwhile: the step may measure another batch.
            meters, self._spare_meters = self._spare_meters, None
            if meters is None or not meters.serve(self.outputs()):
                meters = self.meters()
            meters.update(batch, *step(batch))
            logs = meters.logs()
            meters.reset()
            self._spare_meters = meters
            return as_result(logs, return_dict)

    # Checks, all made before anything is changed

    def inputs(self, x: Any, owner: str) -> tuple[Any, Ports]:
        """Return `x`, or the one array of a list of inputs, and the model's ports."""
        model = self.model
        if not model.built and not hasattr(model, "add"):  # a user's class, whose call is traced
            shapes = _shapes_of_inputs(x)
            if shapes:
                given: Any = shapes if len(shapes) > 1 else shapes[0]
                model.build(given)
        ports = self.ports() if model.built else ONE
        if type(x) is np.ndarray or ports.inputs is not None:
            return x, ports
        return only_input(x, getattr(model, "input_shape", None), owner), ports


def _float32(array: np.ndarray) -> np.ndarray:
    return contiguous(array, np.float32)


def with_penalty(loss: float, penalty: float) -> float:
    """Return a batch's loss with what weights cost."""
    if not penalty:
        return loss
    total = float(loss) + penalty
    return BatchLoss(total, loss.parts) if isinstance(loss, BatchLoss) else total


def _shapes_of_inputs(x: Any) -> list[tuple[Any, ...]]:
    """Return the shapes of the arrays that a user's model is first given, () where unknown."""
    arrays = list(x) if isinstance(x, (list, tuple)) else [x]
    if not all(hasattr(one, "shape") and len(one.shape) > 0 for one in arrays):
        return []
    return [(None, *one.shape[1:]) for one in arrays]


def as_result(logs: dict[str, float], as_dict: bool) -> Any:
    """Return logs as Keras does: a dict, a list, or the loss where there is nothing else."""
    if as_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
