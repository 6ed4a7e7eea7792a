"""Which of PyTorch's operations fastconv computes, and the layer that computes each."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from .. import layers

Maker = Callable[..., layers.Layer]
"""Makes the layer, of the `name` that it is given."""


def _pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    return int(first), int(second)


def _sides(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, columns = _pair(padding)
    return (rows, rows), (columns, columns)


def _conv2d(module: Any) -> Maker | None:
    if module.padding_mode != "zeros":
        return None
    padding: Any = module.padding
    if not isinstance(padding, str):
        padding = _sides(padding)
    return partial(
        layers.Conv2D,
        module.out_channels,
        _pair(module.kernel_size),
        _pair(module.stride),
        padding,
        dilation_rate=_pair(module.dilation),
        groups=module.groups,
        use_bias=module.bias is not None,
        kernel_initializer="zeros",
    )


def _conv_transpose2d(module: Any) -> Maker | None:
    usual = _pair(module.dilation) == (1, 1) and module.groups == 1
    usual = usual and _pair(module.padding) == _pair(module.output_padding) == (0, 0)
    size, strides = _pair(module.kernel_size), _pair(module.stride)
    if not usual or any(map(operator.lt, size, strides)):
        return None
    return partial(
        layers.Conv2DTranspose,
        module.out_channels,
        size,
        strides,
        use_bias=module.bias is not None,
        kernel_initializer="zeros",
    )


def _batch_norm2d(module: Any) -> Maker | None:
    if module.running_mean is None or module.momentum is None or module.eps <= 0:
        return None
    return partial(
        layers.BatchNormalization,
        momentum=1 - module.momentum,
        epsilon=module.eps,
        center=module.affine,
        scale=module.affine,
    )


def _max_pool2d(module: Any) -> Maker | None:
    if module.return_indices:
        return None
    return partial(
        layers.MaxPooling2D,
        _pair(module.kernel_size),
        _pair(module.stride),
        _sides(module.padding),
        dilation_rate=_pair(module.dilation),
        ceil_mode=module.ceil_mode,
    )


def _avg_pool2d(module: Any) -> Maker | None:
    if module.divisor_override is not None:
        return None
    return partial(
        layers.AveragePooling2D,
        _pair(module.kernel_size),
        _pair(module.stride),
        _sides(module.padding),
        ceil_mode=module.ceil_mode,
        count_include_pad=module.count_include_pad,
    )


def _adaptive_avg_pool2d(module: Any) -> Maker | None:
    if module.output_size not in (1, (1, 1), [1, 1]):
        return None
    return partial(layers.GlobalAveragePooling2D, keepdims=True)


def _dropout(module: Any) -> Maker | None:
    return layers.Identity if module.p == 0 or not module.training else None


#: By the exact type: a subclass may compute something else.
_MODULES: Mapping[type, Callable[[Any], Maker | None]] = {
    nn.Conv2d: _conv2d,
    nn.ConvTranspose2d: _conv_transpose2d,
    nn.BatchNorm2d: _batch_norm2d,
    nn.ReLU: lambda module: layers.ReLU,
    nn.ReLU6: lambda module: partial(layers.ReLU, 6.0),
    nn.LeakyReLU: lambda module: partial(layers.LeakyReLU, module.negative_slope),
    nn.MaxPool2d: _max_pool2d,
    nn.AvgPool2d: _avg_pool2d,
    nn.AdaptiveAvgPool2d: _adaptive_avg_pool2d,
    nn.Identity: lambda module: layers.Identity,
    nn.Dropout: _dropout,
    nn.Dropout2d: _dropout,
}
#: Functions and methods that are modules without weights, called on (x, arguments of the module).
_FUNCTIONS: Mapping[Any, type[nn.Module]] = {
    functional.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    "relu": nn.ReLU,
    functional.relu6: nn.ReLU6,
    functional.leaky_relu: nn.LeakyReLU,
    functional.max_pool2d: nn.MaxPool2d,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}
_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
_CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)
#: Calls that are worth a crossing from PyTorch to fastconv and back.
WORTHWHILE = (nn.Conv2d, nn.ConvTranspose2d)
KNOWN_MODULES = frozenset(_MODULES)
#: Modules whose output is memory of its own, whatever they are given.
_FRESH = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.Linear)


def maker_of(node: fx.Node, modules: Mapping[str, nn.Module]) -> Maker | None:
    """Return what makes the layer that computes `node`; None where PyTorch has to."""
    if node.op == "call_module":
        module = modules[str(node.target)]
        known = _MODULES.get(type(module))
        alone = len(node.args) == 1 and not node.kwargs and isinstance(node.args[0], fx.Node)
        return known(module) if known is not None and alone else None
    if node.op not in ("call_function", "call_method"):
        return None
    if node.target in _ADDITIONS:
        two = len(node.args) == 2 and all(isinstance(arg, fx.Node) for arg in node.args)
        return layers.Add if two and not node.kwargs and node.args[0] is not node.args[1] else None
    if node.target in _CONCATENATIONS:
        return layers.Concatenate if _joins_channels(node) else None
    kind = _FUNCTIONS.get(node.target)
    return None if kind is None else _function(node, kind)


def _joins_channels(node: fx.Node) -> bool:
    options = dict(zip(("tensors", "dim"), node.args, strict=False)) | dict(node.kwargs)
    tensors = options.pop("tensors", None)
    together = isinstance(tensors, (list, tuple)) and len(tensors) > 1
    return together and set(node.all_input_nodes) == set(tensors) and options == {"dim": 1}


def _function(node: fx.Node, kind: type[nn.Module]) -> Maker | None:
    if (
        not node.args
        or len(node.all_input_nodes) != 1
        or node.all_input_nodes[0] is not node.args[0]
    ):
        return None
    try:
        module = kind(*node.args[1:], **node.kwargs)
    except (TypeError, ValueError):
        return None
    return _MODULES[kind](module)


def sources(node: fx.Node) -> list[fx.Node]:
    """Return the nodes that a translated node reads, in its layer's order."""
    given: Any = node.kwargs.get("tensors", node.args[0] if node.args else None)
    if isinstance(given, (list, tuple)):
        return list(given)
    return [arg for arg in node.args if isinstance(arg, fx.Node)]


def writes_in_place(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether a call writes to what it is given."""
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    name = str(getattr(node.target, "__name__", node.target))
    if name.endswith("_") and not name.endswith("__"):
        return True
    if node.op != "call_function":
        return False
    if node.target in _IN_PLACE_OPERATORS or "out" in node.kwargs:
        return True
    return bool(node.kwargs.get("inplace")) or _is_told_in_place(node)


def _is_told_in_place(node: fx.Node) -> bool:
    """Whether an argument by place is the function's `inplace`."""
    target: Any = node.target
    try:
        names = list(inspect.signature(target).parameters)
    except (TypeError, ValueError):  # compiled functions, whose names tell
        return False
    return bool(dict(zip(names, node.args, strict=False)).get("inplace"))


_IN_PLACE_OPERATORS = (
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ifloordiv,
    operator.imod,
    operator.ipow,
    operator.imatmul,
    operator.iand,
    operator.ior,
    operator.ixor,
    operator.ilshift,
    operator.irshift,
    operator.setitem,
)


def is_fresh(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether nobody else has the memory of what a node gives."""
    return node.op == "call_module" and type(modules[str(node.target)]) in _FRESH
