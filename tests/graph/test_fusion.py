"""Which neighbours run as one kernel, and that the result is that of the layers one by one."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import assert_close

from fastconv import activations, layers
from fastconv.graph import fused_ops, fusion
from fastconv.layers import Dense
from fastconv.models import Sequential

pytestmark = pytest.mark.usefixtures("algorithms")


def conv(**options):
    return layers.Conv2D(4, 3, **({"activation": "relu"} | options))


def pool(**options):
    return layers.MaxPooling2D(**({"pool_size": 2} | options))


def built(*members, size=(12, 12)):
    """Build `members` one after another, for images of `size` and 3 channels."""
    shape = (None, *size, 3)
    for layer in members:
        layer.build(shape)
        shape = layer.output_shape
    return members


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "pool_options", "size"),
    [
        ({}, {}, (12, 12)),
        ({}, {}, (13, 12)),
        ({"activation": activations.relu}, {}, (5, 4)),
        ({"strides": 2, "padding": "same", "use_bias": False}, {"strides": (2, 2)}, (12, 12)),
        ({"padding": ((2, 0), (1, 3))}, {}, (9, 12)),
        ({}, {"padding": "same"}, (12, 12)),
        ({}, {"padding": 0}, (13, 12)),
        ({}, {"padding": ((0, 0), (0, 0))}, (12, 12)),
    ],
    ids=str,
)
def test_neighbours_that_fuse(options, pool_options, size):
    members = built(conv(**options), pool(**pool_options), size=size)
    (operation,) = fusion.fuse(members)
    assert type(operation) is fused_ops.FusedConvReluPool and operation.layers == members


OTHER_POOLS = [
    ({"dilation_rate": 2}, {}, (12, 12)),
    ({"groups": 3, "filters": 6}, {}, (12, 12)),
    ({}, {"pool_size": 3, "strides": 2}, (12, 13)),
    ({"filters": 33, "use_bias": False}, {"pool_size": 3, "strides": 2, "padding": 1}, (12, 12)),
    ({}, {"pool_size": (2, 1)}, (12, 12)),
    ({"filters": 16}, {"strides": 1}, (12, 12)),
    ({}, {"padding": "same"}, (13, 12)),
    ({}, {"padding": 1}, (12, 12)),
]


@pytest.mark.parametrize(("options", "pool_options", "size"), OTHER_POOLS, ids=str)
def test_other_pools_do_without_a_pass_for_the_relu(options, pool_options, size):
    options = {"filters": 4, "kernel_size": 3, "activation": "relu"} | options
    members = built(layers.Conv2D(**options), pool(**pool_options), size=size)
    (operation,) = fusion.fuse(members)
    assert type(operation) is fused_ops.FusedReluMaxPool and operation.layers == members
    check_operation(operation, members, normal((3, *size, 3), 1))


class OwnConv2D(layers.Conv2D):
    """A user's subclass, which may compute anything."""


class OwnMaxPooling2D(layers.MaxPooling2D):
    """Another."""


class OwnReLU(layers.ReLU):
    """Another."""


def own_relu(x):
    return np.maximum(x, 0)


@pytest.mark.parametrize(
    ("members", "size"),
    [
        (lambda: (conv(activation="sigmoid"), pool()), (12, 12)),
        (lambda: (conv(activation=None), pool()), (12, 12)),
        (lambda: (conv(activation="leaky_relu"), pool()), (12, 12)),
        (lambda: (conv(), pool(pool_size=16)), (18, 18)),
        (lambda: (conv(), layers.AveragePooling2D()), (12, 12)),
        (lambda: (conv(), layers.L2Pooling2D()), (12, 12)),
        (lambda: (conv(), layers.Dropout(0.1), pool()), (12, 12)),
        (lambda: (conv(activation=None), layers.ReLU(negative_slope=0.1), pool()), (12, 12)),
        (lambda: (conv(activation=None), OwnReLU(), pool()), (12, 12)),
        (lambda: (conv(activation=None), layers.Activation("tanh"), pool()), (12, 12)),
        (lambda: (OwnConv2D(4, 3, activation="relu"), pool()), (12, 12)),
        (lambda: (conv(), OwnMaxPooling2D()), (12, 12)),
        (lambda: (pool(), conv()), (12, 12)),
    ],
)
def test_neighbours_that_do_not_fuse(members, size):
    members = built(*members(), size=size)
    assert fusion.fuse(members) == list(members)


def test_pairs_fuse_one_by_one():
    members = built(conv(), conv(), pool(), layers.Dropout(0.5), conv(), pool(), size=(20, 20))
    first, fused, dropout, last = fusion.fuse(members)
    assert (first, dropout) == (members[0], members[3])
    assert (fused.layers, last.layers) == (members[1:3], members[4:])
    assert fusion.fuse([]) == []


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (15, 14)),
        ({"use_bias": False}, (15, 14)),
        ({"padding": "same", "strides": 2}, (15, 14)),
        ({"filters": 48}, (30, 31)),
    ],
    ids=str,
)
def test_a_fused_op_gives_what_its_layers_give(options, size):
    filters = options.pop("filters", 4)
    convolution = layers.Conv2D(filters, 3, activation="relu", **options)
    members = built(convolution, layers.MaxPooling2D(), size=size)
    (operation,) = fusion.fuse(members)
    check_operation(operation, members, normal((3, *size, 3), 1))


