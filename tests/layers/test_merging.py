import json

import numpy as np
import pytest
from finite_differences import assert_close, numeric_gradient, spaced
from keras_reference import import_keras, keras_test

from fastconv import layers

ELEMENTWISE = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
SHAPES = [
    [(2, 3, 4), (2, 3, 4)],
    [(2, 3, 4, 5), (2, 1, 1, 5)],
    [(2, 1, 4), (2, 3, 1)],
    [(2, 5), (2, 3, 5)],
    [(2, 3, 4, 5), (2, 5)],
]
CASES = [
    *((name, {}, shapes) for name in ELEMENTWISE for shapes in SHAPES),
    *((name, {}, [(2, 3)] * 4) for name in ELEMENTWISE if name != "Subtract"),
    ("Add", {}, [(2, 3)]),
    ("Multiply", {}, [(2, 3), (2, 2, 3), (2, 2, 1)]),
    ("Concatenate", {}, [(2, 3, 4), (2, 3, 5)]),
    ("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 1, 4), (2, 2, 4)]),
    ("Concatenate", {"axis": -2}, [(1, 3, 4), (1, 1, 4)]),
    ("Dot", {"axes": 1}, [(2, 4), (2, 4)]),
    ("Dot", {"axes": 1, "normalize": True}, [(2, 4), (2, 4)]),
    ("Dot", {"axes": (1, 2)}, [(2, 3, 5), (2, 2, 3)]),
    ("Dot", {"axes": [2, 1], "normalize": True}, [(2, 2, 3, 2), (2, 3, 2)]),
    ("Dot", {"axes": -1}, [(2, 3), (2, 4, 3)]),
]


def arrays(shapes):
    size = sum(int(np.prod(shape)) for shape in shapes)
    numbers, parts = spaced((size,)), []
    for shape in shapes:
        part, numbers = np.split(numbers, [int(np.prod(shape))])
        parts.append(part.reshape(shape))
    return parts


def built(name, arguments, shapes):
    layer = getattr(layers, name)(**arguments)
    layer.build([(None, *shape[1:]) for shape in shapes])
    return layer


@keras_test
@pytest.mark.parametrize(("name", "arguments", "shapes"), CASES)
def test_against_keras(name, arguments, shapes):
    keras = import_keras()
    torch = pytest.importorskip("torch")
    inputs = arrays(shapes)
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    theirs = getattr(keras.layers, name)(**arguments)
    y = theirs(tensors)
    dy = np.random.default_rng(0).normal(size=tuple(y.shape)).astype(np.float32)
    y.backward(torch.tensor(dy))
    layer = built(name, arguments, shapes)
    np.testing.assert_allclose(layer.call(inputs, training=True), y.detach().numpy(), atol=1e-6)
    gradients = layer.backward(dy)
    for gradient, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-5, atol=1e-6)
    unknown = [(None, *shape[1:]) for shape in shapes]
    assert layer.compute_output_shape(unknown) == theirs.compute_output_shape(unknown)


@pytest.mark.parametrize(("name", "arguments", "shapes"), CASES)
def test_gradients(name, arguments, shapes):
    layer, inputs = built(name, arguments, shapes), arrays(shapes)
    kept = [x.copy() for x in inputs]
    y = layer.call(inputs, training=True)
    dy = np.random.default_rng(3).normal(size=y.shape).astype(np.float32)
    gradients = [np.array(dx) for dx in layer.backward(dy.copy())]
    for x, before in zip(inputs, kept, strict=True):
        np.testing.assert_array_equal(x, before)

    def objective():
        return float(np.sum(layer.call(inputs, training=True).astype(np.float64) * dy))

    for x, gradient in zip(inputs, gradients, strict=True):
        assert gradient.shape == x.shape and gradient.dtype == np.float32
        assert_close(gradient, numeric_gradient(objective, x), name)


@pytest.mark.parametrize(("name", "arguments", "shapes"), CASES)
def test_the_contract_of_layers(name, arguments, shapes):
    """Contiguous results in memory of the layer's own, whatever batches come."""
    layer = built(name, arguments, shapes)
    for samples in (3, 6, 1):
        inputs = arrays([(samples, *shape[1:]) for shape in shapes])
        y = layer.call(inputs, training=True)
        dy = np.ones_like(y)
        for dx, x in zip(layer.backward(dy), inputs, strict=True):
            assert dx.shape == x.shape and dx.flags.c_contiguous and dx.dtype == np.float32
        np.testing.assert_array_equal(dy, 1)
        np.testing.assert_array_equal(y, layer.call(inputs))
    layer.needs_input_gradient = False
    layer.call(inputs, training=True)
    assert layer.backward(dy) == [None] * len(shapes)


