"""The half of a model that goes into files and comes out of them."""

from __future__ import annotations

import os
from typing import Any

from .._core.json_values import dumps
from .._core.model_formats import format_to_read, format_to_write
from .._core.naming import one_path
from .._core.validation import wrong_value

Path = str | os.PathLike[str]


class Saved:
    """A model's methods of files."""

    def save(
        self, path: Path | None = None, overwrite: bool = True, *, filepath: Path | None = None
    ) -> None:
        """Write the whole model to `path`, whose suffix says how: see `docs/files.md`.

        `filepath` is Keras's word for `path`, here and in the methods below.
        An .npz file holds architecture, weights, compile arguments, optimizer and, during or
        after `fit`, the state of the run, from which it can go on. Where
        layers were frozen, added or taken off since, what no longer fits is
        left out, with a warning that says so. A file that is replaced keeps
        its mode.
        """
        model = self._savable()
        path = one_path(path, filepath, f"{model.owner}: save")
        _write(model, path, "save_model", overwrite)

    def check_saving(self, path: Path = ".npz", weights_only: bool = False) -> None:
        """Raise what saving to `path` would raise because of what the model is, or lacks."""
        model = self._savable()
        operation = "save_weights" if weights_only else "save_model"
        found = format_to_write(path, operation, model.owner)
        found.function("check_saving")(model, os.fsdecode(path), weights_only)

    def save_weights(
        self, path: Path | None = None, overwrite: bool = True, *, filepath: Path | None = None
    ) -> None:
        """Write the weights alone to `path`, whose suffix says how; .npz has them all."""
        model = self._savable()
        path = one_path(path, filepath, f"{model.owner}: save_weights")
        _write(model, path, "save_weights", overwrite)

    def load_weights(self, path: Path | None = None, *, filepath: Path | None = None) -> None:
        """Take the weights of a file that `save` or `save_weights` wrote.

        Layers are matched by their order. Raises CheckpointError, and leaves
        the model as it was, if the file is damaged or does not fit.
        """
        model = self._savable()
        given = os.fsdecode(one_path(path, filepath, f"{model.owner}: load_weights"))
        format_to_read(given, "load_weights", model.owner).function("load_weights")(model, given)

    def export(self, path: Path, format: str = "onnx") -> None:
        """Write the model as it predicts for other libraries: see `fastconv.onnx.export`."""
        model = self._savable()
        if format != "onnx":
            raise wrong_value(format, "format", f"{model.owner}: export", "'onnx'")
        from ..onnx.exporting import export  # with what few programs need

        export(model, path)

    def to_json(self) -> str:
        """Return the architecture, without weights, as text for `models.model_from_json`."""
        model = self._savable()
        described = {"class_name": model.saved_as, "config": model.get_config()}
        return dumps(described, f"{model.owner}: get_config()", "")

    def _savable(self) -> Any:
        return self  # which is a model


def save_model(model: Any, filepath: Path, overwrite: bool = True) -> None:
    """Write a whole model to a file, as `model.save` does."""
    if not isinstance(model, Saved):
        raise TypeError(f"save_model: model is {model!r}; it must be a Model")
    _write(model._savable(), filepath, "save_model", overwrite)


def _write(model: Any, path: Path, operation: str, overwrite: bool) -> None:
    """Save a built model by the function that the path's suffix asks for."""
    found = format_to_write(path, operation, model.owner)
    path = os.fsdecode(path)
    if not model.built:
        raise ValueError(
            f"{model.owner}: cannot save a model that is not built; call build() or fit() first"
        )
    if not overwrite and os.path.exists(path):
        raise FileExistsError(
            f"{model.owner}: path is {path!r}; it must be new; give overwrite=True or remove it"
        )
    found.function(operation)(model, path)
