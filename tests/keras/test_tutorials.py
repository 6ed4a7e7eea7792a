"""Scripts in the manner of Keras's tutorials run as they stand."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
import tarfile

import numpy as np
import pytest

sys.path.insert(0, str(__import__("pathlib").Path(__file__).parent))
from scripts import run


def blobs(count, size, channels):
    random = np.random.default_rng(0)
    y = random.integers(0, 10, count)
    x = random.integers(0, 60, (count, size, size, channels)).astype("uint8")
    for image, label in zip(x, y, strict=True):
        image[label * 2 : label * 2 + 4] += 150
    return x, y.astype("uint8")


@pytest.fixture
def folder(tmp_path):
    """Return a folder whose `home` is Keras's, with small files in the place of the published."""
    home = tmp_path / "home" / "datasets"
    (home / "fashion-mnist").mkdir(parents=True)
    x, y = blobs(96, 28, 1)
    x = x[..., 0]
    np.savez(home / "mnist.npz", x_train=x[:64], y_train=y[:64], x_test=x[64:], y_test=y[64:])
    for name, array in {
        "train-images-idx3": x,
        "train-labels-idx1": y,
        "t10k-images-idx3": x,
        "t10k-labels-idx1": y,
    }.items():
        head = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
        with gzip.open(home / "fashion-mnist" / f"{name}-ubyte.gz", "wb") as file:
            file.write(head + array.tobytes())
    x, y = blobs(8, 32, 3)
    batch = {
        b"labels": y.tolist(),
        b"data": x.transpose(0, 3, 1, 2).reshape(8, -1),
        b"filenames": [b"a.png"] * 8,
    }
    with tarfile.open(home / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            content = pickle.dumps(batch, 2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return tmp_path


def succeeds(folder, code):
    done = run(folder, code=code, PYTHONWARNINGS="ignore")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mnist_of_the_first_tutorial(folder):
    out = succeeds(
        folder,
        """
        import tensorflow as tf
        mnist = tf.keras.datasets.mnist
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
        x_train, x_test = x_train / 255.0, x_test / 255.0
        model = tf.keras.models.Sequential([
            tf.keras.layers.Flatten(input_shape=(28, 28)),
            tf.keras.layers.Dense(32, activation=tf.nn.relu),
            tf.keras.layers.Dense(10),
        ])
        predictions = model(x_train[:1]).numpy()
        assert abs(tf.nn.softmax(predictions).numpy().sum() - 1) < 1e-5
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        print(loss(y_train[:1], predictions).numpy().shape)
        model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
        model.fit(x_train, y_train, epochs=1, verbose=0)
        model.evaluate(x_test, y_test, verbose=2)
        """,
    )
    assert out.startswith("()\n")


def test_data_sets_out_of_keras_folder(folder):
    out = succeeds(
        folder,
        """
        from keras.datasets import cifar10, fashion_mnist
        (x, y), (x_test, y_test) = cifar10.load_data()
        print(x.shape, y.shape, x.dtype, x_test.shape, y_test[:8, 0].tolist())
        (x, y), _ = fashion_mnist.load_data()
        print(x.shape, y.shape)
        """,
    )
    labels = blobs(8, 32, 3)[1].tolist()
    assert out.splitlines() == [
        f"(40, 32, 32, 3) (40, 1) uint8 (8, 32, 32, 3) {labels}",
        "(96, 28, 28) (96,)",
    ]


def test_another_file_than_the_published_one_is_told_of(folder):
    done = run(folder, code="from keras.datasets import mnist\nmnist.load_data()")
    assert done.returncode == 0 and "is not the file that Keras publishes" in done.stderr


def test_a_data_set_that_is_not_there(folder):
    done = run(folder, code="import keras\nkeras.datasets.cifar100.load_data()")
    assert done.returncode == 1
    assert "cifar-100-python.tar.gz cannot be downloaded" in done.stderr.splitlines()[-1]


def test_data_sets_of_slices(folder):
    succeeds(
        folder,
        """
        import tensorflow as tf
        (x, y), _ = tf.keras.datasets.mnist.load_data()
        def scale(image, label):
            return tf.cast(image, tf.float32) / 255.0, tf.one_hot(label, 10)
        data = tf.data.Dataset.from_tensor_slices((x[..., tf.newaxis], y))
        data = data.map(scale, num_parallel_calls=tf.data.AUTOTUNE).cache().shuffle(100)
        data = data.batch(16).prefetch(tf.data.AUTOTUNE)
        assert len(data) == 4
        for images, labels in data.take(1):
            assert images.shape == (16, 28, 28, 1) and labels[0].numpy().sum() == 1
        model = tf.keras.Sequential([
            tf.keras.layers.Conv2D(4, 3, activation="relu", input_shape=(28, 28, 1)),
            tf.keras.layers.GlobalMaxPool2D(),
            tf.keras.layers.Dense(10, activation="softmax"),
        ])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        model.fit(data, epochs=2, validation_data=data, verbose=0)
        model.fit(data.repeat(), epochs=2, steps_per_epoch=3, verbose=0)
        """,
    )


def test_siamese_twins_with_lambdas_and_a_contrastive_loss(folder):
    succeeds(
        folder,
        """
        import numpy as np
        from keras import backend as K
        from keras.datasets import mnist
        from keras.layers import Dense, Flatten, Input, Lambda
        from keras.models import Model
        from keras.utils import np_utils
        def distance(pair):
            x, y = pair
            return K.sqrt(K.maximum(K.sum(K.square(x - y), axis=1, keepdims=True), K.epsilon()))
        def contrastive(y_true, y_pred):
            return K.mean(y_true * K.square(y_pred)
                          + (1 - y_true) * K.square(K.maximum(1 - y_pred, 0)))
        (x, y), _ = mnist.load_data()
        x = x.astype("float32") / 255
        image = Input((28, 28))
        twin = Model(image, Dense(16, activation="relu")(Flatten()(image)))
        a, b = Input((28, 28)), Input((28, 28))
        model = Model([a, b], Lambda(distance, output_shape=(1,))([twin(a), twin(b)]))
        model.compile("rmsprop", contrastive)
        order = np.random.permutation(len(x))
        history = model.fit([x, x[order]], (y == y[order]).astype("float32"), epochs=3, verbose=0)
        assert history.history["loss"][-1] < history.history["loss"][0]
        """,
    )


def test_settings_of_graphics_cards_and_sessions_change_nothing(folder):
    succeeds(
        folder,
        """
        import tensorflow.compat.v1 as tf
        from keras.backend.tensorflow_backend import set_session
        from keras.layers.core import Dense
        config = tf.ConfigProto()
        config.gpu_options.allow_growth = True
        set_session(tf.Session(config=config))
        import tensorflow as tf
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.random.set_seed(1)
        with tf.device("/GPU:0"):
            assert not tf.test.is_gpu_available()
        """,
    )


def test_a_weight_in_a_function_of_tensors_is_refused(folder):
    done = run(
        folder,
        code="""
        import keras
        class Mine(keras.layers.Layer):
            def build(self, shape):
                self.w = self.add_weight(shape=(shape[-1], 2))
            def call(self, x):
                return keras.ops.matmul(x, self.w)
        model = keras.Sequential([keras.Input((3,)), Mine()])
        model.compile("sgd", "mse")
        model.fit([[1.0, 2.0, 3.0]], [[1.0, 2.0]], verbose=0)
        """,
    )
    assert done.returncode == 1
