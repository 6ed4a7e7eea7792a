"""What Keras's files tell of a model, put as fastconv's own files do; nothing in it is run.

Keras 3 describes an object as {"module", "class_name", "config", "registered_name"} and a call by
{"args", "kwargs"} of {"class_name": "__keras_tensor__"}; Keras 2 as {"class_name", "config"} and
lists of [layer, call, tensor, kwargs].
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from .. import layers as layer_classes
from .. import optimizers
from .._core.naming import short
from .._core.registry import custom_object
from ..layers.arguments import constructor_arguments
from ..optimizers.arguments import SHARED

_MODELS = ("Sequential", "Functional", "Model")

#: Facts that change nothing in what a layer computes here.
_NO_MATTER = frozenset({"renorm_momentum", "batch_size", "ragged", "autocast", "synchronized"})
#: What older Keras calls arguments, by the class.
_OLD_NAMES = {"LeakyReLU": {"alpha": "negative_slope"}}
#: What TF-Keras tells of layers that have no such weight.
_LEFT_OVER = {
    "SeparableConv2D": ("kernel_initializer",),
    "DepthwiseConv2D": ("kernel_initializer",),
}
_NO_MATTER_TO_OPTIMIZERS = frozenset(
    {"name", "is_legacy_optimizer", "jit_compile", "ema_overwrite_frequency"}
)


def model_entry(saved: Any) -> dict[str, Any]:
    """Return {"class_name", "config"} of a model, as fastconv has them.

    Raises ValueError, naming the layer, for what has no counterpart.
    """
    name, config = _object(saved, "the model")
    if name not in _MODELS:
        raise ValueError(
            f"it is a {short.repr(name)}, a class of somebody's own, of which the file has no "
            "layers; make the model and call load_weights(path)"
        )
    if isinstance(config, list):  # of a Sequential, before Keras 2.2.3
        config = {"layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise ValueError("its configuration has no list of layers")
    _check_dtype(config.get("dtype"), "the model")
    made: dict[str, Any] = {"name": str(config.get("name") or name.lower())}
    if config.get("trainable") is False:
        made["trainable"] = False
    if name == "Sequential":
        made["layers"] = [_layer_entry(one) for one in config["layers"]]
        shape = config.get("build_input_shape")
        if made["layers"] and isinstance(shape, list) and not _tells_shape(made["layers"][0]):
            made["build_input_shape"] = shape
        return {"class_name": "Sequential", "config": made}
    return {"class_name": "Model", "config": {**made, **_Wiring(config).told()}}


def _object(saved: Any, what: str) -> tuple[str, Any]:
    if not isinstance(saved, Mapping) or not isinstance(saved.get("class_name"), str):
        raise ValueError(f"{what} is {short.repr(saved)}, which tells no class")
    name: str = saved["class_name"]
    registered = saved.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        name = registered
    return name, saved.get("config")


def _tells_shape(entry: Mapping[str, Any]) -> bool:
    config = entry["config"]
    return any(config.get(name) for name in ("batch_shape", "shape", "input_shape", "layers"))


def _layer_entry(saved: Any) -> dict[str, Any]:
    name, config = _object(saved, "a layer")
    if name in _MODELS:
        entry = model_entry(saved)
    elif not isinstance(config, dict):
        raise ValueError(f"{name}: its configuration is {short.repr(config)}, not an object")
    else:
        entry = {"class_name": name, "config": _layer_config(name, config)}
    if type(saved.get("shared_object_id")) is int:
        entry["shared"] = saved["shared_object_id"]
    return entry


def _layer_config(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    owner = f"{kind} {short.repr(config.get('name'))}"
    if kind == "Lambda":
        raise ValueError(
            f"{owner}: code in a file is never run; make the model with a Lambda of your own, and "
            "call load_weights(path)"
        )
    try:
        cls = layer_classes.get(kind)
    except ValueError as error:
        raise ValueError(f"{owner}: fastconv has no such layer ({error})") from None
    _check_dtype(config.get("dtype"), owner)
    if config.get("data_format") not in (None, "channels_last"):
        raise ValueError(
            f"{owner}: data_format is {config['data_format']!r}; it must be 'channels_last', save "
            "the model with that"
        )
    known = {*constructor_arguments(cls), "shape", "batch_shape"}
    if cls.__module__.partition(".")[0] != __package__.partition(".")[0]:
        known |= config.keys()  # of a user's class, which takes what it has written
    made: dict[str, Any] = {}
    for key, value in config.items():
        key = _OLD_NAMES.get(kind, {}).get(key, key)
        if key in ("batch_input_shape", "batch_shape"):
            shape = [] if value is None else list(value)[1:]
            made["shape" if kind == "InputLayer" else "input_shape"] = shape
        elif key == "axis" and kind == "BatchNormalization" and isinstance(value, list):
            made[key] = value[0] if len(value) == 1 else value
        elif key in known:
            made[key] = plain(value)
        elif value not in (None, False) and key not in (*_NO_MATTER, *_LEFT_OVER.get(kind, ())):
            if (key, value) == ("groups", 1):  # which TF-Keras tells of every convolution
                continue
            raise ValueError(f"{owner}: it has {key}={short.repr(value)}, which fastconv has not")
    return {key: value for key, value in made.items() if key not in ("dtype", "data_format")}


def _check_dtype(dtype: Any, owner: str) -> None:
    """Refuse any dtype but float32, told as a text or as a policy."""
    told = dtype
    if isinstance(told, Mapping):
        policy = told.get("config")
        told = policy.get("name") if isinstance(policy, Mapping) else told
    if told not in (None, "float32"):
        raise ValueError(
            f"{owner}: dtype is {short.repr(told)}; it must be 'float32', in which layers compute"
        )


def plain(value: Any) -> Any:
    """Return a value with the objects in it as {"class_name", "config"}."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if not isinstance(value.get("class_name"), str):
        return {key: plain(one) for key, one in value.items()}
    name, config = _object(value, "an object")
    if name in ("__lambda__", "function") and not isinstance(config, str):
        raise ValueError("it has code in it, which is never run")
    if name in ("__tuple__", "__numpy__", "__tensor__"):
        inner = value.get("items", config)
        return plain(inner.get("value") if isinstance(inner, Mapping) else inner)
    if name == "function":  # by which Keras 3 tells a function's name
        return config
    config = config if isinstance(config, Mapping) else {}
    kept = {
        key: plain(one)
        for key, one in config.items()
        if key not in ("input_axes", "output_axes", "dtype")
    }
    return {"class_name": name, "config": kept}


