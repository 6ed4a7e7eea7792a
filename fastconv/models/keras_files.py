"""Keras's files, .keras, .h5 and .hdf5: models out of them and into them."""

from __future__ import annotations

import io
import json
import math
import os
import warnings
import zipfile
from typing import Any

import numpy as np

from .._core.files import replacing
from .._version import __version__
from ..saving.hdf5_file import Folder, require_h5py
from ..saving.keras_archive import open_weights, parsed
from ..saving.keras_config import compile_arguments, model_entry
from ..saving.keras_weights import matched, write_keras_3, write_legacy
from ..saving.keras_writing import compile_config, keras_entry
from ..saving.npz import reading
from .rebuilding import COMPILE_REMEDY, model_of

#: The Keras whose files are written.
_KERAS = "3.5.0"
#: Tells, in a file of fastconv's, that the optimizer had taken steps.
_LEFT_BEHIND = "fastconv_optimizer_steps"


class KerasFile:
    """A file of Keras's that holds a whole model; see `saving.model.ModelFile`."""

    def __init__(self, path: str, compile: bool) -> None:
        self.path = path
        self._trained = False
        with reading(path), open_weights(path) as (root, size, config):
            self._size = size
            told = _legacy_config(root, size) if config is None else config
            trained = told.get("compile_config") or told.get("training_config")
            with reading(path, "the model cannot be rebuilt"):
                self.config: dict[str, Any] = {**model_entry(told), "compile": None}
                self.config["input_shape"] = (told.get("build_config") or {}).get("input_shape")
            if compile:
                with reading(path, "the model cannot be compiled as it was", COMPILE_REMEDY):
                    self.config["compile"] = compile_arguments(trained)
                self._trained = _has_optimizer_state(root)

    def source(self) -> Any:
        """Return what weights are made of while the model is rebuilt: as many as the file holds."""
        left = self._size + (1 << 20)

        def zeros(name: str, shape: tuple[int, ...]) -> np.ndarray:
            nonlocal left
            left -= math.prod(shape) * 2  # of the shortest floats
            if left < 0:
                raise ValueError(
                    f"its configuration asks for a weight {name} of shape {shape}, which the "
                    "file is too small for"
                )
            return np.zeros(shape, np.float32)

        return zeros

    def put_weights(self, model: Any) -> None:
        """Copy the weights into the model, all checked first."""
        load_weights(model, self.path)

    def put_layer_states(self, model: Any) -> None:
        """Do nothing: Keras's files tell of no other state that fastconv's layers have."""

    def put_optimizer(self, model: Any) -> None:
        """Warn where an optimizer's state is left behind."""
        if self._trained:
            warnings.warn(
                f"{self.path}: the optimizer begins anew; its state is taken from .npz files alone",
                stacklevel=5,
            )

    def run_state(self) -> None:
        """Return None: no run can go on from such a file."""
        return None


def load_model(path: str, compile: bool) -> Any:
    """Return the model that a file holds, compiled as it was but for the optimizer's state."""
    require_h5py()
    return model_of(KerasFile(path, compile), compile)


def load_weights(model: Any, path: str) -> None:
    """Copy the weights of a file into a built model; on any error it is left as it was."""
    require_h5py()
    if not model.built:
        raise ValueError(f"{model.owner}: weights can be loaded once the model is built")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{model.owner}: {path!r} does not exist")
    with reading(path, f"the file does not fit {model.owner}"):
        with open_weights(path) as (root, size, _):
            pairs = matched(model, root)
            if sum(entry.size for _, entry in pairs) > size:
                raise ValueError("its arrays lie on top of one another")
            arrays = [entry.read() for _, entry in pairs]
        found = {id(parameter) for parameter, _ in pairs}
        missing = [one.name for one in model.weights if id(one) not in found]
        if missing:
            raise ValueError(f"it lacks {missing[0]}")
    with model.layers_lock:
        for (parameter, _), array in zip(pairs, arrays, strict=True):
            parameter.assign(array)


