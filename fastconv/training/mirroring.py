"""Predictions averaged over each image and its mirror image (`tta="flip"`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import optimizers
from .._core.validation import one_of, optional
from .batches import Batch
from .train_step import TrainStep, with_penalty

_tta = optional(one_of("flip"))


def check_tta(value: Any, step: TrainStep, owner: str) -> bool:
    """Whether outputs are averaged; raise unless the model is one from images to rows."""
    if _tta(value, "tta", owner) is None:
        return False
    model = step.model
    shapes = model.input_shape, model.output_shape
    if any(isinstance(shape, (list, dict)) for shape in shapes) or tuple(map(len, shapes)) != (
        4,
        2,
    ):
        raise ValueError(
            f"{owner}: tta is {value!r}; it must be None for a model from {shapes[0]} to "
            f"{shapes[1]}: outputs are averaged where an image, (batch, height, width, channels), "
            "gives one row of them"
        )
    return True


def averaged(predict: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Return, in new memory, the mean of the outputs for images and for their mirror images."""
    outputs = np.array(predict(x))
    outputs += predict(np.ascontiguousarray(x[:, :, ::-1]))
    outputs *= np.float32(0.5)
    return outputs


def test_averaged(step: TrainStep, batch: Batch) -> tuple[float, np.ndarray]:
    """Return the mean loss of averaged outputs for one batch, and these outputs."""
    outputs = averaged(step.model.predict_step, batch.x)
    (asked,) = step.outputs("evaluate")
    if asked.loss is None:
        return 0.0, outputs
    value, _ = asked.loss.value_and_gradient(batch.y, outputs, batch.sample_weight, logits=False)
    weights = step.model._executor().trainable
    return with_penalty(value * asked.weight, optimizers.penalty(weights)), outputs