class _Wiring:
    """How the layers of a functional model are connected: by name and number of the call."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        saved = config["layers"]
        self._entries = [_layer_entry(one) for one in saved]
        names = [one.get("name") or one["config"].get("name") for one in saved]
        self._places = {str(name): place for place, name in enumerate(names)}
        if len(self._places) != len(saved):
            raise ValueError("two layers have one name")
        self._nodes: dict[tuple[int, int], tuple[list[Any], bool, Any]] = {}
        for place, one in enumerate(saved):
            for number, node in enumerate(one.get("inbound_nodes") or ()):
                self._nodes[place, number] = _call(node, str(names[place]))
        self._is_keras_3 = any(
            isinstance(node, Mapping) for one in saved for node in one.get("inbound_nodes") or ()
        )
        self._inputs = self._tensors(config["input_layers"])
        self._outputs = self._tensors(config["output_layers"])
        self._input_names = _names(config["input_layers"])
        self._output_names = _names(config["output_layers"])
        self._number_calls_from_zero()

    def _tensors(self, told: Any) -> list[tuple[int, int, int]]:
        if isinstance(told, Mapping):
            told = list(told.values())
        if isinstance(told, list) and len(told) in (3, 4) and isinstance(told[0], str):
            told = [told]
        return [self._tensor(one) for one in told]

    def _tensor(self, told: Any) -> tuple[int, int, int]:
        name, call, tensor = told[:3]
        if name not in self._places or type(call) is not int or type(tensor) is not int:
            raise ValueError(f"{short.repr(told)} is no tensor of the model")
        return self._places[name], call, tensor

    def _number_calls_from_zero(self) -> None:
        """Of models within, a call of their own comes first: it is counted, too, in some places.

        Keras 2 counts it everywhere, Keras 3 where it tells the outputs.
        """
        read = {key: [self._tensor(one) for one in told[0]] for key, told in self._nodes.items()}
        of_calls = [one for told in read.values() for one in told]
        count = Counter(place for place, _ in self._nodes)
        last: dict[int, int] = {}
        for place, call, _ in [*self._outputs, *(() if self._is_keras_3 else of_calls)]:
            last[place] = max(last.get(place, 0), call)
        first = {place for place, call, _ in self._outputs if call == 0}

        def own(tensor: tuple[int, int, int], is_output: bool) -> tuple[int, int, int]:
            place, call, number = tensor
            shift = max(0, last.get(place, 0) - count.get(place, 1) + 1)
            if self._is_keras_3:
                shift = int(is_output and self._entries[place]["class_name"] == "Model")
                shift = 0 if place in first else shift
            return place, call - shift, number

        self._read = {key: [own(one, False) for one in told] for key, told in read.items()}
        self._outputs = [own(one, True) for one in self._outputs]

    def told(self) -> dict[str, Any]:
        """Return layers, inputs, calls and outputs as `Graph.wiring` has them."""
        numbers: dict[tuple[int, int, int], int] = {}
        for place, _, _ in self._inputs:
            numbers[place, 0, 0] = len(numbers)
        calls: list[dict[str, Any]] = []
        for place, call in self._in_order({place for place, _, _ in self._inputs}):
            _, is_list, training = self._nodes[place, call]
            made: dict[str, Any] = {"layer": place}
            made["inputs"] = [self._number(one, numbers) for one in self._read[place, call]]
            made |= {"list": True} if is_list else {}
            made |= {} if training is None else {"training": training}
            calls.append(made)
            for tensor in range(self._outputs_of(place)):
                numbers[place, call, tensor] = len(numbers)
        told: dict[str, Any] = {
            "layers": self._entries,
            "inputs": [place for place, _, _ in self._inputs],
            "calls": calls,
            "outputs": [self._number(one, numbers) for one in self._outputs],
        }
        for key, names in (("input", self._input_names), ("output", self._output_names)):
            told |= {} if names is None else {f"{key}_names": names}
        return told

    def _number(self, tensor: tuple[int, int, int], numbers: Mapping[Any, int]) -> int:
        if tensor not in numbers:
            name = self._entries[tensor[0]]["config"].get("name")
            raise ValueError(f"the call {tensor[1]} of {short.repr(name)} is nowhere made")
        return numbers[tensor]

    def _outputs_of(self, place: int) -> int:
        inner = self._entries[place]["config"].get("outputs")
        return len(inner) if isinstance(inner, list) else 1

    def _in_order(self, given: set[int]) -> list[tuple[int, int]]:
        """Return the calls, each behind those that it reads and behind the layer's one before."""
        waits: dict[tuple[int, int], int] = {}
        readers: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for (place, call), read in self._read.items():
            before = {(one, number) for one, number, _ in read if one not in given}
            before |= {(place, call - 1)} if call else set()
            waits[place, call] = len(before)
            for one in before:
                readers.setdefault(one, []).append((place, call))
        ready = deque(one for one, count in waits.items() if not count)
        order = []
        while ready:
            order.append(ready.popleft())
            for one in readers.get(order[-1], ()):
                waits[one] -= 1
                if not waits[one]:
                    ready.append(one)
        if len(order) != len(waits):
            raise ValueError("its calls of layers are no graph: some wait for one another")
        return order


