"""Memory as the kernels want it: whatever a caller's arrays look like."""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np
import pytest
from oracle import LAYOUTS, laid_out

from fastconv import layers, ops
from fastconv._core import runtime
from fastconv._core.memory import ALIGNMENT, aligned_empty, contiguous
from fastconv.models import Sequential
from fastconv.ops import augmentation, elementwise, losses, optim


def normal(*shape, dtype=np.float32):
    return np.random.default_rng([*shape]).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 7)])
def test_aligned_memory(shape):
    array = aligned_empty(shape, np.float64)
    assert array.shape == shape and array.dtype == np.float64
    assert array.ctypes.data % ALIGNMENT == 0 and array.flags.c_contiguous


def test_a_dtype_is_what_its_class_is():
    for dtype in (np.float32, np.float64):
        for wanted in (dtype, np.dtype(dtype), np.dtype(dtype).name):
            assert contiguous(np.ones(3, np.float32), wanted).dtype == dtype


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, None])
def test_contiguous_copies_only_what_it_must(layout, dtype):
    array = laid_out(normal(3, 4, 5), layout)
    result = contiguous(array, dtype)
    assert result.flags.c_contiguous and result.flags.aligned
    assert result.dtype == (dtype or np.float32)
    np.testing.assert_array_equal(result, array)
    as_it_is = layout in ("C", "read-only") and dtype is not np.float64
    assert np.shares_memory(result, array) == as_it_is