@pytest.mark.parametrize("relu", [layers.ReLU, lambda: layers.Activation("relu")])
@pytest.mark.parametrize(
    ("options", "behind", "kind"),
    [
        ({}, (), fused_ops.FusedConvRelu),
        ({"use_bias": False, "groups": 3}, (), fused_ops.FusedConvRelu),
        ({}, (layers.MaxPooling2D(),), fused_ops.FusedConvReluPool),
        ({"groups": 3}, (layers.MaxPooling2D(),), fused_ops.FusedReluMaxPool),
        ({}, (layers.MaxPooling2D(3, 2),), fused_ops.FusedReluMaxPool),
    ],
)
def test_a_relu_of_its_own_fuses_as_well(options, behind, kind, relu):
    members = built(layers.Conv2D(6, 3, **options), relu(), *behind, size=(15, 14))
    operation, dropout = fusion.fuse([*members, layers.Dropout(0.5)])
    assert (
        type(operation) is kind and operation.layers == members and type(dropout) is layers.Dropout
    )
    check_operation(operation, members, normal((3, 15, 14, 3), 1))


def check_operation(operation, members, x):
    """Compare a fused op with its layers one after the other."""
    convolution = members[0]
    if convolution.use_bias:
        convolution.bias.assign(normal(convolution.filters, 5))
    expected = x
    for layer in members:
        expected = layer.call(expected, training=True)
    expected = expected.copy()
    dy = normal(expected.shape, 2)
    expected_dx = dy
    for layer in reversed(members):
        expected_dx = layer.backward(expected_dx)
    expected_dx = expected_dx.copy()
    expected_gradients = [parameter.gradient.copy() for parameter in convolution.parameters]

    assert_close(operation.call(x), expected)
    assert_close(operation.call(x, training=True), expected)
    assert_close(operation.backward(dy), expected_dx)
    for parameter, gradient in zip(convolution.parameters, expected_gradients, strict=True):
        assert_close(parameter.gradient, gradient)
    convolution.needs_input_gradient = False
    assert operation.backward(dy) is None


FUSED = [
    lambda: (conv(), pool()),
    lambda: (conv(), pool(pool_size=3)),
    lambda: (conv(activation=None), layers.ReLU()),
    lambda: (conv(activation=None), layers.ReLU(6.0)),
    lambda: (conv(activation="relu6"),),
]


@pytest.mark.parametrize("members", FUSED)
def test_backward_needs_a_forward_pass_in_training(members):
    (operation,) = fusion.fuse(built(*members()))
    y = operation.call(normal((1, 12, 12, 3)))
    with pytest.raises(RuntimeError, match=r"Conv2D '.*': backward\(dy\) needs call\(x, training"):
        operation.backward(y)


@pytest.mark.parametrize("members", FUSED)
def test_a_gradient_is_checked_before_a_kernel_reads_it(members):
    (operation,) = fusion.fuse(built(*members()))
    y = operation.call(normal((1, 12, 12, 3)), training=True)
    with pytest.raises(ValueError, match="the output's gradient has shape"):
        operation.backward(y[:, :1])
    expected = operation.backward(y).copy()
    np.testing.assert_array_equal(operation.backward(y.astype(np.float64)), expected)


def test_a_layer_of_ones_own_may_have_layers():
    class Block(layers.Layer):
        def __init__(self, *inner):
            super().__init__()
            self.layers = list(inner)

    members = [Block(), *built(conv(), pool()), Block(Dense(1), Dense(1))]
    first, fused, last = fusion.fuse(members)
    assert (first, last) == (members[0], members[3]) and type(fused) is fused_ops.FusedConvReluPool
    assert [fusion.members(operation) for operation in (first, fused)] == [
        (first,),
        tuple(members[1:3]),
    ]


def test_models_that_do_not_fuse_learn_the_same():
    def model(fuse):
        stack = Sequential(
            [
                layers.Conv2D(8, 3, activation="relu", input_shape=(25, 22, 3)),
                layers.MaxPooling2D(),
                layers.Conv2D(40, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(2, activation="softmax"),
            ]
        )
        stack._fuse = fuse
        stack.compile("sgd", "sparse_categorical_crossentropy")
        return stack

    fused, plain = model(True), model(False)
    plain.set_weights(fused.get_weights())
    x, y = normal((9, 25, 22, 3)), np.arange(9) % 2
    for _ in range(4):
        losses = fused.train_on_batch(x, y), plain.train_on_batch(x, y)
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert len(fused._executor().operations) < len(plain._executor().operations)
    for ours, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        # The steps of a bias cancel to nearly 0 here; each is about a thousandth.
        assert_close(ours, theirs, usual=1e-3)
    assert_close(fused.predict(x, verbose=0), plain.predict(x, verbose=0))


RELU = {"activation": "relu"}


@pytest.mark.parametrize(
    ("members", "passed"),
    [
        ([conv()], False),
        ([conv(), pool()], False),
        ([conv(), pool(), layers.Flatten(), layers.Dropout(0.5)], False),
        ([layers.Dense(3, **RELU)], False),
        ([layers.Dense(3), layers.ReLU()], False),
        ([layers.Dense(3), layers.Activation("relu"), layers.Dropout(0.1)], False),
        ([], True),
        ([layers.Dropout(0.5)], True),
        ([conv(activation="leaky_relu"), layers.Flatten()], True),
        ([layers.ReLU(max_value=6.0)], False),
        ([layers.ReLU(negative_slope=0.1)], True),
        ([layers.Dense(3, "tanh"), layers.Dropout(0.5)], True),
        ([layers.ReLU(), layers.BatchNormalization()], True),
        ([layers.ReLU(), layers.AveragePooling2D()], True),
        ([layers.ReLU(), OwnMaxPooling2D()], True),
        ([OwnConv2D(4, 3, activation="relu")], True),
    ],
)
def test_where_a_gradient_at_zeros_counts(members, passed):
    at_zeros = True
    for layer in members:
        at_zeros = fusion.passes_gradient_at_zeros(layer, at_zeros)
    assert at_zeros == passed
