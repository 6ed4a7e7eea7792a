"""Ways in which layers can be connected: each trains and predicts as in Keras 3."""

from __future__ import annotations

import numpy as np
import pytest
from keras_reference import import_keras, keras_test

from fastconv import layers, models, optimizers


def inception(k, m):
    x = k.Input((10, 10, 4))
    branches = [k.Conv2D(4, n, padding="same", activation="silu")(x) for n in (1, 3, 5)]
    branches.append(k.Conv2D(4, 1)(k.MaxPooling2D(3, 1, padding="same")(x)))
    return m.Model(x, k.Concatenate()(branches))


def two_outputs_called_twice(k, m):
    x = k.Input((6,))
    hidden = k.Dense(5, activation="tanh")(x)
    within = m.Model(x, [hidden, k.Dense(3)(hidden)])
    first, second = k.Input((6,)), k.Input((6,))
    (a, b), (c, d) = within(first), within(second)
    return m.Model([first, second], [k.add([a, c]), k.multiply([b, d]), b])


def an_output_that_is_read_on(k, m):
    x = k.Input((6,))
    y = k.Dense(5, activation="sigmoid")(x)
    return m.Model(x, [y, k.Dense(5)(y)])


def models_in_a_sequential(k, m):
    x = k.Input((8, 8, 3))
    within = m.Model(x, k.Conv2D(4, 3, activation="silu")(x))
    tail = m.Sequential([k.Conv2D(4, 3), k.ReLU()])
    head = [k.MaxPooling2D(2), k.Flatten(), k.Dense(2)]
    return m.Sequential([k.Input((8, 8, 3)), within, k.BatchNormalization(), tail, *head])


def readers_inside_what_could_be_fused(k, m):
    x = k.Input((8, 8, 3))
    convolved = k.Conv2D(6, 3, padding="same")(x)
    normalized = k.BatchNormalization()(convolved)
    y = k.add([k.add([normalized, k.ReLU()(normalized)]), convolved])
    return m.Model(x, k.GlobalAveragePooling2D()(k.ReLU()(y)))


def two_normalizations_added(k, m):
    x = k.Input((8, 8, 3))
    first = k.BatchNormalization()(k.Conv2D(6, 3, padding="same")(x))
    second = k.BatchNormalization()(k.Conv2D(6, 1)(x))
    return m.Model(x, k.ReLU()(k.add([first, second])))


def a_normalization_added_to_itself(k, m):
    x = k.Input((8, 8, 3))
    y = k.BatchNormalization()(k.Conv2D(6, 3)(x))
    return m.Model(x, k.ReLU()(k.add([y, y])))


def one_block_three_times(k, m):
    x = y = k.Input((8, 8, 3))
    convolution, normalization = k.Conv2D(3, 3, padding="same"), k.BatchNormalization()
    for _ in range(3):
        y = k.add([y, normalization(convolution(y))])
    return m.Model(x, y)


def a_gate(k, m):
    x = k.Input((8, 8, 3))
    y = k.Conv2D(4, 3, padding="same")(x)
    return m.Model(x, k.multiply([y, k.Conv2D(1, 1, activation="sigmoid")(y)]))


def a_skipped_connection(k, m):
    x = k.Input((8, 8, 3))
    y = k.Conv2D(4, 3, padding="same", activation="relu")(x)
    return m.Model(x, k.Concatenate()([y, k.UpSampling2D(2)(k.MaxPooling2D(2)(y))]))


def views_that_are_read_on(k, m):
    x = k.Input((4, 4, 2))
    flat = k.Flatten()(x)
    y = k.Reshape((4, 4, 2))(k.add([flat, k.Dense(32)(flat)]))
    return m.Model(x, k.add([y, x]))


def an_input_that_nobody_reads(k, m):
    first, second = k.Input((6,)), k.Input((5,))
    return m.Model([first, second], k.Dense(2)(first))


NETWORKS = (
    inception,
    two_outputs_called_twice,
    an_output_that_is_read_on,
    models_in_a_sequential,
    readers_inside_what_could_be_fused,
    two_normalizations_added,
    a_normalization_added_to_itself,
    one_block_three_times,
    a_gate,
    a_skipped_connection,
    views_that_are_read_on,
    an_input_that_nobody_reads,
)


def batches(tensors, rng):
    arrays = [rng.normal(size=(8, *one.shape[1:])).astype(np.float32) for one in tensors]
    return arrays if len(arrays) > 1 else arrays[0]


@keras_test
@pytest.mark.parametrize("network", NETWORKS)
def test_trains_as_in_keras(network):
    keras = import_keras()
    ours, theirs = network(layers, models), network(keras.layers, keras)
    ours.set_weights(theirs.get_weights())
    for model, kind in ((ours, optimizers), (theirs, keras.optimizers)):
        model.compile(kind.SGD(0.02), "mse")
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, y = batches(ours.inputs, rng), batches(ours.outputs, rng)
        theirs.reset_metrics()
        expected = np.array(theirs.train_on_batch(x, y), np.float64)
        np.testing.assert_allclose(ours.train_on_batch(x, y), expected, rtol=1e-4)
    for mine, weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, weight, atol=1e-5)
    predictions = [as_list(model.predict(x, verbose=0)) for model in (ours, theirs)]
    for mine, other in zip(*predictions, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)


def as_list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]
