"""Gradients by central differences, the oracle of every `backward`.

Layers compute in float32: a value of size 1 is known to 1e-7, so a difference
quotient over 2 * STEP = 0.02 is known to about 1e-5, times the square root of
the terms summed (up to some hundred here), and the curvature adds STEP**2 / 6
of the third derivative, about 2e-5.  TOLERANCE, relative to the largest
gradient, leaves a factor of a few.
"""

import numpy as np

from fastconv._core import runtime

STEP = 1e-2
TOLERANCE = 2e-3


def numeric_gradient(function, array, step=STEP):
    """Return d function() / d array, changing `array` in place and back."""
    gradient = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        high = array[index]
        above = function()
        array[index] = kept - step
        below = function()
        gradient[index] = (above - below) / (float(high) - float(array[index]))
        array[index] = kept
    return gradient


def assert_close(actual, expected, what):
    """Compare a gradient with its oracle, relative to the largest value."""
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(
        actual / scale, expected / scale, atol=TOLERANCE, rtol=0, err_msg=what
    )


def check_layer(layer, x, *, before_call=lambda: None):
    """Check the gradients of the input and of every trainable weight of `layer` at `x`.

    `before_call` runs before each call, to make a random layer repeat itself.
    """
    threads = runtime.get_num_threads()
    # Hundreds of calls on a few numbers each: on a busy machine threads would wait for each other.
    runtime.set_num_threads(1)
    try:
        _check_layer(layer, np.array(x, np.float32), before_call)
    finally:
        runtime.set_num_threads(threads)


def _check_layer(layer, x, before_call):
    before_call()
    y = layer(x, training=True)
    dy = np.random.default_rng(3).normal(size=y.shape).astype(np.float32)

    def objective():
        before_call()
        kept = [p.value.copy() for p in layer.parameters if not p.trainable]
        value = float(np.sum(layer.call(x, training=True).astype(np.float64) * dy))
        for parameter, old in zip(
            (p for p in layer.parameters if not p.trainable), kept, strict=True
        ):
            parameter.assign(old)
        return value

    objective()
    unchanged = dy.copy()
    dx = np.array(layer.backward(dy))
    np.testing.assert_array_equal(dy, unchanged, "backward must not write to dy")
    gradients = {p.name: p.gradient.copy() for p in layer.trainable_weights}
    assert dx.shape == x.shape
    assert_close(dx, numeric_gradient(objective, x), "input")
    for parameter in layer.trainable_weights:
        expected = numeric_gradient(objective, parameter.value)
        assert_close(gradients[parameter.name], expected, parameter.name)


def spaced(shape, seed=0, gap=0.05):
    """Return numbers of either sign, none within `gap` / 2 of 0 or `gap` of another."""
    size = int(np.prod(shape))
    numbers = (np.arange(size) - size // 2 + 0.5) * gap
    return np.random.default_rng(seed).permutation(numbers).reshape(shape).astype(np.float32)
