"""`tf.nn`, as far as it needs no weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from .. import functions

#: Functions that have their names from Keras, and those that have others here.
_SAME = (
    *("elu", "gelu", "l2_normalize", "leaky_relu", "log_softmax", "relu", "relu6", "selu"),
    *("sigmoid", "silu", "softmax", "softplus", "softsign", "tanh"),
)
_RENAMED = {
    "swish": "silu",
}
__all__ = [
    *_SAME,
    *_RENAMED,
    *("avg_pool2d", "conv2d", "max_pool2d", "sigmoid_cross_entropy_with_logits"),
]
globals().update({name: getattr(functions, name) for name in _SAME})
globals().update({name: getattr(functions, own) for name, own in _RENAMED.items()})


def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    return functions.crossentropy_of_each(labels, logits, True)


def _pair(value: Any) -> Any:
    """Return TensorFlow's window of 1, 2 or 4 numbers as fastconv's."""
    sizes = [int(one) for one in np.ravel(value)]
    if len(sizes) == 4:
        if sizes[0] != 1 or sizes[3] != 1:
            raise ValueError(f"tf.nn: {sizes} is no window of an image; the ends must be 1")
        sizes = sizes[1:3]
    return tuple(sizes) if len(sizes) == 2 else sizes[0]


def conv2d(input: Any, filters: Any, strides: Any, padding: str, dilations: Any = 1) -> Any:
    image, kernel = (np.asarray(one, np.float32) for one in (input, filters))
    return ops.conv2d(image, kernel, None, _pair(strides), padding.lower(), _pair(dilations))


def max_pool2d(input: Any, ksize: Any, strides: Any, padding: str) -> Any:
    return ops.max_pool2d(
        np.asarray(input, np.float32), _pair(ksize), _pair(strides), padding.lower()
    )


def avg_pool2d(input: Any, ksize: Any, strides: Any, padding: str) -> Any:
    return ops.average_pool2d(
        np.asarray(input, np.float32), _pair(ksize), _pair(strides), padding.lower()
    )
