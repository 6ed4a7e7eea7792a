"""JAX in the models' comparison: one compiled function for a training step, one to predict."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Node, network_of
from ..spec import ModelTask
from .base import ModelContender

EPSILON = 1e-7


class JaxModel(ModelContender):
    """`jax.jit` of a model of NHWC images, and of its step with Keras's update of the weights."""

    def __init__(self, *, threads: int, **options: Any) -> None:
        super().__init__(threads=threads, **options)
        # XLA's pool has so many threads; read when JAX first runs something.
        os.environ["NPROC"] = str(threads)
        os.environ["JAX_PLATFORMS"] = "cpu"

    def build(self, task: ModelTask) -> None:
        import jax

        self.nodes = network_of(task).nodes
        self.weights = [jax.numpy.asarray(array) for array in task.weights]

    def predictor(self, x: np.ndarray) -> Callable[[], Any]:
        import jax

        def predict(weights: list[Any], images: Any) -> Any:
            return jax.nn.sigmoid(_logits(self.nodes, weights, images, None))

        run = jax.jit(predict)
        images = jax.numpy.asarray(x)
        return lambda: np.asarray(run(self.weights, images))

    def trainer(self, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
        import jax

        images, labels = jax.numpy.asarray(x), jax.numpy.asarray(y.reshape(-1, 1))
        update = _UPDATES[self.task.optimizer]
        rate, nodes = self.task.learning_rate, self.nodes

        def loss(weights: list[Any], key: Any) -> Any:
            z = _logits(nodes, weights, images, key)
            return (jax.nn.softplus(z) - labels * z).mean()

        def step(weights: list[Any], state: list[Any], count: Any) -> tuple[Any, ...]:
            key = jax.random.fold_in(jax.random.key(0), count)
            value, gradients = jax.value_and_grad(loss)(weights, key)
            count = count + 1
            pairs = [update(*given, rate, count)
                     for given in zip(weights, gradients, state, strict=True)]  # fmt: skip
            return value, [new for new, _ in pairs], [moments for _, moments in pairs], count

        run = jax.jit(step, donate_argnums=(0, 1))
        # Weights that a step gives away are its own.
        self.weights = [weight.copy() for weight in self.weights]
        self.state = [(0 * weight, 0 * weight) for weight in self.weights]
        self.count = jax.numpy.int32(0)

        def train() -> float:
            value, self.weights, self.state, self.count = run(self.weights, self.state, self.count)
            return float(value)

        return train

    def reset_weights(self) -> None:
        import jax

        self.weights = [jax.numpy.array(array) for array in self.task.weights]


def _adam(w: Any, g: Any, moments: tuple[Any, Any], rate: float, count: Any) -> tuple[Any, Any]:
    mean, square = moments
    mean, square = mean + 0.1 * (g - mean), square + 0.001 * (g * g - square)
    alpha = rate * (1 - 0.999**count) ** 0.5 / (1 - 0.9**count)
    return w - alpha * mean / (square**0.5 + EPSILON), (mean, square)


def _rmsprop(w: Any, g: Any, moments: tuple[Any, Any], rate: float, _: Any) -> tuple[Any, Any]:
    unused, square = moments
    square = 0.9 * square + 0.1 * g * g
    return w - rate * g / (square + EPSILON) ** 0.5, (unused, square)


_UPDATES = {"adam": _adam, "rmsprop": _rmsprop}


def _logits(nodes: tuple[Node, ...], weights: list[Any], x: Any, key: Any) -> Any:
    """Return what goes into the sigmoid at the end; dropout drops where there is a `key`."""
    import jax

    for place, node in enumerate(nodes[:-1]):
        own = [weights[index] for index in node.weights]
        if node.kind == "conv":
            x = jax.lax.conv_general_dilated(
                x, own[0], node.strides, node.padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = x + own[1]
        elif node.kind == "max_pool":
            x = _pooled(node, x)
        elif node.kind == "flatten":
            x = x.reshape(len(x), -1)
        elif node.kind == "dense":
            x = x @ own[0] + own[1]
        elif node.kind == "relu":
            x = jax.nn.relu(x)
        elif node.kind == "dropout":
            if key is not None:
                kept = jax.random.bernoulli(jax.random.fold_in(key, place), 1 - node.rate, x.shape)
                x = jax.numpy.where(kept, x / (1 - node.rate), 0)
        else:
            raise ValueError(f"bench: JAX has no twin of {node.kind} here")
    return x


def _pooled(node: Node, x: Any) -> Any:
    """Pool by a reshape: `reduce_window`, whose gradient is slow, makes a step twice as long."""
    if node.size != node.strides or any(side for sides in node.padding for side in sides):
        raise ValueError("bench: JAX's pooling here is of windows that do not overlap")
    (rows, columns), (height, width, channels) = node.size, node.output_shape
    x = x[:, : height * rows, : width * columns]
    return x.reshape(-1, height, rows, width, columns, channels).max((2, 4))
