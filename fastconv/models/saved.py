"""The half of a model that goes into files and comes out of them."""

from __future__ import annotations

import os
from typing import Any

from .._core.json_values import dumps
from .._core.naming import takes_filepath
from ..saving import checkpoint


class Saved:
    """A model's methods of files."""

    @takes_filepath
    def save(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the whole model to `path`, an .npz file: see `fastconv.saving.checkpoint`.

        Architecture, weights, compile arguments, optimizer and, during or
        after `fit`, the state of the run, from which it can go on. Where
        layers were frozen, added or taken off since, what no longer fits is
        left out, with a warning that says so. A file that is replaced keeps
        its mode.
        """
        checkpoint.save_model(self._savable(), path, overwrite=overwrite)

    def check_saving(self) -> None:
        """Raise what `save` would raise because of what the model is, such as a missing method."""
        checkpoint.check_configuration(self._savable())

    @takes_filepath
    def save_weights(self, path: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write architecture and weights alone to `path`, an .npz file."""
        checkpoint.save_weights(self._savable(), path, overwrite=overwrite)

    @takes_filepath
    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Take the weights of a file that `save` or `save_weights` wrote.

        Layers are matched by their order. Raises CheckpointError, and leaves
        the model as it was, if the file is damaged or does not fit.
        """
        checkpoint.load_weights(self._savable(), path)

    def to_json(self) -> str:
        """Return the architecture, without weights, as text for `models.model_from_json`."""
        model = self._savable()
        described = {"class_name": model.saved_as, "config": model.get_config()}
        return dumps(described, f"{model.owner}: get_config()", "")

    def _savable(self) -> Any:
        return self  # which is a model


def save_model(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a whole model to a file, as `model.save` does."""
    if not isinstance(model, Saved):
        raise TypeError(f"save_model: model is {model!r}; it must be a Model")
    model.save(filepath, overwrite=overwrite)
