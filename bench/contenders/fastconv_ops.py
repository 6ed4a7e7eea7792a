"""fastconv's operations and its layers, in one process: the same arrays, the same threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
from fastconv import layers, ops

from ..cases import Case
from ..ops_cases import FilterCase, PoolCase, numbers
from .layer_data import BACKWARD, FORWARD, arrays, sample, seconds_of

LAYER = " layer"


class FastconvOps:
    """Each direction of an operation, and of the layer that computes the same."""

    def __init__(self, *, threads: int) -> None:
        fastconv.set_num_threads(threads)
        self.operations: dict[str, Callable[[], Any]] = {}

    def prepare(self, case: Any) -> dict[str, Any]:
        """Return samples of what is computed, and the seconds of a second call."""
        self.operations.clear()
        makers = {Case: _convolution, PoolCase: _pooling, FilterCase: _filtering}
        operations, names = makers[type(case)](case)
        samples = {}
        for name, operation in operations.items():
            self.operations[name] = operation
            if name in names:
                found = operation()
                found = found if isinstance(found, tuple) else (found,)
                samples.update(zip(names[name], map(sample, found), strict=True))
        return {"samples": samples, "seconds": seconds_of(self.operations)}

    def restore(self) -> None:
        """Nothing changes."""


Operations = tuple[dict[str, Callable[[], Any]], dict[str, tuple[str, ...]]]


def _convolution(case: Case) -> Operations:
    x, kernel, bias, dy = arrays(case)
    options = {"strides": case.stride, "padding": case.padding, "groups": case.groups}
    made = [layers.Conv2D(case.filters, case.kernel, **options) for _ in range(2)]
    names = {FORWARD: ("output",), BACKWARD: ("dx", "dkernel", "dbias")}
    return {
        FORWARD: lambda: ops.conv2d(x, kernel, bias, **options),
        BACKWARD: lambda: ops.conv2d_backward(dy, x, kernel, **options),
        **_of_layers(made, x, dy, [kernel, bias]),
    }, names


def _pooling(case: PoolCase) -> Operations:
    x = numbers(case, case.batch, case.size, case.size, case.channels)
    function, backward = (getattr(ops, f"{case.kind}_pool2d{name}") for name in ("", "_backward"))
    layer = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}[case.kind]
    arguments = case.window, case.stride, case.padding
    dy = numbers(case, *function(x, *arguments).shape)
    known: dict[str, Any] = {}  # what the layer and PyTorch keep for the backward pass
    if case.kind == "max":
        known["places"] = ops.max_pool2d_with_places(x, *arguments)[1]
    return {
        FORWARD: lambda: function(x, *arguments),
        BACKWARD: lambda: backward(dy, x, *arguments, **known),
        **_of_layers([layer(*arguments) for _ in range(2)], x, dy, []),
    }, {FORWARD: ("output",), BACKWARD: ("dx",)}


def _filtering(case: FilterCase) -> Operations:
    image = numbers(case, *case.image_shape)
    kernel = numbers(case, case.kernel, case.kernel)
    layer = layers.DepthwiseConv2D(case.kernel, padding="same", use_bias=False)
    images = np.atleast_3d(image)[np.newaxis]
    weights = np.repeat(kernel[:, :, np.newaxis, np.newaxis], images.shape[3], axis=2)
    forward = _of_layers([layer, layer], images, None, [weights])[FORWARD + LAYER]
    operations = {FORWARD: lambda: ops.filter2d(image, kernel, "same"), FORWARD + LAYER: forward}
    return operations, {FORWARD: ("output",)}


def _of_layers(
    made: list[Any], x: np.ndarray, dy: Any, weights: list[np.ndarray]
) -> dict[str, Callable[[], Any]]:
    """Return the operations of two equal layers, one that predicts and one that trains."""
    for layer in made:
        layer(x)
        layer.set_weights(weights)
    predicting, training = made
    training.call(x, True)
    return {
        FORWARD + LAYER: lambda: predicting.call(x),
        BACKWARD + LAYER: lambda: training.backward(dy),
    }
