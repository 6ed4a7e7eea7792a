"""What tutorials of Keras do, with `keras` replaced by fastconv: each in its own way of writing.

The data are drawn: blobs of light, whose place is the class.
"""

from __future__ import annotations

import numpy as np
import pytest

import fastconv as keras
from fastconv import backend as K
from fastconv import layers, models, optimizers, regularizers
from fastconv.callbacks import Callback, EarlyStopping, LearningRateScheduler, ModelCheckpoint
from fastconv.constraints import max_norm
from fastconv.layers import Conv2D, Dense, Dropout, Flatten, Input, LeakyReLU, MaxPool2D, Reshape
from fastconv.models import Model, Sequential, load_model, model_from_json
from fastconv.preprocessing.image import ImageDataGenerator
from fastconv.utils import to_categorical

CLASSES = 4


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()


def digits(count=96, size=12, channels=1):
    """Return images of 0-255, uint8 as Keras's data sets have them, and class numbers."""
    random = np.random.default_rng(0)
    y = random.integers(0, CLASSES, count)
    x = random.integers(0, 60, (count, size, size, channels)).astype("uint8")
    for image, label in zip(x, y, strict=True):
        row, column = divmod(int(label), 2)
        image[row * 6 : row * 6 + 5, column * 6 : column * 6 + 5] += 180
    return x, y.astype("uint8")