def _legacy_config(root: Folder, size: int) -> dict[str, Any]:
    text = root.text("model_config")
    if text is None:
        raise ValueError(
            "the file holds weights alone; make the model and call its load_weights(path)"
        )
    told = parsed(text, size)
    trained = root.text("training_config")
    return told if trained is None else {**told, "training_config": parsed(trained, size)}


def _has_optimizer_state(root: Folder) -> bool:
    if root.has(_LEFT_BEHIND):
        return True
    for path in ("optimizer/vars", "optimizer_weights"):
        found = root.find(path)
        if isinstance(found, Folder) and found.names():
            return True
    return False


def check_saving(model: Any, path: str, weights_only: bool) -> None:
    """Raise ImportError without h5py, ValueError for a layer that Keras does not have."""
    require_h5py()
    legacy = not path.lower().endswith(".keras")
    if not weights_only:
        _refuse_weights_name(model, path)
        keras_entry(model, legacy)
        compile_config(model, legacy)


def save_model(model: Any, path: str) -> None:
    """Write a whole model, without the optimizer's state, atomically."""
    check_saving(model, path, weights_only=False)
    with model.layers_lock:
        contents = _zipped(model) if path.lower().endswith(".keras") else _hdf5(model, whole=True)
    with replacing(path) as file:
        file.write(contents)


def save_weights(model: Any, path: str) -> None:
    """Write the weights, atomically; .weights.h5 as Keras 3 has them, .h5 as Keras 2."""
    require_h5py()
    with model.layers_lock:
        keras_3 = path.lower().endswith(".weights.h5")
        contents = _keras_3_weights(model) if keras_3 else _hdf5(model, whole=False)
    with replacing(path) as file:
        file.write(contents)


def _refuse_weights_name(model: Any, path: str) -> None:
    if path.lower().endswith(".weights.h5"):
        raise ValueError(
            f"{model.owner}: path is {path!r}, which says that it holds weights alone; call "
            "save_weights, or give a name that ends in '.keras'"
        )


def _zipped(model: Any) -> bytes:
    config = {**keras_entry(model), "compile_config": compile_config(model)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # A ZipInfo of our own has a fixed date: equal models make equal files.
        metadata = {"keras_version": _KERAS, "fastconv_version": __version__}
        archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(metadata))
        archive.writestr(zipfile.ZipInfo("config.json"), json.dumps(config))
        archive.writestr(zipfile.ZipInfo("model.weights.h5"), _keras_3_weights(model))
    return file.getvalue()


def _keras_3_weights(model: Any) -> bytes:
    file = io.BytesIO()
    with require_h5py().File(file, "w") as root:
        write_keras_3(model, root)
        _say_what_is_left_behind(model, root)
    return file.getvalue()


def _hdf5(model: Any, whole: bool) -> bytes:
    file = io.BytesIO()
    # The newest layout alone has room for configurations of more than 64 KB among attributes.
    with require_h5py().File(file, "w", libver="latest") as root:
        if not whole:
            write_legacy(model, root, _KERAS)
            return _closed(root, file)
        root.attrs["backend"], root.attrs["keras_version"] = "tensorflow", _KERAS
        root.attrs["model_config"] = json.dumps(keras_entry(model, legacy=True))
        _say_what_is_left_behind(model, root)
        compiled = compile_config(model, legacy=True)
        if compiled is not None:
            root.attrs["training_config"] = json.dumps(compiled)
        write_legacy(model, root.create_group("model_weights"), _KERAS)
        return _closed(root, file)


def _say_what_is_left_behind(model: Any, root: Any) -> None:
    if model.optimizer is not None and int(model.optimizer.iterations):
        root.attrs[_LEFT_BEHIND] = int(model.optimizer.iterations)


def _closed(root: Any, file: io.BytesIO) -> bytes:
    root.close()
    return file.getvalue()