@pytest.mark.parametrize(("name", "expected"), [("Maximum", 1), ("Minimum", 1)])
def test_of_equal_inputs_the_first_has_the_gradient(name, expected):
    layer = built(name, {}, [(1, 2)] * 3)
    equal = np.ones((1, 2), np.float32)
    y = layer.call([equal, equal, equal], training=True)
    first, *others = layer.backward(np.ones_like(y))
    np.testing.assert_array_equal(first, expected)
    assert not any(other.any() for other in others)


def test_sums_over_what_repeats_keep_their_digits():
    layer = built("Multiply", {}, [(1, 1, 1, 4), (1, 200, 200, 4)])
    x = [np.ones((1, 1, 1, 4), np.float32), np.full((1, 200, 200, 4), 1.1, np.float32)]
    y = layer.call(x, training=True)
    expected = 40_000 * float(np.float32(1.1))
    np.testing.assert_allclose(layer.backward(np.ones_like(y))[0], expected, rtol=1e-7)


def test_concatenated_parts_that_lie_together_are_not_copied():
    layer = built("Concatenate", {"axis": 1}, [(1, 2, 3), (1, 1, 3)])
    layer.call(arrays([(1, 2, 3), (1, 1, 3)]), training=True)
    dy = np.ones((1, 3, 3), np.float32)
    assert all(np.shares_memory(dx, dy) for dx in layer.backward(dy))


def test_unknown_sizes():
    shapes = [(None, None, None, 3), (None, 1, 1, 3)]
    assert layers.Add().compute_output_shape(shapes) == (None, None, None, 3)
    shapes = [(None, None, 3), (None, 4, 2)]
    assert layers.Concatenate().compute_output_shape(shapes) == (None, 4, 5)
    shapes = [(None, None, 3), (None, 4, 3)]
    assert layers.Concatenate(1).compute_output_shape(shapes) == (None, None, 3)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "Concatenate"])
def test_config_comes_back(name):
    layer = getattr(layers, name)(name="merge")
    description = json.loads(json.dumps(layers.serialize(layer)))
    assert layers.deserialize(description).get_config() == layer.get_config()
    assert callable(getattr(layers, name.lower()))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: layers.Add(name="a").compute_output_shape([(None, 3), (None, 3), (None, 4)]),
            ValueError,
            r"Add 'a': inputs of shapes \(None, 3\) and \(None, 4\) do not fit",
        ),
        (
            lambda: layers.Add().call([np.ones((2, 3), np.float32), np.ones((3, 3), np.float32)]),
            ValueError,
            r"inputs of shapes \(2, 3\) and \(3, 3\) do not fit",
        ),
        (
            lambda: layers.Concatenate().compute_output_shape([(None, 3, 2), (None, 4, 2)]),
            ValueError,
            r"shapes \(None, 3, 2\) and \(None, 4, 2\) do not fit; .* axis -1",
        ),
        (
            lambda: layers.Concatenate().compute_output_shape([(None, 3, 2), (None, 2)]),
            ValueError,
            r"shapes \(None, 3, 2\) and \(None, 2\) do not fit",
        ),
        (
            lambda: layers.Concatenate(0).compute_output_shape([(None, 3)] * 2),
            ValueError,
            "axis is 0; it must be an axis behind the batch",
        ),
        (
            lambda: layers.Concatenate(3).compute_output_shape([(None, 3)] * 2),
            ValueError,
            "axis is 3",
        ),
        (
            lambda: layers.Subtract().compute_output_shape([(None, 3)] * 3),
            ValueError,
            "is a list of 3; it must be one of two",
        ),
        (
            lambda: layers.Dot(1).compute_output_shape([(None, 3), (None, 4)]),
            ValueError,
            r"shapes \(None, 3\) and \(None, 4\) do not fit; the sizes along axes 1",
        ),
        (
            lambda: layers.Dot((0, 1)).compute_output_shape([(None, 3), (None, 3)]),
            ValueError,
            r"axes is \(0, 1\); it must be axes behind the batch",
        ),
        (lambda: layers.Dot((1, 2, 3)), ValueError, "an axis, or one of each input"),
        (lambda: layers.Add().compute_output_shape((None, 3)), TypeError, r"layer\(\[a, b\]\)"),
        (lambda: layers.Add().call(np.ones((2, 3))), TypeError, r"layer\(\[a, b\]\)"),
        (lambda: layers.Add().compute_output_shape([]), TypeError, r"layer\(\[a, b\]\)"),
    ],
)
def test_mistakes(make, error, text):
    with pytest.raises(error, match=text):
        make()
