"""Models out of files of any kind, and out of `to_json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from .._core import random
from .._core.model_formats import format_to_read
from .._core.naming import one_path, short
from .._core.registry import custom_object_scope
from ..saving.extent import check_extent
from .rebuilding import model_class
from .saved import Path


def load_model(
    path: Path | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    filepath: Path | None = None,
) -> Any:
    """Return the model of a file, compiled as it was, optimizer state included.

    The kind of file is told by its content: what `save` wrote, Keras's .keras and .h5 files,
    and ONNX's, which are not compiled (see `fastconv.onnx.load`).

    `custom_objects` gives classes of your own by name: of the model, its
    layers, initializers, activations, optimizer, loss and metrics. `safe_mode`
    is Keras's, and without effect: files hold no code.

    Raises FileNotFoundError, or CheckpointError (a ValueError) for a file that
    is damaged, foreign or newer than this fastconv.
    """
    path = os.fsdecode(one_path(path, filepath, "load_model"))
    load = format_to_read(path, "load_model", "load_model").function("load_model")
    # What is drawn while a model is rebuilt is not kept: leave no trace of it.
    drawn = random.get_state()
    try:
        with custom_object_scope(custom_objects):
            return load(path, compile)
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
        return model_class(described).from_config(config)
