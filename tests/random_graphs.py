"""Drawn graphs of layers, built alike of fastconv's layers and of Keras's.

A `Recipe` says what is called on what, by number, so that both packages can follow it. Shapes
are fastconv's while a recipe is drawn; `build` in Keras compares them with its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

import fastconv
from fastconv import layers, models

#: Names of layers that merge tensors of one shape.
MERGES = ("Add", "Multiply", "Subtract", "Average", "Maximum")

ACTIVATIONS = (None, "relu", "tanh", "sigmoid", "elu", "leaky_relu")


@dataclass
class Call:
    """One call: a layer made of its class's name and arguments, or the layer of an earlier call."""

    layer: Any  # (class name, arguments), a Recipe, or the number of the call whose layer this is
    sources: list[int]
    is_list: bool = False
    training: bool | None = None


@dataclass
class Recipe:
    """A graph: the inputs' shapes, calls in their order, and which tensors are outputs."""

    inputs: list[tuple[int, ...]]
    calls: list[Call] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    name: str = "layer_"

    def build(self, kind: Any = layers, model: Any = models.Model, fixed: Any = partial) -> Any:
        """Return the model of `kind`'s layers.

        `fixed(layer, training=...)` makes what calls a layer with `training` as it is told.
        """
        tensors = [
            kind.Input(shape, name=f"{self.name}input_{n}") for n, shape in enumerate(self.inputs)
        ]
        made: list[Any] = []
        for number, call in enumerate(self.calls):
            layer = made[call.layer] if isinstance(call.layer, int) else None
            made.append(layer or _layer(call.layer, kind, model, fixed, f"{self.name}{number}"))
            x = [tensors[n] for n in call.sources]
            layer = made[-1]
            if call.training is not None:
                layer = fixed(layer, training=call.training)
            tensors.append(layer(x if call.is_list else x[0]))
        outputs = [tensors[n] for n in self.outputs]
        name = self.name.rstrip("_") or "whole"
        return model(packed(tensors[: len(self.inputs)]), packed(outputs), name=name)

    def __repr__(self) -> str:
        lines = [f"{len(self.inputs) + n}: {call}" for n, call in enumerate(self.calls)]
        return "\n".join([f"Recipe(inputs={self.inputs}, outputs={self.outputs})", *lines])


def _layer(description: Any, kind: Any, model: Any, fixed: Any, name: str) -> Any:
    if isinstance(description, Recipe):
        description.name = f"{name}_"
        return description.build(kind, model, fixed)
    class_name, arguments = description
    return getattr(kind, class_name)(**arguments, name=name)


