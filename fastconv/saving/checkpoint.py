"""Models in files: what a checkpoint holds, and how it is written.

A checkpoint is a NumPy archive that `numpy.load(path, allow_pickle=False)`
reads:

    format                          "fastconv/1"
    config                          JSON: architecture, compile arguments, class names, metadata,
                                    and the names of all the file's members
    weights/<layer>/<variable>      float32
    optimizer/<name>                the optimizer's numbers and arrays
    state                           JSON: epoch, step, history, random-number generators,
                                    layers', callbacks' and data's states
    state/<path>                    arrays that stand in `state` as {"array": "state/<path>"}

The last three are missing from a file of weights alone. How NaN and the like
stand in JSON is told in `_core.json_values`. This module writes,
`checkpoint_file` reads, `models.rebuilding` makes a model of it, and
`training.resumption` takes a run up again.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import optimizers
from .._core import random
from .._core.json_values import dumps, free_name, part
from .._version import __version__
from . import npz
from .checkpoint_file import FORMAT, CheckpointFile
from .extent import check_extent
from .model import SavableModel
from .npz import CheckpointError

__all__ = [
    "CheckpointError",
    "check_saving",
    "load_weights",
    "named_weights",
    "save_model",
    "save_weights",
]


def save_model(model: SavableModel, path: str) -> None:
    """Write the whole model, atomically.

    An optimizer's state that no longer fits the layers is left out, and with
    it the run's, with a warning. Raises TypeError, before anything is
    written, where a configuration or a state is no JSON.
    """
    with model.layers_lock:
        slots = _optimizer_state(model, path)
        npz.write(path, _contents(model, {**slots, **_state(model, with_run=bool(slots))}))


def save_weights(model: SavableModel, path: str) -> None:
    """Write architecture and weights, atomically."""
    with model.layers_lock:
        npz.write(path, _contents(model, {}))


def load_weights(model: SavableModel, path: str | os.PathLike[str]) -> None:
    """Copy the weights of a file into a built model; on any error it is left as it was."""
    CheckpointFile(path).put_weights(model)


def named_weights(model: SavableModel) -> dict[str, np.ndarray]:
    """Return the weights by name, `<layer>/<variable>`, in the order of the layers."""
    weights: dict[str, np.ndarray] = {}
    taken: dict[str, None] = {}
    for layer in model.layers:
        folder = free_name(part(layer.name), taken)
        taken[folder] = None
        for path, parameter in layer._weight_paths():
            weights["/".join([folder, *map(part, path.split("/"))])] = parameter.contents
    return weights


def _contents(model: SavableModel, more: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return all members of a file: the model's own, and `more`."""
    weights = {f"weights/{name}": array for name, array in named_weights(model).items()}
    members = ["format", "config", *weights, *more]
    return {
        "format": np.array(FORMAT),
        "config": np.array(_configuration(model, members)),
        **weights,
        **more,
    }


def check_saving(model: SavableModel, path: str, weights_only: bool) -> None:
    """Raise what saving would raise because of what the model is: before a training, not after."""
    _configuration(model, [])


def _configuration(model: SavableModel, members: list[str]) -> str:
    config = {
        "class_name": model.saved_as,
        "config": model.get_config(),
        "input_shape": model.input_shape,
        "frozen": [place for place, p in enumerate(model.weights) if not p.trainable],
        "compile": _compile_config(model),
        "class_names": None if model.class_names is None else list(model.class_names),
        "metadata": dict(model.metadata),
        "fastconv_version": __version__,
        # A reader can tell a file that has lost some.
        "members": members,
    }
    try:
        check_extent(config["config"])
    except ValueError as error:
        raise ValueError(f"{model.owner}: cannot be saved: {error}") from None
    return dumps(config, f"{model.owner}: cannot be saved: config", "config")


def _compile_config(model: SavableModel) -> dict[str, Any] | None:
    if model.optimizer is None or model.loss is None:
        return None
    return {"optimizer": optimizers.serialize(model.optimizer), **model.objectives_config()}


def _optimizer_state(model: SavableModel, path: str) -> dict[str, np.ndarray]:
    """Return the optimizer's state by member; nothing, with a warning, where it does not fit."""
    optimizer = model.optimizer
    if optimizer is None or model.loss is None:
        return {}
    state = optimizer.get_state()
    # Whoever loads the file will do the same; the rate, perhaps by a schedule, plays no part in it.
    config = optimizer.get_config()
    config |= {"learning_rate": 0.0} if "learning_rate" in config else {}
    try:
        type(optimizer).from_config(config).set_state(state, model.trainable_weights)
    except Exception as error:
        warnings.warn(
            f"{model.owner}: the optimizer's state no longer fits the layers ({error}) and is "
            f"left out of {path!r}, and so is the state of the run: a training goes on from the "
            "file with a new optimizer",
            stacklevel=5,
        )
        return {}
    return {f"optimizer/{name}": np.asarray(value) for name, value in state.items()}


def _state(model: SavableModel, with_run: bool) -> dict[str, np.ndarray]:
    run = model.fit_state if with_run else None
    steps: Any = 0 if model.optimizer is None or model.loss is None else model.optimizer.iterations
    states: dict[str, Any] = {}
    for layer in model.layers:
        states[free_name(str(layer.name), states)] = layer.get_state()
    state = {
        "epoch": 0 if run is None else run["epoch"],
        "step": int(steps),
        "history": {} if run is None else run["history"]["history"],
        "random": random.get_state(),
        "layers": states,
        "callbacks": [] if run is None else run["callbacks"],
        "run": run and {k: v for k, v in run.items() if k not in ("epoch", "callbacks")},
    }
    arrays: dict[str, np.ndarray] = {}
    text = dumps(state, f"{model.owner}: cannot be saved: state", "state", arrays)
    return {"state": np.array(text), **arrays}
