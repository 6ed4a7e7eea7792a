"""The half of a model that goes into files and comes out of them."""

from __future__ import annotations

import os
from typing import Any

from .._core.json_values import dumps
from .._core.naming import one_path
from .._core.validation import wrong_value
from ..saving import checkpoint

Path = str | os.PathLike[str]


class Saved:
    """A model's methods of files."""

    def save(
        self, path: Path | None = None, overwrite: bool = True, *, filepath: Path | None = None
    ) -> None:
        """Write the whole model to `path`, an .npz file: see `fastconv.saving.checkpoint`.

        `filepath` is Keras's word for `path`, here and in the methods below.
        Architecture, weights, compile arguments, optimizer and, during or
        after `fit`, the state of the run, from which it can go on. Where
        layers were frozen, added or taken off since, what no longer fits is
        left out, with a warning that says so. A file that is replaced keeps
        its mode.
        """
        model = self._savable()
        path = one_path(path, filepath, f"{model.owner}: save")
        checkpoint.save_model(model, path, overwrite=overwrite)

    def check_saving(self) -> None:
        """Raise what `save` would raise because of what the model is, such as a missing method."""
        checkpoint.check_configuration(self._savable())

    def save_weights(
        self, path: Path | None = None, overwrite: bool = True, *, filepath: Path | None = None
    ) -> None:
        """Write architecture and weights alone to `path`, an .npz file."""
        model = self._savable()
        path = one_path(path, filepath, f"{model.owner}: save_weights")
        checkpoint.save_weights(model, path, overwrite=overwrite)

    def load_weights(self, path: Path | None = None, *, filepath: Path | None = None) -> None:
        """Take the weights of a file that `save` or `save_weights` wrote.

        Layers are matched by their order. Raises CheckpointError, and leaves
        the model as it was, if the file is damaged or does not fit.
        """
        model = self._savable()
        checkpoint.load_weights(model, one_path(path, filepath, f"{model.owner}: load_weights"))

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
    checkpoint.save_model(model._savable(), filepath, overwrite=overwrite)