class _Drawing:
    """A recipe as it is drawn, with fastconv's tensors, whose shapes say what fits."""

    def __init__(self, draw: Any, inputs: list[tuple[int, ...]], nested: bool) -> None:
        self.draw, self.nested = draw, nested
        self.recipe = Recipe(inputs)
        self.tensors = [layers.Input(shape) for shape in inputs]
        self.layers: list[Any] = []
        self.read: set[int] = set()

    def choose(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def shape(self, number: int) -> tuple[int, ...]:
        return self.tensors[number].shape[1:]

    def like(self, number: int, same: int) -> list[int]:
        """Return other tensors whose first `same` sizes are those of this one, with its rank."""
        shape = self.shape(number)
        return [
            n
            for n in range(len(self.tensors))
            if n != number
            and len(self.shape(n)) == len(shape)
            and self.shape(n)[:same] == shape[:same]
        ]

    def call(self, layer: Any, *sources: int, is_list: bool = False, training: Any = None) -> int:
        """Append a call; return its tensor's number."""
        made = (
            self.layers[layer]
            if isinstance(layer, int)
            else _layer(layer, layers, models.Model, partial, "drawn")
        )
        x = [self.tensors[n] for n in sources]
        self.tensors.append(made(x if is_list else x[0], training=training))
        self.layers.append(made)
        self.recipe.calls.append(Call(layer, list(sources), is_list, training))
        self.read.update(sources)
        return len(self.tensors) - 1

    # What may come next

    def step(self) -> None:
        # Tensors that nobody reads yet are taken more often, or most layers would be outputs.
        unread = [n for n in range(len(self.tensors)) if n not in self.read]
        every = list(range(len(self.tensors)))
        source = self.choose(*(unread if unread and self.choose(0, 1, 2) else every))
        image = len(self.shape(source)) == 3
        moves = [self._plain, self._plain, self._merge, self._concatenate, self._again]
        moves += [self._convolution, self._convolution, self._pool, self._squeeze] * image
        moves += [self._dense, self._dense] * (not image)
        moves += [self._residual] * image
        moves += [self._model] * (not self.nested)
        self.choose(*moves)(source)

    def _plain(self, source: int) -> None:
        image = len(self.shape(source)) == 3
        kinds: list[Any] = [
            ("BatchNormalization", {"epsilon": 0.1, "momentum": 0.5}),
            ("Activation", {"activation": self.choose(*ACTIVATIONS[1:])}),
            ("ReLU", {}),
            ("LeakyReLU", {}),
            ("Dropout", {"rate": 0.0}),
        ]
        if self.shape(source)[-1] > 2:  # fewer tell little but their order
            kinds.append(("LayerNormalization", {"epsilon": 0.1}))
        if image:
            if max(self.shape(source)[:2]) <= 6:
                size = self.choose((2, 2), (1, 2))
                kinds.append(("UpSampling2D", {"size": size}))
                kinds.append(("ZeroPadding2D", {"padding": self.choose(1, ((0, 1), (2, 0)))}))
            if min(self.shape(source)[:2]) >= 3:
                kinds.append(("Cropping2D", {"cropping": ((1, 0), (0, 1))}))
            kinds.append(("Dense", {"units": 3}))
            kinds.append(("Flatten", {}))
        else:
            kinds.append(("Reshape", {"target_shape": (1, 1, self.shape(source)[0])}))
        kind = self.choose(*kinds)
        fixed = kind[0] in ("BatchNormalization", "Dropout") and self.choose(True, False)
        if fixed:
            if kind[0] == "Dropout":
                kind = ("Dropout", {"rate": 0.5})
            self.call(kind, source, training=False)
        else:
            self.call(kind, source)

    def _convolution(self, source: int) -> None:
        height, width, channels = self.shape(source)
        fits = min(height, width) >= 3
        padding = self.choose("same", "valid") if fits else "same"
        common = {
            "kernel_size": self.choose(1, 2, 3),
            "padding": padding,
            "strides": self.choose(1, 1, 2),
            "use_bias": self.choose(True, False),
            "activation": self.choose(*ACTIVATIONS),
        }
        name = self.choose(
            "Conv2D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"
        )
        if name == "Conv2DTranspose" and max(height, width) > 6:
            name = "Conv2D"
        filters = self.choose(2, 4, channels)
        if name == "DepthwiseConv2D":
            common["depth_multiplier"] = self.choose(1, 2) if channels < 5 else 1
        else:
            common["filters"] = filters
        self.call((name, common), source)

    def _residual(self, source: int) -> None:
        """Convolution, normalization, perhaps an addition and a ReLU: what runs as one or two."""
        arguments = {"filters": self.shape(source)[-1], "kernel_size": 3, "padding": "same"}
        arguments["use_bias"] = self.choose(True, False)
        y = self.call((self.choose("Conv2D", "SeparableConv2D"), arguments), source)
        arguments = {"epsilon": 0.1, "momentum": 0.5, "scale": self.choose(True, False)}
        y = self.call(("BatchNormalization", arguments), y, training=self.choose(None, None, False))
        if self.choose(True, True, False):
            pair = self.choose((y, source), (source, y))
            y = self.call(("Add", {}), *pair, is_list=True)
        if self.choose(True, True, False):
            self.call(("ReLU", {}), y)

    def _pool(self, source: int) -> None:
        fits = min(self.shape(source)[:2]) >= 2
        arguments = {
            "pool_size": 2,
            "strides": self.choose(1, 2),
            "padding": self.choose("same", "valid") if fits else "same",
        }
        self.call((self.choose("MaxPooling2D", "AveragePooling2D"), arguments), source)

    def _squeeze(self, source: int) -> None:
        """Global pooling; perhaps each channel is then multiplied by what comes out."""
        name = self.choose("GlobalAveragePooling2D", "GlobalMaxPooling2D")
        if self.choose(True, False):
            self.call((name, {}), source)
            return
        pooled = self.call((name, {"keepdims": True}), source)
        units = self.shape(source)[-1]
        scale = self.call(("Dense", {"units": units, "activation": "sigmoid"}), pooled)
        self.call(("Multiply", {}), source, scale, is_list=True)

    def _dense(self, source: int) -> None:
        arguments = {"units": self.choose(2, 5), "activation": self.choose(*ACTIVATIONS)}
        self.call(("Dense", arguments), source)

    def _merge(self, source: int) -> None:
        name = self.choose(*MERGES)
        others = self.like(source, 3)
        count = 1 if name == "Subtract" else self.choose(1, 1, 2)
        chosen = [self.choose(*others) for _ in range(count)] if others else []
        if name == "Maximum" and len({source, *chosen}) <= len(chosen):
            chosen = []  # equal numbers share a gradient in PyTorch
        if not chosen:
            kind = {"units": self.shape(source)[-1], "activation": "tanh"}
            chosen = [self.call(("Dense", kind), source)]
        self.call((name, {}), source, *chosen, is_list=True)

    def _concatenate(self, source: int) -> None:
        others = self.like(source, len(self.shape(source)) - 1)
        if self.shape(source)[-1] > 12 or not others:
            self._plain(source)
            return
        chosen = [self.choose(*others) for _ in range(self.choose(1, 2))]
        self.call(("Concatenate", {}), source, *chosen, is_list=True)

    def _again(self, source: int) -> None:
        """Call a layer of an earlier call, which has weights for as many channels."""
        shape, found = self.shape(source), []
        for n, call in enumerate(self.recipe.calls):
            given = self.shape(call.sources[0])
            if call.is_list or call.training is not None or len(given) != len(shape):
                continue
            inner = hasattr(self.layers[n], "layers")
            if given == shape if inner else given[-1] == shape[-1] and self.layers[n].weights:
                found.append(n)
        if not found:
            self._plain(source)
            return
        place = self.choose(*found)
        while isinstance(self.recipe.calls[place].layer, int):
            place = self.recipe.calls[place].layer
        try:
            self.call(place, source)
        except ValueError:  # a kernel that does not fit the smaller image
            self._plain(source)

    def _model(self, source: int) -> None:
        inner = self.draw(recipes(inputs=[self.shape(source)], most=4, nested=True))
        self.call(inner, source, training=self.choose(None, None, False))


@st.composite
def recipes(
    draw: Any, inputs: Any = None, most: int = 22, nested: bool = False, outputs: int = 3
) -> Recipe:
    """Draw a recipe of up to `most` steps; some of them are two or three calls."""
    if inputs is None:
        size, channels = draw(st.integers(4, 9)), draw(st.integers(1, 4))
        image = (size, draw(st.integers(4, 9)), channels)
        inputs = draw(st.sampled_from([[image], [image], [image, (5,)], [image, image]]))
    drawing = _Drawing(draw, list(inputs), nested)
    for _ in range(draw(st.integers(1 if nested else 3, most))):
        drawing.step()
    recipe = drawing.recipe
    last = [n for n in range(len(drawing.tensors)) if n not in drawing.read]
    last = [n for n in last if n >= len(inputs)]
    while len(last) > (1 if nested else outputs):  # what is too much flows together
        first, second, last = last[0], last[1], last[2:]
        flat = [
            drawing.call(("Flatten", {}), n) if len(drawing.shape(n)) > 1 else n
            for n in (first, second)
        ]
        last.append(drawing.call(("Concatenate", {}), *flat, is_list=True))
    if not nested and draw(st.booleans()):  # an output that others read as well
        last.append(draw(st.sampled_from(range(len(inputs), len(drawing.tensors)))))
    recipe.outputs = list(dict.fromkeys(last))
    for number in range(len(inputs)):
        if number not in drawing.read:  # Keras takes inputs that nobody reads; few graphs have one
            flat = drawing.call(("Flatten", {}), number)
            recipe.outputs.append(flat)
    return recipe


def set_random_weights(model: Any, rng: np.random.Generator) -> None:
    """Give every weight numbers with which values stay of the size of 1."""
    values = []
    for parameter in model.weights:
        shape = parameter.shape
        if parameter.name.endswith("kernel"):
            fan = max(1, int(np.prod(shape[:-1])))
            if parameter.name == "depthwise_kernel":
                fan = shape[0] * shape[1]
            values.append(rng.normal(size=shape) / np.sqrt(fan))
        elif parameter.name in ("gamma", "moving_variance"):
            values.append(rng.uniform(0.5, 1.5, shape))
        else:
            values.append(rng.normal(size=shape) * 0.3)
    model.set_weights([np.asarray(value, np.float32) for value in values])


def batch_of(model: Any, rng: np.random.Generator, rows: int = 4) -> tuple[Any, Any]:
    """Return inputs of a model, and an array like each output."""
    x = [rng.normal(size=(rows, *t.shape[1:])).astype(np.float32) for t in model.inputs]
    y = [rng.normal(size=(rows, *t.shape[1:])).astype(np.float32) for t in model.outputs]
    return x, y


def packed(arrays: list[Any]) -> Any:
    """Return the only array alone, several as a list."""
    return arrays if len(arrays) > 1 else arrays[0]


def drawn_model(recipe: Recipe, seed: int) -> Any:
    """Return fastconv's model of a recipe, with weights drawn from `seed`."""
    fastconv.utils.set_random_seed(seed)
    model = recipe.build()
    set_random_weights(model, np.random.default_rng(seed))
    return model
