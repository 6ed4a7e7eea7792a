"""Why a network answers as it does: what of an image its answer hangs on, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.memory import contiguous
from ..graph.watching import gradients_of, map_tensors


def saliency(model: Any, image: Any, class_index: int | None = None) -> np.ndarray:
    """Return how much each pixel of `image` counts for a class, (height, width), 0 to 1.

    The largest absolute gradient over the channels.  Simonyan, Vedaldi and Zisserman, "Deep inside
    convolutional networks", 2013.

    Args:
        model: one input of images and one output: a unit for each class, or one for two.
        image: (height, width, channels), as the model was trained on.
        class_index: which class; by default the answer.
    """
    x, weights = _asked(model, image, class_index)
    with model.layers_lock:
        _, gradient = gradients_of(model.graph, model.inputs[0], [x], weights)
    return _to_one(np.abs(gradient[0]).max(axis=-1))


def grad_cam(
    model: Any, image: Any, class_index: int | None = None, layer: str | None = None
) -> np.ndarray:
    """Return where in `image` a class was seen, (height, width), 0 to 1.

    The maps of a layer weighed by their mean gradients, what speaks against the class left out,
    stretched to the image.  Selvaraju and others, "Grad-CAM", 2017.

    Args:
        model, image, class_index: as for `saliency`.
        layer: the name of a layer that gives maps; by default the last that gives maps of more
            than one pixel.
    """
    x, weights = _asked(model, image, class_index)
    maps = dict(map_tensors(model.graph))
    if layer is None:
        large = [name for name, tensor in maps.items() if 1 not in tensor.shape[1:3]]
        if not large:
            raise ValueError(f"grad_cam: {model.owner} has no layer that gives maps")
        layer = large[-1]
    if layer not in maps:
        raise ValueError(f"grad_cam: layer is {layer!r}; it must be one of {', '.join(maps)}")
    with model.layers_lock:
        values, gradient = gradients_of(model.graph, maps[layer], [x], weights)
    importance = gradient[0].mean(axis=(0, 1))
    seen = np.maximum((values[0] * importance).sum(axis=-1), 0)
    return _stretched(_to_one(seen), x.shape[1], x.shape[2])


def occlusion(
    model: Any, image: Any, class_index: int | None = None, size: int = 16, stride: int = 8
) -> np.ndarray:
    """Return how much the class's probability falls where a square hides the image.

    (height, width): 0 where nothing changes, negative where hiding it speaks for the class.  The
    square has the image's mean colour.  Zeiler and Fergus, "Visualizing and understanding
    convolutional networks", 2013.

    Args:
        model, image, class_index: as for `saliency`.
        size, stride: of the square, and by how much it moves, in pixels.
    """
    x, _ = _asked(model, image, class_index)
    if size < 1 or stride < 1 or size > min(x.shape[1:3]):
        raise ValueError(
            f"occlusion: size is {size!r} and stride {stride!r}; they must be at least 1, and size "
            f"at most {min(x.shape[1:3])}"
        )
    height, width = x.shape[1:3]
    corners = [
        (top, left)
        for top in _places(height, size, stride)
        for left in _places(width, size, stride)
    ]
    hidden = np.repeat(x, len(corners), axis=0)
    colour = x[0].mean(axis=(0, 1))
    for one, (top, left) in zip(hidden, corners, strict=True):
        one[top : top + size, left : left + size] = colour
    before = model.predict(x, verbose=0)
    index = _class_of(before[0], class_index, model)
    drops = _probability(before, index) - _probability(model.predict(hidden, verbose=0), index)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for drop, (top, left) in zip(drops, corners, strict=True):
        total[top : top + size, left : left + size] += drop
        count[top : top + size, left : left + size] += 1
    mean: np.ndarray = (total / np.maximum(count, 1)).astype(np.float32)
    return mean


def _asked(model: Any, image: Any, class_index: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the batch of one image, and the weights that make the sum of a class's score."""
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.output_shape) != 2:
        raise ValueError(
            f"{model.owner}: an explanation needs one input and one output of classes; this has "
            f"inputs {model.input_shape} and outputs {model.output_shape}"
        )
    x = contiguous(np.asarray(image), np.float32)[np.newaxis]
    expected = model.input_shape
    fits = len(expected) == x.ndim == 4 and all(
        size in (None, given) for size, given in zip(expected[1:], x.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"{model.owner}: image has shape {x.shape[1:]}; it must be {expected[1:]}: (height, "
            "width, channels), scaled as in training"
        )
    outputs = model.predict(x, verbose=0)
    weights = np.zeros(outputs.shape, np.float32)
    index = _class_of(outputs[0], class_index, model)
    if weights.shape[1] == 1:
        weights[0, 0] = 1.0 if index else -1.0
    else:
        weights[0, index] = 1.0
    return x, weights


def _class_of(outputs: np.ndarray, class_index: int | None, model: Any) -> int:
    classes = max(2, len(outputs))
    if class_index is None:
        return int(outputs[0] > 0.5) if len(outputs) == 1 else int(outputs.argmax())
    if not isinstance(class_index, (int, np.integer)) or not 0 <= class_index < classes:
        raise ValueError(
            f"{model.owner}: class_index is {class_index!r}; it must be from 0 to {classes - 1}"
        )
    return int(class_index)


def _probability(outputs: np.ndarray, index: int) -> np.ndarray:
    if outputs.shape[1] > 1:
        found: np.ndarray = outputs[:, index]
        return found
    single: np.ndarray = outputs[:, 0] if index else 1 - outputs[:, 0]
    return single


def _places(length: int, size: int, stride: int) -> list[int]:
    """Return where a square begins so that all is hidden once."""
    return sorted({*range(0, length - size + 1, stride), length - size})


def _to_one(values: np.ndarray) -> np.ndarray:
    largest = float(values.max())
    scaled: np.ndarray = values / largest if largest > 0 else values
    return scaled


def _stretched(values: np.ndarray, height: int, width: int) -> np.ndarray:
    from PIL import Image

    image = Image.fromarray(values.astype(np.float32))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))
