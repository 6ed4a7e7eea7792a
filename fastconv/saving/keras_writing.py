"""A model's configuration as Keras 3 tells it, or the error of what Keras does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import layers as layer_classes
from .. import optimizers
from .keras_weights import is_model
from .model import SavableModel

#: What fastconv computes and Keras does not, by the layer's class.
_OF_OURS = ("dilation_rate", "ceil_mode", "count_include_pad")
_POOLINGS = ("MaxPooling2D", "AveragePooling2D")
_FLOAT32 = "float32"
_HOMES = {
    "initializer": "keras.initializers",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
    "activation": "keras.layers",
    "learning_rate": "keras.optimizers.schedules",
}
_OPTIMIZER_ARGUMENTS = frozenset(
    (
        *("name", "learning_rate", "weight_decay", "clipnorm", "global_clipnorm", "clipvalue"),
        *("use_ema", "ema_momentum", "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "rho"),
        *("centered", "initial_accumulator_value", "amsgrad"),
    )
)


def keras_entry(model: Any, legacy: bool = False) -> dict[str, Any]:
    """Return what Keras 3 makes the model of; with `legacy`, as its .h5 files have it.

    Raises ValueError, naming the layer, for what Keras does not have.
    """
    kind = type(model).__name__
    if kind not in ("Sequential", "Model") or type(model).__module__.split(".")[0] != "fastconv":
        raise _no_counterpart(model, "Keras cannot find a class of your own")
    config = {"name": str(model.name), "trainable": model.trainable, "dtype": _FLOAT32}
    shape = _json_shape(model.input_shape)
    if kind == "Sequential":
        first = {"name": f"{model.name}_input", "shape": shape[1:]}
        layers = [_described("InputLayer", _input(first), legacy)]
        layers += [_layer(layer, legacy) for layer in model.layers if not _is_input(layer)]
        config |= {"layers": layers, "build_input_shape": shape}
        return _described("Sequential", config, legacy, "keras", {"input_shape": shape})
    config |= _graph(model, legacy)
    entry = _described("Functional", config, legacy, "keras.src.models.functional")
    return entry if legacy else {**entry, "registered_name": "Functional"}


def compile_config(model: SavableModel, legacy: bool = False) -> dict[str, Any] | None:
    """Return the arguments of `compile` as Keras tells them; None where the model has none.

    Raises ValueError for an optimizer's setting that Keras does not have.
    """
    if model.optimizer is None or model.loss is None:
        return None
    saved = optimizers.serialize(model.optimizer)
    config = {}
    for key, value in saved["config"].items():
        if key in _OPTIMIZER_ARGUMENTS:
            config[key] = value if legacy else _with_module(key, value)
        elif value not in (None, False, 0.0):
            raise ValueError(
                f"{model.owner}: optimizer has {key}={value!r}, which Keras has not; save as .npz"
            )
    name = saved["class_name"]
    optimizer = _described(name, config, legacy, "keras.optimizers")
    told = model.objectives_config()
    objectives = {
        key: value if legacy else _objective(value, "losses" if "loss" in key else "metrics")
        for key, value in told.items()
    }
    if legacy:
        usual = {"metrics": None, "loss_weights": None, "weighted_metrics": None}
        return {**usual, **objectives, "optimizer_config": optimizer}
    return {"optimizer": optimizer, **objectives, "run_eagerly": False, "jit_compile": False}


def _no_counterpart(layer: Any, why: str) -> ValueError:
    return ValueError(
        f"{layer.owner}: {why}; save as .npz, or put layers in its place that Keras has, too"
    )


def _is_input(layer: Any) -> bool:
    return type(layer) is layer_classes.InputLayer


def _json_shape(shape: Any) -> list[Any]:
    return [list(one) if isinstance(one, (list, tuple)) else one for one in shape]


def _described(
    name: str,
    config: Mapping[str, Any],
    legacy: bool,
    module: str = "keras.layers",
    build: Any = None,
) -> dict[str, Any]:
    if legacy:
        return {"class_name": name, "config": dict(config)}
    told = {"module": module, "class_name": name, "config": dict(config), "registered_name": None}
    return told if build is None else {**told, "build_config": build}


def _with_module(key: str, value: Any) -> Any:
    """Return an object within a configuration as Keras 3 tells it."""
    home = next((home for end, home in _HOMES.items() if key.endswith(end)), None)
    if home is None or not isinstance(value, Mapping) or "class_name" not in value:
        return value
    return _described(value["class_name"], value["config"], False, home)


def _objective(told: Any, module: str) -> Any:
    if isinstance(told, (list, tuple)):
        return [_objective(one, module) for one in told]
    if not isinstance(told, Mapping):
        return told
    if "class_name" not in told:
        return {key: _objective(one, module) for key, one in told.items()}
    return _described(told["class_name"], told["config"], False, f"keras.{module}")


def _input(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "batch_shape": [None, *config["shape"]],
        "dtype": _FLOAT32,
        "sparse": False,
        "name": config["name"],
    }


def _layer(layer: Any, legacy: bool) -> dict[str, Any]:
    if is_model(layer):
        return keras_entry(layer, legacy)
    kind = type(layer).__name__
    ours = getattr(layer_classes, kind, None) is type(layer)
    if kind in ("L2Pooling2D", "Lambda") or not ours:
        raise _no_counterpart(layer, f"Keras has no {kind} that a file could tell of")
    config = dict(layer.get_config())
    if _is_input(layer):
        return _described(kind, _input(config), legacy)
    config.pop("input_shape", None)
    if layer.trainable or not layer.weights:
        config.pop("trainable", None)  # which some classes of Keras's do not take
    if kind in _POOLINGS and any(key in config for key in _OF_OURS):
        keys = ", ".join(key for key in _OF_OURS if key in config)
        raise _no_counterpart(layer, f"Keras's {kind} has no {keys}")
    if kind != "ZeroPadding2D" and not isinstance(config.get("padding", ""), str):
        raise _no_counterpart(
            layer,
            f"padding is {config['padding']!r}, Keras's is 'valid' or 'same' (a "
            "ZeroPadding2D before it does the rest)",
        )
    config["dtype"] = _FLOAT32
    if not legacy:
        config = {key: _with_module(key, value) for key, value in config.items()}
    shape = layer.input_shape
    build = None if shape is None else {"input_shape": _json_shape(shape)}
    return _described(kind, config, legacy, build=build)


def _graph(model: Any, legacy: bool) -> dict[str, Any]:
    """Return the layers of a functional model, with the calls that each of them is given."""
    wiring = model.graph.wiring()
    layers = list(model.layers)
    names = [str(layer.name) for layer in layers]
    entries = [
        {**_layer(one, legacy), "name": str(one.name), "inbound_nodes": []} for one in layers
    ]
    # Of each tensor: layer, number of the call, number of the output; and its shape.
    histories: list[list[Any]] = [[names[place], 0, 0] for place in wiring["inputs"]]
    shapes: list[Any] = [list(tensor.shape) for tensor in model.inputs]
    counts = [0] * len(layers)
    by_call = _shapes_of_calls(model, wiring)
    for call, outputs in zip(wiring["calls"], by_call, strict=True):
        place = call["layer"]
        tensors = [_tensor(shapes[n], histories[n]) for n in call["inputs"]]
        options = {"training": call["training"]} if "training" in call else {}
        given = tensors if call.get("list") else tensors[0]
        entries[place]["inbound_nodes"].append({"args": [given], "kwargs": options})
        histories += [[names[place], counts[place], one] for one in range(len(outputs))]
        shapes += [list(shape) for shape in outputs]
        counts[place] += 1
    told: dict[str, Any] = {
        "input_layers": [histories[n] for n in range(len(wiring["inputs"]))],
        "output_layers": [_as_output(histories[n], layers, names) for n in wiring["outputs"]],
    }
    for key, own in (("input_layers", model._input_names), ("output_layers", model._output_names)):
        if own is not None:
            told[key] = dict(zip(own, told[key], strict=True))
    single = {
        key: one[0] if isinstance(one, list) and len(one) == 1 else one for key, one in told.items()
    }
    return {"layers": entries, **single}


def _as_output(history: list[Any], layers: list[Any], names: list[str]) -> list[Any]:
    """Return a tensor as Keras tells outputs, counting the first call of a model within."""
    name, call, number = history
    kind = type(layers[names.index(name)]).__name__
    return [name, call + (kind == "Model"), number]


def _shapes_of_calls(model: Any, wiring: Mapping[str, Any]) -> list[list[Any]]:
    """Return the shapes of what each call of a wiring gives."""
    inputs = {tensor.node for tensor in model.inputs}
    nodes = [node for node in model.graph.nodes if node not in inputs]
    return [[tensor.shape for tensor in node.outputs] for node in nodes[: len(wiring["calls"])]]


def _tensor(shape: Any, history: list[Any]) -> dict[str, Any]:
    config = {"shape": shape, "dtype": _FLOAT32, "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}
