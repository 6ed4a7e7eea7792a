"""How older Keras spelled the methods of a model that is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from .._core.naming import of_model
from ..callbacks import Callback, History

#: Methods that Keras has no more, and what stands in their place.
_REMOVED = {
    "predict_classes": "numpy.argmax(model.predict(x), axis=-1), or model.predict(x) > 0.5",
    "predict_proba": "model.predict(x)",
    "get_input_at": "layer.input",
    "get_output_at": "layer.output",
    "to_yaml": "model.to_json()",
}


class OldSpellings:
    """`fit`, `evaluate` and `predict` of iterators under their old names."""

    fit: Any
    evaluate: Any
    predict: Any

    def __getattr__(self, name: str) -> Any:
        error = f"{type(self).__name__!r} object has no attribute {name!r}"
        if name in _REMOVED:
            error += f", which Keras has removed; use {_REMOVED[name]}"
        raise AttributeError(error, name=name, obj=self)

    @of_model
    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Iterable[Callback] | None = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: int | Collection[int] = 1,
        class_weight: dict[int, float] | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> History:
        """Train on an iterator of batches: the old spelling of `fit`.

        `max_queue_size`, `workers` and `use_multiprocessing` are accepted and
        have no effect.
        """
        return self.fit(
            generator,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    @of_model
    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Iterable[Callback] | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int | str = 0,
    ) -> Any:
        """Return the loss over an iterator of batches: the old spelling of `evaluate`."""
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    @of_model
    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Iterable[Callback] | None = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int | str = 0,
    ) -> np.ndarray:
        """Return the output for an iterator of batches: the old spelling of `predict`."""
        output: np.ndarray = self.predict(
            generator, steps=steps, callbacks=callbacks, verbose=verbose
        )
        return output