def test_mnist_convnet():
    x_train, y_train = digits()
    x_train = x_train.astype("float32") / 255
    y_train = to_categorical(y_train, CLASSES)
    model = keras.Sequential(
        [
            keras.Input(shape=(12, 12, 1)),
            layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=16, epochs=8, validation_split=0.1, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    score = model.evaluate(x_train, y_train, verbose=0)
    assert len(score) == 2 and score[1] > 0.9
    assert np.argmax(model.predict(x_train[:3], verbose=0), axis=1).shape == (3,)


def test_add_by_add_with_l2_and_early_stopping(tmp_path):
    random = np.random.default_rng(1)
    X = random.normal(size=(120, 8))
    y = (X[:, 0] > 0).astype(int)
    model = Sequential()
    model.add(
        Dense(
            16,
            input_dim=8,
            activation="relu",
            kernel_initializer="he_uniform",
            kernel_regularizer=regularizers.l2(0.001),
            kernel_constraint=max_norm(3),
        )
    )
    model.add(Dropout(0.1))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["acc"])
    stop = EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    best = ModelCheckpoint(
        filepath=str(tmp_path / "best.npz"), monitor="val_acc", mode="max", save_best_only=True
    )
    history = model.fit(
        X, y, validation_data=[X, y], epochs=4, batch_size=10, callbacks=[stop, best], verbose=0
    )
    assert list(history.history) == ["loss", "acc", "val_loss", "val_acc"]
    _, accuracy = load_model(tmp_path / "best.npz").evaluate(X, y, verbose=0)
    assert accuracy == pytest.approx(max(history.history["val_acc"]))


def test_architecture_as_json_and_weights_apart(tmp_path):
    inputs = Input(shape=(12, 12, 1), name="image")
    x = Conv2D(4, 3, activation="relu", padding="same")(inputs)
    outputs = Dense(2, name="out")(Flatten()(layers.add([x, Conv2D(4, 1)(inputs)])))
    model = Model(inputs=inputs, outputs=outputs)
    model.save_weights(tmp_path / "w.npz")
    (tmp_path / "model.json").write_text(model.to_json())
    loaded = model_from_json((tmp_path / "model.json").read_text())
    loaded.load_weights(tmp_path / "w.npz")
    x = digits(4)[0]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_convolutional_autoencoder_and_its_encoder():
    x = digits()[0].astype("float32") / 255
    inputs = layers.Input(shape=(12, 12, 1))
    h = layers.Conv2D(8, (3, 3), activation="relu", padding="same")(inputs)
    encoded = layers.MaxPooling2D((2, 2), padding="same")(h)
    h = layers.Conv2DTranspose(8, (3, 3), strides=2, activation="relu", padding="same")(encoded)
    outputs = layers.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(h)
    autoencoder, encoder = Model(inputs, outputs), Model(inputs, encoded)
    autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
    history = autoencoder.fit(x, x, epochs=3, batch_size=16, shuffle=True, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert encoder.predict(x, verbose=0).shape == (96, 6, 6, 8)
    assert autoencoder.layers[1] is encoder.layers[1]


def test_unet_with_concatenations():
    inputs = Input((16, 16, 1))
    first = Conv2D(4, 3, activation="relu", padding="same")(inputs)
    bottom = Conv2D(8, 3, activation="relu", padding="same")(MaxPool2D((2, 2))(first))
    up = layers.UpSampling2D(size=(2, 2))(Dropout(0.5)(bottom))
    merged = layers.concatenate([first, Conv2D(4, 2, padding="same")(up)], axis=3)
    outputs = Conv2D(1, 1, activation="sigmoid")(merged)
    model = Model(inputs=inputs, outputs=outputs)
    model.compile(optimizers.Adam(learning_rate=1e-3), "binary_crossentropy")
    x = np.random.default_rng(0).random((8, 16, 16, 1))
    model.fit(x, (x > 0.5).astype("float32"), batch_size=4, epochs=1, verbose=0)
    assert model.predict(x, verbose=0).shape == x.shape
    lines = []
    model.summary(print_fn=lines.append)
    assert "Connected to" in lines[1] and any("conv2d, conv2d_2" in line for line in lines)


def test_resnet_block_with_batch_normalization(tmp_path):
    inputs = keras.Input(shape=(12, 12, 3))
    x = layers.Rescaling(1.0 / 255)(inputs)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.SeparableConv2D(8, 3, padding="same", depthwise_initializer="he_normal")(x)
    y = layers.Activation("relu")(layers.add([layers.BatchNormalization()(y), x]))
    outputs = layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(y))
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=optimizers.SGD(lr=0.01, decay=1e-6, momentum=0.9, nesterov=True),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    x, y = digits(32, channels=3)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(filepath=tmp_path / "resnet.npz")
    again = keras.models.load_model(tmp_path / "resnet.npz")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_siamese_twins_share_their_weights():
    inputs = Input((12, 12, 1))
    h = layers.AveragePooling2D(2)(Conv2D(4, 5, activation="tanh")(inputs))
    twin = Model(inputs, Dense(6, activation="tanh")(Flatten()(h)))
    left, right = Input((12, 12, 1), name="left"), Input((12, 12, 1), name="right")
    difference = layers.Subtract()([twin(left), twin(right)])
    distance = layers.Multiply()([difference, difference])
    siamese = Model(inputs=[left, right], outputs=Dense(1, activation="sigmoid")(distance))
    siamese.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    assert len(siamese.trainable_weights) == len(twin.trainable_weights) + 2
    x, y = digits(64)
    x = x / 255.0
    order = np.random.permutation(64)
    same = (y == y[order]).astype("float32")
    siamese.fit([x, x[order]], same, batch_size=16, epochs=1, verbose=0)
    siamese.fit({"left": x, "right": x[order]}, same, batch_size=16, epochs=1, verbose=0)
    assert siamese.predict([x[:3], x[:3]], verbose=0).shape == (3, 1)


def test_gan_trains_the_generator_alone_through_the_frozen_discriminator():
    discriminator = Sequential(
        [
            Conv2D(4, 3, strides=2, padding="same", input_shape=(12, 12, 1)),
            LeakyReLU(alpha=0.2),
            Flatten(),
            Dense(1, activation="sigmoid"),
        ]
    )
    discriminator.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    generator = Sequential([Dense(6 * 6 * 4, input_dim=10), LeakyReLU(0.2), Reshape((6, 6, 4))])
    generator.add(layers.UpSampling2D())
    generator.add(Conv2D(1, 3, padding="same", activation="tanh"))
    discriminator.trainable = False
    z = Input(shape=(10,))
    gan = Model(z, discriminator(generator(z)))
    gan.compile(loss="binary_crossentropy", optimizer=optimizers.Adam(0.0002, 0.5))
    noise = np.random.default_rng(0).normal(size=(16, 10))
    fake = generator.predict(noise, verbose=0)
    before = discriminator.get_weights()
    with pytest.warns(UserWarning, match="no weights are trained"):
        discriminator.train_on_batch(fake, np.zeros((16, 1)))
    np.testing.assert_array_equal(before[0], discriminator.get_weights()[0])
    discriminator.trainable = True
    loss, _ = discriminator.train_on_batch(fake, np.zeros((16, 1)))
    discriminator.trainable = False
    trained = discriminator.get_weights()
    assert np.isfinite(loss) and not np.array_equal(before[0], trained[0])
    assert np.isfinite(gan.train_on_batch(noise, np.ones((16, 1))))
    for old, new in zip(trained, discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(fake, generator.predict(noise, verbose=0))


def test_transfer_learning_freezes_and_then_tunes_a_nested_base():
    base = Sequential(
        [Conv2D(4, 3, input_shape=(12, 12, 3)), layers.BatchNormalization(), layers.ReLU()],
        name="base",
    )
    base.trainable = False
    inputs = keras.Input(shape=(12, 12, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = base(x, training=False)
    outputs = Dense(1)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss=loss, metrics=[keras.metrics.BinaryAccuracy()])
    x, y = digits(32, channels=3)
    before = base.get_weights()
    history = model.fit(x, y % 2, epochs=1, verbose=0)
    assert set(history.history) == {"loss", "binary_accuracy"}
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(model.trainable_weights) == 2
    base.trainable = True
    for layer in base.layers[:1]:
        layer.trainable = False
    model.compile(keras.optimizers.Adam(1e-5), loss=loss)
    model.fit(x, y % 2, epochs=1, verbose=0)
    np.testing.assert_array_equal(before[0], base.get_weights()[0])
    assert not np.array_equal(before[2], base.get_weights()[2])


def test_feature_maps_of_a_trained_model():
    model = Sequential([Conv2D(4, 3, activation="relu", input_shape=(12, 12, 1), name="first")])
    model.add(MaxPool2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(CLASSES, activation="softmax"))
    outputs = [layer.output for layer in model.layers[:2]]
    maps = models.Model(inputs=model.input, outputs=outputs).predict(digits(2)[0], verbose=0)
    assert [one.shape for one in maps] == [(2, 10, 10, 4), (2, 5, 5, 4)]
    last = Model(model.inputs, [model.get_layer("first").output, model.output])
    feature, prediction = last(digits(1)[0])
    assert feature.shape == (1, 10, 10, 4) and prediction.shape == (1, CLASSES)
    filters, biases = model.layers[0].get_weights()
    assert filters.shape == (3, 3, 1, 4) and biases.shape == (4,)
    assert [layer.output_shape for layer in model.layers][-1] == (None, CLASSES)


def test_callbacks_of_ones_own_and_learning_rates():
    rates, losses = [], []

    class Rates(Callback):
        def on_train_begin(self, logs=None):
            assert self.params["epochs"] == 3

        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(K.get_value(self.model.optimizer.learning_rate)))
            if epoch == 1:
                K.set_value(self.model.optimizer.learning_rate, 0.5)
                rates.append(self.model.optimizer.learning_rate.numpy())
                self.model.stop_training = True

        def on_train_batch_end(self, batch, logs=None):
            losses.append(logs["loss"])

    model = Sequential([Dense(1, input_shape=(4,))])
    model.compile(optimizer=keras.optimizers.RMSprop(learning_rate=0.1), loss="mse")
    halve = LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    x = np.ones((8, 4))
    history = model.fit(x, x[:, :1], batch_size=4, epochs=3, callbacks=[halve, Rates()], verbose=0)
    assert rates == pytest.approx([0.05, 0.025, 0.5]) and len(losses) == 4
    assert history.epoch == [0, 1] and history.history["learning_rate"] == [0.05, 0.025]


def test_augmented_batches_of_a_generator_under_the_old_names():
    x, y = digits(32)
    y = to_categorical(y, CLASSES)
    data = ImageDataGenerator(rescale=1.0 / 255, rotation_range=10, width_shift_range=0.1)
    model = Sequential([Flatten(input_shape=(12, 12, 1)), Dense(CLASSES, activation="softmax")])
    model.compile(optimizers.Adadelta(), "categorical_crossentropy", metrics=["accuracy"])
    flow = data.flow(x, y, batch_size=8)
    assert flow.next()[0].shape == (8, 12, 12, 1)
    model.fit_generator(flow, steps_per_epoch=len(x) / 8, epochs=1, validation_data=flow, verbose=0)
    assert len(model.evaluate_generator(flow, steps=2)) == 2
    assert model.predict_generator(flow, steps=2).shape == (16, CLASSES)


def test_two_inputs_two_outputs_with_losses_by_name():
    title, tags = keras.Input(shape=(10,), name="title"), keras.Input(shape=(6,), name="tags")
    x = layers.concatenate([layers.Dense(8, activation="relu")(title), tags])
    priority = layers.Dense(1, name="priority", activation="sigmoid")(x)
    department = layers.Dense(3, name="department", activation="softmax")(x)
    model = keras.Model(inputs=[title, tags], outputs=[priority, department])
    model.compile(
        optimizer="rmsprop",
        loss={"priority": "binary_crossentropy", "department": "categorical_crossentropy"},
        loss_weights={"priority": 1.0, "department": 0.2},
        metrics={"department": ["accuracy"]},
    )
    random = np.random.default_rng(0)
    data = {"title": random.random((32, 10)), "tags": random.integers(2, size=(32, 6))}
    targets = {"priority": random.random((32, 1)), "department": np.eye(3)[np.arange(32) % 3]}
    history = model.fit(data, targets, epochs=1, batch_size=8, verbose=0)
    assert set(history.history) == {
        "loss",
        "priority_loss",
        "department_loss",
        "department_accuracy",
    }
    first, second = model.predict(data, verbose=0)
    assert first.shape == (32, 1) and second.shape == (32, 3)


def test_a_subclass_of_model_with_its_layers(tmp_path):
    class MLP(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(16, activation="relu")
            self.dropout = layers.Dropout(0.5)
            self.classifier = layers.Dense(CLASSES, activation="softmax")

        def call(self, inputs, training=False):
            x = self.hidden(inputs)
            x = self.dropout(x, training=training)
            return self.classifier(x)

    x, y = digits(32)
    model = MLP()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x.reshape(32, -1) / 255.0, y, epochs=1, verbose=0)
    assert len(model.trainable_variables) == 4
    model.save_weights(tmp_path / "weights.npz")
    model.save(tmp_path / "model.npz")
    again = load_model(tmp_path / "model.npz", custom_objects={"MLP": MLP})
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.allclose(model.predict(x.reshape(32, -1), verbose=0).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("script", "error", "text"),
    [
        ("from fastconv.layers import LSTM", ImportError, "none for sequences, text or volumes"),
        ("from fastconv.datasets import mnist", ImportError, "downloads no such data set"),
        ("keras.layers.Embedding(10, 4)", AttributeError, "none for sequences"),
        ("keras.applications.VGG16()", AttributeError, "weights that others trained"),
        ("K.mean(K.square(1.0))", AttributeError, "differentiated by themselves"),
        ("Conv2D(32, 3, 3, border_mode='same')", TypeError, "unknown argument 'border_mode'"),
        ("small().predict_classes([[1.0]])", AttributeError, "removed; use numpy.argmax"),
        ("small().fit([[1.0]], [1.0], nb_epoch=2)", TypeError, "unexpected .* 'nb_epoch'"),
        ("Dense(2, activity_regularizer='l1')", ValueError, "give kernel_regularizer"),
        ("Input((4,))[:, 0]", TypeError, "cannot be indexed"),
    ],
)
def test_what_is_not_there_is_refused_with_a_reason(script, error, text):
    def small():
        model = Sequential([Dense(1, input_shape=(1,))])
        model.compile("sgd", "mse")
        return model

    names = {"keras": keras, "K": K, "small": small, "Conv2D": Conv2D, "Dense": Dense}
    with pytest.raises(error, match=text):
        exec(script, names | {"Input": Input})