def _names(told: Any) -> list[str] | None:
    return [str(name) for name in told] if isinstance(told, Mapping) else None


def _call(node: Any, owner: str) -> tuple[list[Any], bool, Any]:
    """Return (tensors, whether they are a list, training) of a call."""
    if isinstance(node, Mapping):
        args, options = node.get("args") or [], dict(node.get("kwargs") or {})
        inputs = args[0] if args else options.pop("inputs", None)
        options |= {str(place): one for place, one in enumerate(args[1:], 1)}
        if isinstance(inputs, Mapping) and "keras_history" not in inputs.get("config", {}):
            raise ValueError(f"{owner}: it is called on a dict of tensors; call it on a list")
        is_list = isinstance(inputs, list)
        tensors = [one["config"]["keras_history"] for one in (inputs if is_list else [inputs])]
    else:
        single = bool(node) and isinstance(node[0], str)
        tensors = [node] if single else list(node)
        is_list = len(tensors) > 1
        options = {k: v for one in tensors if len(one) > 3 for k, v in (one[3] or {}).items()}
    training = options.pop("training", None)
    more = {key: value for key, value in options.items() if value is not None}
    if more or training not in (None, True, False):
        raise ValueError(f"{owner}: it is called with {short.repr(more or training)}")
    return tensors, is_list, training


