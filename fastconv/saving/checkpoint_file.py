"""A checkpoint that is read: everything in it is checked before anything is made of it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.json_values import TAGS, loads, part
from .._version import __version__
from . import npz
from .model import SavableModel
from .npz import CheckpointError, reading

FORMAT = "fastconv/1"

# Parsed, a text takes some thirty times its characters' number of bytes, and a character has four.
_TEXT_ALWAYS_ALLOWED = 4 << 20
_TEXT_LARGEST_RATIO = 2
_LARGEST_COUNT = 1 << 53


class CheckpointFile:
    """A file's arrays, configuration and state, found whole and of the right kinds.

    Raises FileNotFoundError, or CheckpointError for a file that is damaged,
    foreign or newer. Each method raises CheckpointError for what does not
    fit, and has changed nothing then unless it says so.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fsdecode(path)
        self.arrays = npz.read(self.path)
        with reading(self.path):
            self._check_format()
            # Files without a list of members are of fastconv's first version, which had one tag.
            self.config = self._json("config", {}, ())
            self._listed = "members" in self.config
            if self._listed:
                self.config = self._json("config", {}, TAGS)
                self._check_members(self.config["members"])
            self.state = None
            if "state" in self.arrays:
                tags = TAGS if self._listed else ("array",)
                self.state = self._json("state", self.arrays, tags)
            self._check_halves()
            self.weights = {
                name: float32(name, array)
                for name, array in self.arrays.items()
                if name.startswith("weights/")
            }

    def _check_format(self) -> None:
        array = self.arrays.get("format")
        found = text_of(array, self.path) if array is not None and array.ndim == 0 else ""
        if not found.startswith("fastconv/"):
            raise CheckpointError(f"{self.path}: the file is not a fastconv checkpoint")
        if found != FORMAT:
            raise CheckpointError(
                f"{self.path}: the file has the format {found[:99]}, this fastconv "
                f"({__version__}) reads {FORMAT}; update fastconv"
            )

    def _json(
        self, name: str, arrays: Mapping[str, np.ndarray], tags: tuple[str, ...]
    ) -> dict[str, Any]:
        with reading(self.path, f"the file is damaged; its part {name!r} cannot be read"):
            return mapping(loads(text_of(self.arrays.get(name), self.path), arrays, tags), name)

    def _check_members(self, members: list[str]) -> None:
        """Compare the members with those the writer listed, and take them in its order."""
        missing = [name for name in members if name not in self.arrays]
        extra = sorted(self.arrays.keys() - set(members))
        if missing or extra or len(set(members)) != len(members):
            raise ValueError(
                f"it should hold {len(members)} parts and holds {len(self.arrays)}"
                + (f"; {missing[0]!r} is missing" if missing else "")
                + (f"; {extra[0]!r} is too many" if extra else "")
            )
        self.arrays = {name: self.arrays[name] for name in members}

    def _check_halves(self) -> None:
        """Refuse an unlisted file that has lost the optimizer's or the run's half of its state."""
        has_optimizer = "optimizer/iterations" in self.arrays
        lost_one = has_optimizer != (self.state is not None)
        if not self._listed and self.config.get("compile") and lost_one:
            raise ValueError("its part 'state' or the optimizer's state is missing")

    def _misfit(self, model: SavableModel, reason: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: the file does not fit {model.owner}: {reason}")

    def source(self) -> Source:
        """Return what hands the weights to a model that is rebuilt."""
        return Source(self.weights)

    # Filling a model

    def put_weights(self, model: SavableModel) -> None:
        """Copy the weights into the model; they are matched by order, and all checked first."""
        if not model.built:
            raise ValueError(f"{model.owner}: weights can be loaded once the model is built")
        pairs = [(layer, parameter) for layer in model.layers for parameter in layer.weights]
        if len(pairs) != len(self.weights):
            raise self._misfit(
                model, f"it holds {len(self.weights)} weights, the model has {len(pairs)}"
            )
        for (layer, parameter), (name, array) in zip(pairs, self.weights.items(), strict=True):
            # Layers are matched by order: automatic names differ between two equal models.
            if not is_weight(name, array, parameter.name, parameter.shape):
                raise self._misfit(
                    model,
                    f"it has {name.removeprefix('weights/')} of shape {array.shape} where "
                    f"{layer.owner} has {parameter.name} of shape {parameter.shape}",
                )
        with model.layers_lock:
            for (_, parameter), array in zip(pairs, self.weights.values(), strict=True):
                parameter.assign(array)

    def put_layer_states(self, model: SavableModel) -> None:
        """Give the layers their other state back: dropout's generators and the like.

        A file of weights alone has none. On an error some layers have theirs already.
        """
        if self.state is None:
            return
        with reading(self.path, f"the file does not fit {model.owner}"):
            saved = self.state.get("layers", {})
            states = list(mapping(saved, "layers").values())
            if len(states) != len(model.layers):
                raise ValueError(f"it has {len(states)} layers, not {len(model.layers)}")
            for layer, state in zip(model.layers, states, strict=True):
                layer.set_state(mapping(state, f"the state of {layer.owner}"))

    def put_optimizer(self, model: SavableModel) -> None:
        """Give the optimizer its state back, if the file has one."""
        state = {
            name.removeprefix("optimizer/"): array
            for name, array in self.arrays.items()
            if name.startswith("optimizer/")
        }
        if not state:
            return
        with reading(self.path, f"the file does not fit {model.owner}"):
            saved = self.config["compile"]["optimizer"]["class_name"]
            optimizer: Any = model.optimizer
            mine = type(optimizer).__name__
            if saved.rpartition(">")[2] != mine:
                raise ValueError(f"its optimizer is {saved}, the model's is {mine}")
            state = {name: _optimizer_value(name, array) for name, array in state.items()}
            optimizer.set_state(state, model.trainable_weights)

    # The run

    def run_state(self) -> dict[str, Any] | None:
        """Return the state of the run that wrote the file, None if none did."""
        if self.state is None:
            return None
        with reading(self.path, "the file is damaged; the state of its run"):
            if self.state["run"] is None:
                return None
            run = {
                "validation_data": None,
                **mapping(self.state["run"], "run"),
                "epoch": self.state["epoch"],
                "callbacks": self.state["callbacks"],
            }
            for name in ("epoch", "batch"):
                _count(run[name], name)
            for name in ("history", "data"):
                mapping(run[name], name)
            mapping(run["history"]["history"], "history")
            run["stopped"] = bool(run["stopped"])
            for entry in run["callbacks"]:
                mapping(entry["state"], f"the state of {entry['class_name']}")
            return run

    def resumable_state(self, repeat_epoch: bool = False) -> dict[str, Any]:
        """Return the state of the run, or say why no run can go on from the file.

        With `repeat_epoch`, a state within an epoch is put back to where that began.
        """
        run = self.run_state()
        if run is None:
            raise CheckpointError(
                f"{self.path}: the file holds no state of a training run; resume from one that a "
                "ModelCheckpoint without save_weights_only wrote"
            )
        if run["batch"] and repeat_epoch:
            index = run["data"].get("index")
            if type(index) is int:  # of data that hand out batches by it
                run["data"] = {**run["data"], "index": max(index - run["batch"], 0)}
            return {**run, "batch": 0}
        if run["batch"]:
            raise CheckpointError(
                f"{self.path}: the file was written after {run['batch']} batches of epoch "
                f"{run['epoch'] + 1}; a run goes on exactly only from a file of an epoch's end "
                "(save_freq='epoch')"
            )
        return run


class Source:
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


def text_of(array: np.ndarray | None, path: str | os.PathLike[str]) -> str:
    """Return the text that a member of the file at `path` holds; raise ValueError for others."""
    if array is None or array.ndim or array.dtype.kind != "U":
        raise ValueError("it is no text")
    allowed = _TEXT_ALWAYS_ALLOWED + _TEXT_LARGEST_RATIO * os.path.getsize(path)
    if array.nbytes > allowed:
        raise ValueError(f"it has {array.nbytes:,} bytes; at most {allowed:,} are read")
    return str(array)


def is_weight(saved: str, array: np.ndarray, name: str, shape: tuple[int, ...]) -> bool:
    """Whether a file's member is the weight `name` of that shape."""
    return saved.rpartition("/")[2] == part(name) and array.shape == tuple(shape)


def float32(name: str, array: np.ndarray) -> np.ndarray:
    """Return a file's weight in float32; raise ValueError for numbers of another kind."""
    if array.dtype.kind != "f":
        raise ValueError(f"{name} has the dtype {array.dtype}")
    with np.errstate(over="raise"):
        return array.astype(np.float32, copy=False)


def _optimizer_value(name: str, array: np.ndarray) -> Any:
    if array.ndim:
        return float32(name, array)
    value = array.item()
    if name != "iterations" and isinstance(value, float) and math.isfinite(value):
        return value
    return _count(value, name)


def _count(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST_COUNT:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least 0")
    return value


def mapping(value: Any, name: str) -> dict[str, Any]:
    """Return a part of a file that must be a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"its part {name!r} is a {type(value).__name__}, not an object")
    return value
