"""fastconv in the sweep: the operations of a `Sequential`, which is what a user's model runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
from fastconv.graph.executor import Executor
from fastconv.layers import Conv2D, MaxPooling2D
from fastconv.models import Sequential

from ..cases import Case
from .layer_data import BACKWARD, FORWARD, Arrays, arrays, sample, seconds_of


class FastconvLayer:
    """Forward as in a prediction; backward as in a training step, with the input's gradient."""

    def __init__(self, *, threads: int) -> None:
        fastconv.set_num_threads(threads)
        self.operations: dict[str, Callable[[], Any]] = {}

    def prepare(self, case: Case, undecided: np.ndarray) -> dict[str, Any]:
        """Return samples of output and gradients, and the seconds of a second call."""
        self.operations.clear()
        data = arrays(case)
        data.dy.reshape(-1)[undecided] = 0
        predicting, training = _executor(case, data), _executor(case, data)

        def forward() -> np.ndarray:
            y = data.x
            for operation in predicting.operations:
                y = operation.call(y, False)
            return y

        def backward() -> np.ndarray | None:
            dy = data.dy
            for operation in reversed(training.operations):
                dy = operation.backward(dy)
            return dy

        y = data.x
        for operation in training.operations:
            y = operation.call(y, True)
        self.operations = {FORWARD: forward, BACKWARD: backward}
        samples = {"output": sample(forward())}
        dx = backward()
        if case.input_gradient:
            samples["dx"] = sample(dx)
        for name, parameter in zip(("dkernel", "dbias"), training.trainable, strict=True):
            samples[name] = sample(parameter.gradient)
        return {"samples": samples, "seconds": seconds_of(self.operations)}

    def restore(self) -> None:
        """Nothing changes."""


def _executor(case: Case, data: Arrays) -> Executor:
    # The very argument a user would give where TensorFlow's padding is the same.
    same = case.stride == 1 and 0 < case.padding == case.kernel // 2
    layers = [
        Conv2D(
            case.filters,
            case.kernel,
            case.stride,
            "same" if same else case.padding,
            groups=case.groups,
            activation="relu" if case.relu else None,
            input_shape=data.x.shape[1:],
        )
    ]
    if case.pool is not None:
        window, stride, padding = case.pool
        layers.append(MaxPooling2D(window, stride, padding))
    model = Sequential(layers)
    model.set_weights([data.kernel, data.bias])
    executor = Executor(model.layers)
    for index, layer in enumerate(model.layers):
        # As behind other trained layers, unless the case is a network's first.
        layer.needs_input_gradient = index > 0 or case.input_gradient
    return executor