def compile_arguments(saved: Any) -> dict[str, Any] | None:
    """Return the arguments of `compile` that a file tells of; None if the model was not compiled.

    `saved` is Keras 3's compile_config or the older training_config.
    """
    if not isinstance(saved, Mapping) or not saved:
        return None
    saved = saved.get("config", saved) if "class_name" in saved else saved
    told = saved.get("optimizer", saved.get("optimizer_config"))
    if told is None or saved.get("loss") is None:
        return None
    arguments = {"optimizer": _optimizer(told), "loss": _objective(saved["loss"])}
    for name in ("loss_weights", "metrics", "weighted_metrics"):
        if saved.get(name):
            arguments[name] = _objective(saved[name])
    return arguments


def _optimizer(told: Any) -> Any:
    if isinstance(told, str):
        return told
    made = plain(told)
    if custom_object(made["class_name"]) is None:  # TF-Keras's own are told as somebody's
        made["class_name"] = made["class_name"].removeprefix("Custom>")
    kind = type(optimizers.get(made["class_name"]))
    known = {*constructor_arguments(kind), *SHARED, "lr", "decay"} - {"name"}
    config = {}
    for key, value in made["config"].items():
        if key in known:
            config[key] = value
        elif value not in (None, False, 0.0) and key not in _NO_MATTER_TO_OPTIMIZERS:
            raise ValueError(
                f"{made['class_name']} has {key}={short.repr(value)}, fastconv has not"
            )
    return {"class_name": made["class_name"], "config": config}


def _objective(told: Any) -> Any:
    """Return losses or metrics; of Keras's own objects what is not by default."""
    if isinstance(told, list):
        return [_objective(one) for one in told]
    if not isinstance(told, Mapping):
        return told
    if "class_name" not in told:
        return {key: _objective(one) for key, one in told.items()}
    made = plain(told)
    if not isinstance(made, Mapping) or "config" not in made:
        return made
    if made["class_name"] in ("MeanMetricWrapper", "LossFunctionWrapper"):
        return made["config"]["fn"]  # by which TF-Keras tells what was given by name
    gone = ("reduction", "dtype", "fn")
    config = {
        key: value
        for key, value in made["config"].items()
        if value is not None and not (key in gone and value in _USUAL_REDUCTIONS)
    }
    return {"class_name": made["class_name"], "config": config}


_USUAL_REDUCTIONS = ("sum_over_batch_size", "auto", "float32")