@pytest.fixture
def only_aligned(monkeypatch):
    """Let each kernel refuse arrays whose values lie at no multiple of their size."""

    def guarded(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            for argument in arguments:
                for array in argument if isinstance(argument, tuple) else (argument,):
                    assert not isinstance(array, np.ndarray) or array.flags.aligned
            wrapper.calls += 1
            return function(*arguments)

        wrapper.calls = 0
        return wrapper

    found = []
    levels = (runtime.kernels, runtime.kernels.half_width, runtime.kernels_of(np.dtype(np.float64)))
    for kernels in levels:
        for module in [getattr(kernels, name) for name in dir(kernels)] if kernels else ():
            if isinstance(module, ModuleType) and module.__name__.startswith("_fastconv."):
                for name, function in vars(module).copy().items():
                    if type(function).__name__ in (
                        "fused_cython_function",
                        "cython_function_or_method",
                    ):
                        found.append(guarded(function))
                        monkeypatch.setattr(module, name, found[-1])
    yield
    assert sum(wrapper.calls for wrapper in found)


def unaligned(array):
    """Return the same values one byte behind where they should be."""
    moved = laid_out(array, "unaligned")
    assert not moved.flags.aligned or moved.size == 0
    return moved


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operations(only_aligned, dtype):
    x, kernel, bias = (
        unaligned(normal(*s, dtype=dtype)) for s in ((2, 8, 9, 4), (3, 3, 4, 5), (5,))
    )
    dy = unaligned(normal(2, 6, 7, 5, dtype=dtype))
    np.testing.assert_array_equal(
        ops.conv2d(x, kernel, bias), ops.conv2d(*map(np.copy, (x, kernel, bias)))
    )
    ops.conv2d_backward(dy, x, kernel)
    for kind in ("max", "average", "l2"):
        y = getattr(ops, f"{kind}_pool2d")(x)
        getattr(ops, f"{kind}_pool2d_backward")(unaligned(y), x)
    ops.filter2d(unaligned(normal(9, 9, 3, dtype=dtype)), unaligned(normal(2, 2, dtype=dtype)))
    elementwise.relu(x, np.empty_like(x))
    elementwise.relu_backward(x, x, np.empty_like(x))
    logits, targets = unaligned(normal(6, 3, dtype=dtype)), unaligned(np.eye(3)[[0, 1, 2] * 2])
    for loss in (losses.sigmoid_cross_entropy, losses.softmax_cross_entropy):
        means, gradient = loss(logits, targets)
        losses.mean_loss(unaligned(means), unaligned(means), unaligned(gradient))
    losses.extremes(unaligned(normal(9, dtype=np.float64)))


def test_augmentation_and_optimizers(only_aligned):
    images, rows = unaligned(normal(3, 8, 8, 3)), unaligned(np.array([2, 0]))
    matrices = unaligned(np.tile(np.eye(2, 3), (2, 1, 1)))
    shifts = unaligned(normal(2))
    out = augmentation.transform_images(images, rows, matrices, shifts=shifts, gains=shifts)
    with pytest.raises(TypeError, match="out is float32; float32, C-contiguous and aligned"):
        augmentation.transform_images(images, rows, matrices, out=unaligned(out))
    value, gradient = normal(40), unaligned(normal(40))
    optim.sgd(value, gradient, None, 0.1)
    assert optim.sum_of_squares(gradient) == optim.sum_of_squares(gradient.copy())


@pytest.mark.parametrize("layout", ["F", "strided", "unaligned"])
def test_nothing_is_updated_that_would_be_a_copy(layout):
    value, gradient = normal(8, 5), normal(8, 5)
    moved = laid_out(value, layout)
    with pytest.raises(ValueError, match=r"an array to update has strides .* C-contiguous and al"):
        optim.sgd(moved, gradient, None, 0.1)
    with pytest.raises(ValueError, match="an array to update has strides"):
        optim.adam(value.copy(), gradient, moved, value.copy(), 0.1, 0.9, 0.99, 1e-7, 1)
    np.testing.assert_array_equal(moved, value)
    for name in ("relu", "sigmoid", "softmax"):
        with pytest.raises(ValueError, match=r"out has strides .* is not (C-contiguous|aligned)"):
            getattr(elementwise, name)(value, moved)


def test_losses_refuse_other_shapes():
    """A kernel would read past the end of the smaller one."""
    logits, targets = normal(4, 3), normal(3, 3, dtype=np.float64)
    for loss in (losses.sigmoid_cross_entropy, losses.softmax_cross_entropy):
        with pytest.raises(ValueError, match=r"targets has shape \(3, 3\); it must be \(4, 3\)"):
            loss(logits, targets)
    values = normal(4, dtype=np.float64)
    with pytest.raises(ValueError, match=r"gradients has shape \(3, 3\); it must be \(4, 3\)"):
        losses.mean_loss(values, None, targets)
    with pytest.raises(ValueError, match=r"weights has shape \(3,\); it must be \(4,\)"):
        losses.mean_loss(values, values[:3], np.zeros((4, 3)))


def test_layers_and_models(only_aligned):
    model = Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(12, 12, 3)),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.L2Pooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    x, y = unaligned(normal(8, 12, 12, 3)), unaligned(np.eye(3, dtype=np.float32)[[0, 1] * 4])
    model.set_weights([unaligned(weight) for weight in model.get_weights()])
    expected = model.predict(x.copy(), verbose=0)
    for found in (model.predict(x, verbose=0), model(x), model.predict_on_batch(x)):
        np.testing.assert_array_equal(found, expected)
    model.fit(x, y, batch_size=3, epochs=1, verbose=0, sample_weight=unaligned(np.ones(8)))
    model.train_on_batch(x, y)
    model.evaluate(x, y, verbose=0)
    for layer in model.layers:
        out = layer(x, training=True)
        layer.backward(unaligned(out))
        x = unaligned(out)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_users_layer_hands_on(only_aligned, layout, dtype):
    """The layers behind it run as one kernel."""

    class Passes(layers.Layer):
        def call(self, x, training=False):
            return laid_out(x.astype(dtype), layout)

        def backward(self, dy):
            return dy

    model = Sequential(
        [
            Passes(input_shape=(12, 12, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    x, y = normal(6, 12, 12, 3), normal(6, 1)
    plain = Sequential(model.layers[1:])
    np.testing.assert_array_equal(model.predict(x, verbose=0), plain.predict(x, verbose=0))
    model.fit(x, y, epochs=1, verbose=0)
