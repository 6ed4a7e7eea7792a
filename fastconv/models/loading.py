"""Models out of files: the architecture made anew, and filled with what the file holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import initializers
from .._core import random
from .._core.json_values import part
from .._core.naming import one_path, short
from .._core.registry import custom_object, custom_object_scope
from ..saving.checkpoint_file import CheckpointFile, mapping
from ..saving.extent import check_extent
from ..saving.npz import reading
from .model import Model
from .saved import Path
from .sequential import Sequential

_COMPILE_REMEDY = (
    "; give classes of your own as custom_objects={name: class}, or use "
    "load_model(path, compile=False)"
)


def load_model(
    path: Path | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    filepath: Path | None = None,
) -> Any:
    """Return the model that `save` wrote, compiled as it was, optimizer state included.

    `custom_objects` gives classes of your own by name: of the model, its
    layers, initializers, activations, optimizer, loss and metrics. `safe_mode`
    is Keras's, and without effect: files hold no code.

    Raises FileNotFoundError, or CheckpointError (a ValueError) for a file that
    is damaged, foreign or newer than this fastconv.
    """
    file = CheckpointFile(one_path(path, filepath, "load_model"))
    # What is drawn while a model is rebuilt is not kept: leave no trace of it.
    drawn = random.get_state()
    try:
        with custom_object_scope(custom_objects), reading(file.path):
            return _model_of(file, compile)
    finally:
        random.set_state(drawn)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the model that `to_json` told of, with new weights.

    `custom_objects` gives classes of your own by name. Raises ValueError for a text that is none
    of `to_json`, and what a layer raises for arguments that it does not take.
    """
    try:
        described = json.loads(json_string)
        config = described["config"]
        known = isinstance(config, dict) and "layers" in config
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise ValueError(
            f"model_from_json: json_string is {short.repr(json_string)}; it must be what "
            "model.to_json() returned"
        )
    check_extent(config)
    with custom_object_scope(custom_objects):
        return _model_class(described).from_config(config)


def _model_of(file: CheckpointFile, compile: bool) -> Any:
    with reading(file.path, "the model cannot be rebuilt"):
        model = _rebuild(file)
    if compile and file.config.get("compile"):
        with reading(file.path, "the model cannot be compiled as it was", _COMPILE_REMEDY):
            arguments = file.config["compile"]
            model.compile(**arguments)
    file.put_weights(model)
    if file.state is not None:
        file.put_layer_states(model)
    if model.compiled:
        file.put_optimizer(model)
        model.fit_state = file.run_state()
    return model


def _rebuild(file: CheckpointFile) -> Any:
    config = file.config
    check_extent(config["config"])
    with initializers.weights_from(_Source(file.weights)):
        model = _model_class(config).from_config(config["config"])
        if not model.built:
            model.build(config["input_shape"])
        if not model.built:
            raise ValueError("it has no layers")
    if "frozen" in config:
        frozen = set(config["frozen"])
        for place, parameter in enumerate(model.weights):
            parameter.trainable = place not in frozen
    names = config.get("class_names")
    if not (names is None or isinstance(names, list)):
        raise ValueError(f"its class names are {names!r}")
    model.class_names = None if names is None else [str(name) for name in names]
    model.metadata = mapping(config.get("metadata") or {}, "metadata")
    return model


def _model_class(config: Mapping[str, Any]) -> type[Model]:
    name = config.get("class_name", "Sequential")
    ours = {"Sequential": Sequential, "Model": Model}
    found = custom_object(str(name)) or ours.get(str(name))
    if found is None:
        raise ValueError(
            f"it is a {name!r}, a class of your own; give "
            f"load_model(path, custom_objects={{{name!r}: the class}})"
        )
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise TypeError(f"{name!r} stands for {found!r}, which is no subclass of Model")
    return found


class _Source:
    """Hands a file's weights to a model that is rebuilt: nothing larger than the file is made.

    Layers may be built in another order than they are saved in; the weights are put in order
    once all are there.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._left: dict[tuple[str, tuple[int, ...]], list[np.ndarray]] = {}
        for name, array in weights.items():
            key = name.rpartition("/")[2], array.shape
            self._left.setdefault(key, []).append(array)

    def __call__(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        left = self._left.get((part(name), tuple(shape)))
        if not left:
            raise ValueError(
                f"its configuration asks for a weight {name} of shape {shape}, which its arrays "
                "do not have"
            )
        return left.pop(0)
