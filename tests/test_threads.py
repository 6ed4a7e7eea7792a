"""The same bits with any number of threads: every operation, and the training of every model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import architectures, layers, ops
from fastconv.models import Sequential
from fastconv.ops import elementwise, optim
from fastconv.ops.plans import ConvPoolPlan, DensePlan

pytestmark = pytest.mark.usefixtures("algorithms")

COUNTS = (1, 2, 3, 5)


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def assert_same_bits(threads, function):
    """Check that `function()`, a sequence of arrays, is the same for each number of threads."""
    results = []
    for count in COUNTS:
        threads(count)
        results.append([np.asarray(array).tobytes() for array in function()])
    for count, result in zip(COUNTS, results, strict=True):
        assert result == results[0], f"{count} threads differ from {COUNTS[0]}"


CONVOLUTIONS = [
    ((5, 30, 31, 3), (3, 3, 3, 32), {}),
    ((3, 25, 24, 40), (3, 3, 40, 33), {"padding": "same"}),
    ((1, 40, 40, 16), (5, 5, 16, 20), {"strides": 2, "padding": 2}),
    ((17, 9, 9, 12), (3, 2, 3, 8), {"groups": 4, "dilation_rate": 2}),
    ((4, 20, 20, 24), (3, 3, 1, 24), {"groups": 24, "padding": "same"}),
    ((4, 31, 30, 70), (5, 3, 1, 70), {"groups": 70, "padding": "same", "strides": 2}),
    ((7, 15, 14, 3), (3, 3, 1, 3), {"groups": 3, "padding": 1, "strides": (1, 2)}),
    ((3, 12, 12, 20), (3, 3, 2, 30), {"groups": 10}),
    ((33, 4, 4, 128), (1, 1, 128, 70), {}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x", "kernel", "options"), CONVOLUTIONS, ids=str)
def test_convolution(x, kernel, options, dtype, threads):
    x, kernel, bias = (normal(*shape, dtype=dtype) for shape in (x, kernel, kernel[3:]))
    y = ops.conv2d(x, kernel, bias, **options)
    dy = normal(*y.shape, dtype=dtype)
    assert_same_bits(
        threads,
        lambda: (
            ops.conv2d(x, kernel, bias, **options),
            *ops.conv2d_backward(dy, x, kernel, **options),
        ),
    )


@pytest.mark.parametrize("kind", ["max", "average", "l2"])
@pytest.mark.parametrize(
    "options", [{}, {"pool_size": 3, "strides": 2, "padding": "same"}], ids=str
)
@pytest.mark.parametrize("channels", [3, 130])
def test_pooling(kind, options, channels, threads):
    x = normal(5, 21, 20, channels)
    forward, backward = (getattr(ops, f"{kind}_pool2d{part}") for part in ("", "_backward"))
    dy = normal(*forward(x, **options).shape)
    assert_same_bits(threads, lambda: (forward(x, **options), backward(dy, x, **options)))


@pytest.mark.parametrize(
    ("x", "kernel", "options"),
    [
        ((9, 30, 31, 3), (3, 3, 3, 33), {}),
        ((2, 41, 40, 32), (3, 3, 32, 64), {"padding": "same"}),
        ((20, 12, 12, 20), (5, 5, 20, 24), {"strides": 2, "padding": 2}),
    ],
    ids=str,
)
def test_fused_block(x, kernel, options, threads):
    plan = ConvPoolPlan(x, kernel, **options)
    x, kernel, bias = (normal(*shape) for shape in (x, kernel, kernel[3:]))
    dy = normal(*plan.output_shape)

    def run():
        y, argmax = np.empty_like(dy), np.empty(dy.shape, np.uint8)
        plan.forward(x, kernel, bias, y, argmax)
        gradients = np.empty_like(x), np.empty_like(kernel), np.empty_like(bias)
        plan.backward(dy, argmax, x, kernel, *gradients)
        return y, argmax, *gradients

    assert_same_bits(threads, run)


def test_kernels_share_tasks_by_the_team():
    """Threads keep to their images, and none is waited for that does not come: `_work.pxd`."""
    for path in (Path(__file__).parents[1] / "pyx" / "_fastconv").glob("*.pyx"):
        text = path.read_text()
        assert "prange" not in text, path.name
        regions = len(re.findall(r"^ +with nogil, parallel\(", text, re.MULTILINE))
        runs = len(re.findall(r"^ +run(_steps)?\(", text, re.MULTILINE))
        assert text.count("\njoin_team()\n") == (regions + runs > 0), path.name
        assert text.count("share_work(&") >= regions, path.name


def test_more_threads_than_have_tasks(threads):
    """Beyond 64 threads some have no tasks of their own; with fewer tasks many have none."""
    x, kernel = normal(3, 150, 4, 3), normal(3, 3, 3, 5)
    results = []
    for count in (1, 70):
        threads(count)
        y = ops.conv2d(x, kernel)
        results.append([y, *ops.conv2d_backward(np.ones_like(y), x, kernel)])
    for one, many in zip(*results, strict=True):
        assert one.tobytes() == many.tobytes()


@pytest.mark.parametrize("shape", [(9, 40, 41, 3), (5, 30, 31, 70)], ids=str)
def test_batch_normalization(shape, threads):
    x, dy = normal(*shape), normal(*shape, seed=1)

    def run():
        layer = layers.BatchNormalization()
        y = layer(x, training=True)
        dx = layer.backward(dy)
        return y, dx, layer.gamma.gradient, layer.beta.gradient, *layer.get_weights()

    assert_same_bits(threads, run)


@pytest.mark.parametrize("active", [0.3, 1.0])
@pytest.mark.parametrize(
    "shape", [(32, 7000, 1), (70, 2100, 2), (13, 1500, 77), (1, 970, 512), (5, 90, 1300)], ids=str
)
def test_dense(shape, active, threads):
    batch, inputs, outputs = shape
    x, kernel, bias = normal(batch, inputs), normal(inputs, outputs), normal(outputs)
    x *= np.random.default_rng(1).random(x.shape) < active
    dy = normal(batch, outputs)
    plan = DensePlan(*shape)

    def run():
        y = np.empty_like(dy)
        plan.forward(x, kernel, bias, y)
        gradients = np.empty_like(x), np.empty_like(kernel), np.empty_like(bias)
        product = plan.backward(dy, x, kernel, *gradients)
        if product is None:
            return y, *gradients
        some, value, square = np.empty_like(x), kernel.copy(), np.zeros_like(kernel)
        product = plan.backward(dy, x, kernel, some, None, None, at_zeros=False)
        optim.rmsprop(value, product, square, None, None, 0.01, 0.9, 0.0, 1e-7)
        optim.lion(value, product, square, 0.01, 0.9, 0.99)
        return y, *gradients, some, value, square

    assert_same_bits(threads, run)


def test_filter(threads):
    image, kernel = normal(50, 61, 3), normal(5, 4)
    assert_same_bits(threads, lambda: [ops.filter2d(image, kernel, "same")])


def test_optimizers_and_passes_over_arrays(threads):
    gradient = normal(3 * 8192 + 17)

    def run():
        arrays = [gradient.copy() for _ in range(7)]
        value, m, v, square, velocity, mean, y = arrays
        np.abs(v, out=v)
        np.square(square, out=square)
        square += 1
        mean *= 0.1
        optim.sgd(value, gradient, velocity, 0.1, 0.9, True)
        optim.adam(value, gradient, m, v, 0.1, 0.9, 0.999, 1e-7, 3)
        optim.rmsprop(value, gradient, square, velocity, mean, 0.1, 0.9, 0.5, 1e-2)
        optim.nadam(value, gradient, m, v, 0.1, 0.9, 0.999, 1e-7, 3)
        optim.adam(value, gradient, m, v, 0.1, 0.9, 0.999, 1e-7, 3, largest_v=square)
        optim.adagrad(value, gradient, square, 0.1, 1e-7)
        optim.lion(value, gradient, m, 0.1, 0.9, 0.99)
        optim.add(value, gradient, 0.1)
        optim.add_signs(value, gradient, 0.1)
        optim.move_average(value, gradient, 0.1)
        elementwise.relu(y, y)
        elementwise.relu_backward(value, y, y)
        return [*arrays, np.float64(optim.sum_of_squares(gradient))]

    assert_same_bits(threads, run)


def train(model, recipe=None):
    """Return the weights after three steps on 21 images, the last batch a short one."""
    if recipe is None:
        model.compile("adam", "binary_crossentropy")
    else:
        recipe.compile(model)
    rng = np.random.default_rng(0)
    x = rng.random((21, *model.input_shape[1:]), np.float32)
    y = (np.arange(21) % 2).astype(np.float32)
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    return [*model.get_weights(), model.predict(x, verbose=0)]


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_models(name, threads):
    architecture = architectures.get(name)

    def run():
        fastconv.utils.set_random_seed(7)
        return train(architecture(input_shape=(46, 46, 3)), architecture.recipe)

    assert_same_bits(threads, run)


@pytest.mark.parametrize("name", ["resnet20", "small_xception", "mobilenet_v2_like", "unet"])
def test_models_that_branch(name, threads):
    def run():
        fastconv.utils.set_random_seed(7)
        model = getattr(architectures, name)((40, 40, 3))
        model.compile("adam", "mse")
        rng = np.random.default_rng(0)
        x = rng.random((21, 40, 40, 3), np.float32)
        y = rng.random((21, *model.output_shape[1:]), np.float32)
        model.fit(x, y, batch_size=8, epochs=1, verbose=0)
        return [*model.get_weights(), model.predict(x, verbose=0)]

    assert_same_bits(threads, run)


def test_a_model_of_all_layers(threads):
    def run():
        fastconv.utils.set_random_seed(7)
        return train(
            Sequential(
                [
                    layers.Conv2D(12, 3, padding="same", input_shape=(24, 25, 3)),
                    layers.BatchNormalization(),
                    layers.ReLU(),
                    layers.AveragePooling2D(),
                    layers.Conv2D(12, 3, groups=4, activation="tanh", dilation_rate=2),
                    layers.L2Pooling2D(),
                    layers.Dropout(0.3),
                    layers.GlobalMaxPooling2D(keepdims=True),
                    layers.Flatten(),
                    layers.Dense(9, activation="leaky_relu"),
                    layers.Dense(1, activation="sigmoid"),
                ]
            )
        )

    assert_same_bits(threads, run)
