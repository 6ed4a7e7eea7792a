"""Models in files: what a checkpoint holds, and how it is put back.

A checkpoint is a NumPy archive that `numpy.load(path, allow_pickle=False)`
reads:

    format                          "fastconv/1"
    config                          JSON: architecture, compile arguments, class names, metadata
    weights/<layer>/<variable>      float32
    optimizer/<name>                the optimizer's numbers and arrays
    state                           JSON: epoch, step, history, random-number generators,
                                    layers', callbacks' and data's states
    state/<path>                    arrays that stand in `state` as {"array": "state/<path>"}

The last three are missing from a file of weights alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import __version__, archive, losses, metrics, optimizers, random
from .archive import CheckpointError
from .models import Sequential

FORMAT = "fastconv/1"
SUFFIX = ".npz"


def save_model(model: Sequential, path: str | os.PathLike, overwrite: bool = True) -> None:
    """Write the whole model, atomically; `path` must end in ".npz"."""
    path = _checked_target(model, path, overwrite)
    with model._lock:
        contents = {**_architecture(model), **_optimizer_arrays(model), **_state(model)}
        archive.write(path, contents)


def save_weights(model: Sequential, path: str | os.PathLike, overwrite: bool = True) -> None:
    """Write architecture and weights, atomically; `path` must end in ".npz"."""
    path = _checked_target(model, path, overwrite)
    with model._lock:
        archive.write(path, _architecture(model))


def load_model(
    path: str | os.PathLike,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> Sequential:
    """Return the model of a file that `save_model` or `save_weights` wrote."""
    file = _File(path)
    # Rebuilding draws initial weights, which are not kept: leave no trace of it.
    drawn = random.get_state()
    try:
        model = file.rebuild(custom_objects)
        if compile and file.config.get("compile"):
            file.compile(model, custom_objects)
    finally:
        random.set_state(drawn)
    file.put_weights(model)
    if file.state is not None:
        file.put_layer_states(model)
    if model.compiled:
        file.put_optimizer(model)
        model._run_state = file.run_state()
    return model


def load_weights(model: Sequential, path: str | os.PathLike) -> None:
    """Copy the weights of a file into a built model; on any error it is left as it was."""
    _File(path).put_weights(model)


def restore_run(model: Sequential, path: str | os.PathLike) -> dict[str, Any]:
    """Put a compiled model where a run was when it wrote `path`; return the run's state.

    Restores weights, optimizer, layers' states and fastconv's random numbers.
    On any error the model is left as it was.
    """
    file = _File(path)
    state = file.run_state()
    if state is None:
        raise CheckpointError(
            f"{file.path}: the file holds no state of a training run; resume from one that a "
            "ModelCheckpoint without save_weights_only wrote"
        )
    if state["batch"]:
        raise CheckpointError(
            f"{file.path}: the file was written after {state['batch']} batches of epoch "
            f"{state['epoch'] + 1}; a run goes on exactly only from a file of an epoch's end "
            "(save_freq='epoch')"
        )
    before = _Snapshot(model)
    try:
        file.put_weights(model)
        file.put_layer_states(model)
        file.put_optimizer(model)
        random.set_state(file.state["random"])
    except BaseException:
        before.restore(model)
        raise
    return state


# Writing


def _checked_target(model: Sequential, path: str | os.PathLike, overwrite: bool) -> str:
    path = os.fspath(path)
    if not path.endswith(SUFFIX):
        raise ValueError(
            f"{model.owner}: cannot save to {path!r}; fastconv writes NumPy archives: give a name "
            f"that ends in '{SUFFIX}', such as {os.path.splitext(path)[0] + SUFFIX!r}"
        )
    if not model.built:
        raise ValueError(
            f"{model.owner}: cannot save a model that is not built; call build() or fit() first"
        )
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{model.owner}: {path!r} exists; give overwrite=True or remove it")
    return path


def _architecture(model: Sequential) -> dict[str, np.ndarray]:
    config = {
        "class_name": "Sequential",
        "config": model.get_config(),
        "compile": _compile_config(model) if model.compiled else None,
        "class_names": model.class_names,
        "metadata": model.metadata,
        "fastconv_version": __version__,
    }
    weights = {
        f"weights/{layer.name}/{parameter.name}": parameter.value
        for layer in model.layers
        for parameter in layer.weights
    }
    return {"format": np.array(FORMAT), "config": _to_json(config, model.owner), **weights}


def _compile_config(model: Sequential) -> dict[str, Any]:
    return {
        "optimizer": optimizers.serialize(model.optimizer),
        "loss": losses.serialize(model.loss),
        "metrics": [m if isinstance(m, str) else metrics.serialize(m) for m in model.metrics],
    }


def _optimizer_arrays(model: Sequential) -> dict[str, np.ndarray]:
    if not model.compiled:
        return {}
    return {f"optimizer/{k}": np.asarray(v) for k, v in model.optimizer.get_state().items()}


def _state(model: Sequential) -> dict[str, np.ndarray]:
    run = model._run_state if model._run is None else model._run.get_state()
    arrays: dict[str, np.ndarray] = {}
    state = {
        "epoch": 0 if run is None else run["epoch"],
        "step": int(model.optimizer.iterations) if model.compiled else 0,
        "history": {} if run is None else run["history"]["history"],
        "random": random.get_state(),
        "layers": {layer.name: layer.get_state() for layer in model.layers},
        "callbacks": [] if run is None else run["callbacks"],
        "run": run and {k: v for k, v in run.items() if k not in ("epoch", "callbacks")},
    }
    state = _without_arrays(state, "state", arrays)
    return {"state": _to_json(state, model.owner), **arrays}


def _to_json(value: Any, owner: str) -> np.ndarray:
    try:
        return np.array(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{owner}: cannot be saved, since a configuration or a state is no JSON ({error})"
        ) from None


def _without_arrays(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return `value` with its arrays moved to `arrays`, and NumPy's scalars as Python's."""
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {"array": path}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {k: _without_arrays(v, f"{path}/{k}", arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(v, f"{path}/{i}", arrays) for i, v in enumerate(value)]
    return value


# Reading


class _File:
    """A checkpoint that has been read and checked, and that nothing was made of yet."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        self.arrays = archive.read(self.path)
        self._check_format()
        self.config = self._json("config")
        self.state = self._json("state") if "state" in self.arrays else None
        self.weights = {
            name: array for name, array in self.arrays.items() if name.startswith("weights/")
        }

    def _check_format(self) -> None:
        found = self._text("format")
        if found is None or not found.startswith("fastconv/"):
            raise CheckpointError(f"{self.path}: the file is not a fastconv checkpoint")
        if found != FORMAT:
            raise CheckpointError(
                f"{self.path}: the file has the format {found}, this fastconv ({__version__}) "
                f"reads {FORMAT}; update fastconv"
            )

    def _text(self, name: str) -> str | None:
        array = self.arrays.get(name)
        return str(array) if array is not None and array.shape == () else None

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self._text(name) or "")
            if not isinstance(value, dict):
                raise ValueError("no object")
            return self._with_arrays(value)
        except (ValueError, KeyError, RecursionError) as error:
            raise self._damaged(f"its part {name!r} cannot be read: {error}") from None

    def _with_arrays(self, value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == {"array"} and isinstance(value["array"], str):
                return self.arrays[value["array"]]
            return {k: self._with_arrays(v) for k, v in value.items()}
        return [self._with_arrays(v) for v in value] if isinstance(value, list) else value

    def _damaged(self, reason: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: the file is damaged; {reason}")

    def _misfit(self, model: Sequential, reason: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: the file does not fit {model.owner}: {reason}")

    def rebuild(self, custom_objects: Mapping[str, Any] | None) -> Sequential:
        """Return the architecture as a new model."""
        try:
            model = Sequential.from_config(self.config["config"], custom_objects)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{self.path}: the model cannot be rebuilt: {error}") from error
        names = self.config.get("class_names")
        model.class_names = None if names is None else [str(name) for name in names]
        model.metadata = dict(self.config.get("metadata") or {})
        return model

    def compile(self, model: Sequential, custom_objects: Mapping[str, Any] | None) -> None:
        """Compile the model as it was when it was saved."""

        def own(saved: Any) -> Any:
            name = saved.get("class_name") if isinstance(saved, dict) else None
            found = (custom_objects or {}).get(name)
            return saved if found is None else found(**saved["config"])

        try:
            arguments = self.config["compile"]
            model.compile(
                own(arguments["optimizer"]),
                own(arguments["loss"]),
                [own(metric) for metric in arguments["metrics"]],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{self.path}: the model cannot be compiled as it was ({error}); give classes of "
                "your own as custom_objects, or use load_model(path, compile=False)"
            ) from error

    def put_weights(self, model: Sequential) -> None:
        """Copy the weights into the model; they are matched by order, and checked first."""
        if not model.built:
            raise ValueError(f"{model.owner}: weights can be loaded once the model is built")
        pairs = [(layer, parameter) for layer in model.layers for parameter in layer.weights]
        if len(pairs) != len(self.weights):
            raise self._misfit(
                model, f"it holds {len(self.weights)} weights, the model has {len(pairs)}"
            )
        for (layer, parameter), (name, array) in zip(pairs, self.weights.items(), strict=True):
            # Layers are matched by order: automatic names differ between two equal models.
            if name.rpartition("/")[2] != parameter.name or array.shape != parameter.shape:
                raise self._misfit(
                    model,
                    f"it has {name.removeprefix('weights/')} of shape {array.shape} where "
                    f"{layer.label} has {parameter.name} of shape {parameter.shape}",
                )
            if array.dtype.kind != "f":
                raise self._damaged(f"{name} has the dtype {array.dtype}")
        with model._lock:
            for (_, parameter), array in zip(pairs, self.weights.values(), strict=True):
                parameter.assign(array)

    def put_layer_states(self, model: Sequential) -> None:
        """Give the layers their other state back: dropout's generators and the like."""
        states = list(self.state.get("layers", {}).values())
        if len(states) != len(model.layers):
            raise self._misfit(model, f"it has {len(states)} layers, not {len(model.layers)}")
        for layer, state in zip(model.layers, states, strict=True):
            try:
                layer.set_state(state)
            except (KeyError, TypeError, ValueError) as error:
                raise self._misfit(model, str(error)) from None

    def put_optimizer(self, model: Sequential) -> None:
        """Give the optimizer its state back."""
        prefix = "optimizer/"
        state = {
            name.removeprefix(prefix): array if array.ndim else array.item()
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }
        if not state:
            return
        saved = (self.config.get("compile") or {}).get("optimizer", {}).get("class_name")
        mine = type(model.optimizer).__name__
        if saved != mine:
            raise self._misfit(model, f"its optimizer is {saved}, the model's is {mine}")
        try:
            model.optimizer.set_state(state, model.trainable_weights)
        except (KeyError, TypeError, ValueError) as error:
            raise self._misfit(model, str(error)) from None

    def run_state(self) -> dict[str, Any] | None:
        """Return the state of the run that wrote the file, None if none did."""
        if self.state is None or not self.state.get("run"):
            return None
        try:
            run = {
                **self.state["run"],
                "epoch": int(self.state["epoch"]),
                "callbacks": list(self.state["callbacks"]),
            }
            run["batch"], run["stopped"], run["history"], run["data"]
            return {"validation_data": None, **run}
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"its state lacks {error}") from None


class _Snapshot:
    """A model's weights, layer and optimizer states, and the random numbers' state."""

    def __init__(self, model: Sequential) -> None:
        self._weights = model.get_weights()
        self._layers = [layer.get_state() for layer in model.layers]
        self._optimizer = {k: np.copy(v) for k, v in model.optimizer.get_state().items()}
        self._random = random.get_state()

    def restore(self, model: Sequential) -> None:
        model.set_weights(self._weights)
        for layer, state in zip(model.layers, self._layers, strict=True):
            layer.set_state(state)
        numbers = {k: v if v.ndim else v.item() for k, v in self._optimizer.items()}
        model.optimizer.set_state(numbers, model.trainable_weights)
        random.set_state(self._random)
