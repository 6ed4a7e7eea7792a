"""fastconv in the data benches, through its public API alone."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import time
from typing import Any

import fastconv
from fastconv import architectures
from fastconv.preprocessing.image import ImageDataGenerator

from ..data import BATCH, EPOCH, STEP, DataTask


class FastconvData:
    """An augmented batch from the cache, model3's training step, and whole epochs of `fit`."""

    def __init__(self, *, threads: int, prefetch: int | str = "auto") -> None:
        fastconv.set_num_threads(threads)
        self.prefetch = prefetch

    def prepare(self, task: DataTask) -> dict[str, Any]:
        """Fill `operations`; for epochs, return the "first" one's seconds, decoding included."""
        recipe = architectures.get("model3").recipe
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            train, validation = (
                ImageDataGenerator(rescale=recipe.rescale, **changes).flow_from_directory(
                    os.path.join(task.folder, part),
                    target_size=(task.size, task.size),
                    class_mode="binary",
                    batch_size=task.batch,
                    seed=0,
                    prefetch=self.prefetch,
                )
                for part, changes in (("train", recipe.augmentation), ("validation", {}))
            )
        shape = (task.size, task.size, 3)
        self.model = recipe.compile(architectures.get("model3")(input_shape=shape))
        if task.kind == EPOCH:
            self.operations = {
                EPOCH: lambda: self.model.fit(train, verbose=0, validation_data=validation)
            }
            self.operations[EPOCH]()
            return {"first": time.perf_counter() - started}
        train.decode()
        places = itertools.cycle([(1, step) for step in range(len(train) - 1)])
        x, y = train.batch(0, 0)
        self.operations = {
            BATCH: lambda: train.batch(*next(places)),
            STEP: lambda: self.model.train_on_batch(x, y),
        }
        return {"shape": x.shape, "mean": float(x.mean())}

    def restore(self) -> None:
        """Nothing to undo."""
