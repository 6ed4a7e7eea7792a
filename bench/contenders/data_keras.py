"""Keras in the data benches: ImageDataGenerator for batches, tf.data for epochs."""

from __future__ import annotations

import itertools
import os
import time
from typing import Any

from ..data import BATCH, EPOCH, DataTask

AUGMENTATION = {
    "rotation_range": 40,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 11.3,  # degrees: a slant of 0.2
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


class KerasGenerator:
    """`ImageDataGenerator.flow` over decoded photos."""

    def __init__(self, *, threads: int) -> None:
        self.threads = threads

    def prepare(self, task: DataTask) -> dict[str, Any]:
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
        from keras.utils import img_to_array, load_img

        names = itertools.islice(_names(os.path.join(task.folder, "train")), 10 * task.batch)
        photos = [img_to_array(load_img(name, target_size=(task.size,) * 2)) for name in names]
        import numpy as np

        flow = ImageDataGenerator(rescale=1 / 255, **AUGMENTATION).flow(
            np.stack(photos), batch_size=task.batch, seed=0
        )
        self.operations = {BATCH: lambda: next(flow)}
        x = next(flow)
        return {"shape": x.shape, "mean": float(x.mean())}

    def restore(self) -> None:
        """Nothing to undo."""


class KerasEpochs:
    """`fit` over tf.data: decoded photos cached, augmentation layers mapped, prefetched."""

    def __init__(self, *, threads: int) -> None:
        import keras  # noqa: F401  (seconds that are not the first epoch's)
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def prepare(self, task: DataTask) -> dict[str, Any]:
        started = time.perf_counter()
        train = _dataset(task, "train", augmented=True)
        validation = _dataset(task, "validation", augmented=False)
        model = _model3(task.size)
        steps = len(train)

        def epoch() -> None:
            before = int(model.optimizer.iterations)
            model.fit(train, verbose=0, validation_data=validation)
            if int(model.optimizer.iterations) != before + steps:
                raise RuntimeError(f"an epoch of {steps} steps ended early")

        self.operations = {EPOCH: epoch}
        epoch()
        return {"first": time.perf_counter() - started}

    def restore(self) -> None:
        """Nothing to undo."""


def _dataset(task: DataTask, part: str, augmented: bool) -> Any:
    import keras
    import tensorflow as tf

    folder = os.path.join(task.folder, part)
    data = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="binary",
        image_size=(task.size, task.size),
        interpolation="nearest",
        batch_size=None,
        shuffle=False,
        verbose=False,
    )
    data = data.map(lambda x, y: (tf.cast(x, tf.uint8), y)).cache()
    layers = [keras.layers.Rescaling(1 / 255)]
    if augmented:
        data = data.shuffle(2000, seed=0)
        layers += [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(40 / 360, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
            keras.layers.RandomShear(0.2, fill_mode="nearest", data_format="channels_last"),
            keras.layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
        ]
    change = keras.Sequential(layers)
    data = data.batch(task.batch).map(
        lambda x, y: (change(tf.cast(x, tf.float32), training=True), y),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return data.prefetch(tf.data.AUTOTUNE)


def _model3(size: int) -> Any:
    from keras import Input, Sequential, layers

    model = Sequential(
        [
            Input((size, size, 3)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def _names(folder: str) -> Any:
    for name in sorted(os.listdir(folder)):
        inner = os.path.join(folder, name)
        yield from (os.path.join(inner, file) for file in sorted(os.listdir(inner)))
