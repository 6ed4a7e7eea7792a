"""Networks as data: what nodes say of layers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import Model, Sequential, architectures, layers

graph = pytest.importorskip("bench.graph")


def test_nodes_stand_for_layers_in_an_order_in_which_each_comes_after_what_it_reads():
    nodes = graph.describe(architectures.small_xception())
    kinds = [node.kind for node in nodes]
    assert kinds.count("batch_norm") == kinds.count("relu") == kinds.count("depthwise") == 10
    assert kinds.count("add") == kinds.count("max_pool") == 5
    assert kinds[-4:] == ["global_average_pool", "dropout", "dense", "sigmoid"]
    assert all(value <= place for place, node in enumerate(nodes) for value in node.inputs)


def test_each_weight_is_some_nodes():
    model = architectures.mobilenet_v2_like()
    found = [place for node in graph.describe(model) for place in node.weights]
    assert sorted(found) == list(range(len(model.get_weights())))


def test_paddings_are_told_side_by_side():
    node, *_ = graph.describe(Sequential([layers.Input((8, 9, 1)), layers.Conv2D(2, 3, 2, "same")]))
    assert node.padding == ((0, 1), (1, 1))
    assert not node.symmetric
    assert node.keras_padding == "same"


def test_a_padding_that_keras_has_no_word_for_is_refused_there():
    padded = layers.Conv2D(2, 3, padding=((2, 0), (0, 0)))
    node, *_ = graph.describe(Sequential([layers.Input((8, 8, 1)), padded]))
    with pytest.raises(ValueError, match="neither 'valid' nor 'same'"):
        _ = node.keras_padding


def test_a_dense_kernel_behind_a_flattened_image_is_turned_for_channels_first():
    flattening = [layers.Flatten(), layers.Dropout(0.5), layers.Dense(2)]
    model = Sequential([layers.Input((3, 4, 5)), *flattening])
    nodes = graph.describe(model)
    x = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    task = graph.NetworkTask("", nodes, tuple(model.get_weights()), x, x, "", "adam", 0.1)
    kernel, bias = task.arrays(nodes[-1], channels_first=True)
    turned = x.transpose(0, 3, 1, 2).reshape(1, -1) @ kernel + bias
    np.testing.assert_allclose(turned, model.predict_on_batch(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [layers.LayerNormalization(), layers.Conv2D(2, 3, dilation_rate=2), layers.LeakyReLU()],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_without_a_twin_is_refused(layer):
    with pytest.raises(ValueError, match="bench:"):
        graph.describe(Sequential([layers.Input((8, 8, 2)), layer]))


def test_values_are_spent_once_each():
    inputs = layers.Input((8, 8, 2))
    x = layers.ReLU()(inputs)
    nodes = graph.describe(Model(inputs, layers.Add()([x, layers.Conv2D(2, 1)(x)])))
    task = graph.NetworkTask("", nodes, (), *[None] * 5)
    assert task.readers() == [1, 2, 1, 0]
    assert [sorted(values) for values in task.spent()] == [[0], [], [1, 2]]
