"""Pictures of a network at work: its kernels, its maps, what its answers hang on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..callbacks.pictures import kernel_mosaic, map_mosaic
from ..graph.watching import map_tensors, values_of
from .explanations import grad_cam, occlusion, saliency
from .figures import grid, new_picture, show_image


def plot_kernels(model: Any, layer: str | None = None) -> Any:
    """Return a picture of a convolution's kernels; by default the first one's.

    Kernels of three channels are in colour, a tile a filter; of others each filter has a tile for
    each channel.  Raises ValueError for a layer without kernels (height, width, in, out).
    """
    convolutions = {
        one.name: weight.contents
        for one in model.graph.all_layers
        for weight in one.weights
        if weight.contents.ndim == 4
    }
    if layer is None:
        layer = next(iter(convolutions), None)
    if layer is None or layer not in convolutions:
        raise ValueError(
            f"plot_kernels: layer is {layer!r}; it must be one with kernels: "
            f"{', '.join(convolutions) or 'the model has none'}"
        )
    kernel = convolutions[layer]
    filters, channels = kernel.shape[-1], kernel.shape[-2]
    shown = kernel[..., : max(1, 1024 // channels)] if channels != 3 else kernel
    picture = new_picture(5, 5.2)
    axes = picture.subplots()
    show_image(axes, kernel_mosaic(shown))
    rest = "" if shown.shape[-1] == filters else f", the first {shown.shape[-1]}"
    axes.set_title(f"{layer}: {filters} kernels {kernel.shape[0]} x {kernel.shape[1]}{rest}")
    return picture


def plot_feature_maps(
    model: Any, image: Any, layers: Sequence[str] | None = None, most: int = 16
) -> Any:
    """Return a picture of what layers make of an image, a row each, `most` maps of each.

    Args:
        image: (height, width, channels), scaled as in training.
        layers: names; by default all layers that give maps.
    """
    found = dict(map_tensors(model.graph))
    names = list(found) if layers is None else list(layers)
    for name in names:
        if name not in found:
            raise ValueError(
                f"plot_feature_maps: layers has {name!r}; maps are given by {', '.join(found)}"
            )
    if not names:
        raise ValueError(f"plot_feature_maps: {model.owner} has no layer that gives maps")
    x = np.ascontiguousarray(np.asarray(image, np.float32)[np.newaxis])
    with model.layers_lock:
        values = values_of(model.graph, [found[name] for name in names], [x])
    picture = new_picture(9, 0.85 * len(names) + 0.2)
    for axes, name, maps in zip(
        picture.subplots(len(names), 1, squeeze=False)[:, 0], names, values, strict=True
    ):
        show_image(axes, _in_a_row(maps[0][..., :most]))
        height, width, channels = maps.shape[1:]
        title = f"{name}: {height} x {width}, {channels} maps"
        axes.set_title(title, loc="left", fontsize="small")
    return picture


def _in_a_row(maps: np.ndarray) -> np.ndarray:
    tiles = [map_mosaic(maps[..., n : n + 1]) for n in range(maps.shape[-1])]
    gap = np.full((tiles[0].shape[0], max(1, tiles[0].shape[1] // 20), 1), 255, np.uint8)
    parts = [part for tile in tiles for part in (tile, gap)]
    return np.concatenate(parts[:-1], axis=1)


def plot_explanation(model: Any, image: Any, class_index: int | None = None) -> Any:
    """Return a picture of an image beside its saliency, Grad-CAM and occlusion maps.

    Args:
        image: (height, width, channels), scaled as in training.
        class_index: which class is explained; by default the answer.
    """
    image = np.asarray(image, np.float32)
    outputs = model.predict(image[np.newaxis], verbose=0)[0]
    single = len(outputs) == 1
    index = class_index
    if index is None:
        index = int(outputs[0] > 0.5) if single else int(outputs.argmax())
    share = (outputs[0] if index else 1 - outputs[0]) if single else outputs[index]
    names = model.class_names or []
    name = names[index] if index < len(names) else f"class {index}"
    square = max(4, min(image.shape[:2]) // 6)
    hidden = occlusion(model, image, index, square, max(1, square // 2))
    limit = max(float(np.abs(hidden).max()), 1e-6)
    picture, panels = grid(4, 4, 2.5, 0.35)
    show_image(panels[0], image)
    panels[0].set_title(f"{name} {share:.0%}")
    show_image(panels[1], saliency(model, image, index), cmap="magma")
    panels[1].set_title("saliency")
    show_image(panels[2], image)
    panels[2].imshow(grad_cam(model, image, index), cmap="inferno", alpha=0.55, vmin=0, vmax=1)
    panels[2].set_title("Grad-CAM")
    panels[3].imshow(hidden, cmap="RdBu_r", vmin=-limit, vmax=limit)
    panels[3].set_axis_off()
    panels[3].set_title("occlusion")
    return picture
