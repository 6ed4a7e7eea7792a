"""Models out of files: the architecture made anew, and filled with what the file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import initializers
from .._core.registry import custom_object
from ..saving.checkpoint_file import mapping
from ..saving.extent import check_extent
from ..saving.model import ModelFile
from ..saving.npz import reading
from .model import Model
from .sequential import Sequential

COMPILE_REMEDY = (
    "; give classes of your own as custom_objects={name: class}, or use "
    "load_model(path, compile=False)"
)


def model_of(file: ModelFile, compile: bool) -> Any:
    """Return the model that a file tells of, filled with what it holds.

    Raises CheckpointError where something in it fits nothing.
    """
    with reading(file.path, "the model cannot be rebuilt"):
        model = _rebuild(file)
    if compile and file.config.get("compile"):
        with reading(file.path, "the model cannot be compiled as it was", COMPILE_REMEDY):
            arguments = file.config["compile"]
            model.compile(**arguments)
    with reading(file.path):
        file.put_weights(model)
        file.put_layer_states(model)
        if model.compiled:
            file.put_optimizer(model)
            model.fit_state = file.run_state()
    return model


def _rebuild(file: ModelFile) -> Any:
    config = file.config
    check_extent(config["config"])
    with initializers.weights_from(file.source()):
        model = model_class(config).from_config(config["config"])
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


def model_class(config: Mapping[str, Any]) -> type[Model]:
    """Return the class that a configuration names, a user's through `custom_objects`."""
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
