"""`accelerate`: an existing module whose forward and backward passes fastconv runs where it can."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import fx, nn

from . import arrays, translation
from .region_function import RegionRunners
from .regions import Region, Untraceable, graph_of, regions_of

Module = TypeVar("Module", bound=nn.Module)

PLANS_KEPT = 8
_STATE = "_fastconv_plans"
_SIMPLE = (bool, int, float, str, type(None), tuple)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_tracing = threading.RLock()


class Plan:
    """A forward pass as it was traced: regions, and calls of PyTorch's between them."""

    def __init__(self, module: nn.Module, kind: type[nn.Module]) -> None:
        self._module = module
        self.modules: Mapping[str, nn.Module] = dict(module.named_modules())
        graph = graph_of(module, kind)
        self.steps = [
            RegionRunners(step, self.modules) if isinstance(step, Region) else step
            for step in regions_of(graph, self.modules)
        ]
        self._output = next(node for node in graph.nodes if node.op == "output")
        self._inputs = [node for node in graph.nodes if node.op == "placeholder"]

    @property
    def regions(self) -> list[Region]:
        """What fastconv runs."""
        return [step.region for step in self.steps if isinstance(step, RegionRunners)]

    @property
    def left(self) -> list[fx.Node]:
        """The calls that stay with PyTorch."""
        calls = ("call_module", "call_function", "call_method")
        return [step for step in self.steps if isinstance(step, fx.Node) and step.op in calls]

    def run(self, given: tuple[Any, ...]) -> Any:
        """Return what the forward pass returns for these arguments."""
        values: dict[fx.Node, Any] = {}
        for place, node in enumerate(self._inputs):
            values[node] = given[place] if place < len(given) else node.args[0]
        for step in self.steps:
            if isinstance(step, fx.Node):
                self._call(step, values)
                continue
            region = step.region
            outputs = step.run([values[node] for node in region.inputs])
            if outputs is None:
                for node in region.nodes:
                    self._call(node, values)
            else:
                values.update(zip(region.outputs, outputs, strict=True))
        return fx.node.map_arg(self._output.args[0], values.__getitem__)

    def takes(self, given: tuple[Any, ...]) -> bool:
        """Whether arguments are as many as the forward pass has, those with defaults left out."""
        needed = [node for node in self._inputs if not node.args]
        return len(needed) == len(given)

    def _call(self, node: fx.Node, values: dict[fx.Node, Any]) -> None:
        if node.op in ("placeholder", "output"):
            return
        if node.op == "get_attr":
            found: Any = self._module
            for name in str(node.target).split("."):
                found = getattr(found, name)
            values[node] = found
            return
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        target: Any = node.target
        if node.op == "call_module":
            values[node] = self.modules[target](*args, **kwargs)
        elif node.op == "call_method":
            values[node] = getattr(args[0], target)(*args[1:], **kwargs)
        else:
            values[node] = target(*args, **kwargs)


class Accelerated:
    """Goes before a module's class: runs its forward pass by a plan where there is one."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the module's own forward pass returns."""
        if not kwargs and args and _is_eager(args[0]):
            plan = _plan_of(self)
            if isinstance(plan, Plan) and plan.takes(args):
                return plan.run(args)
        return super().forward(*args, **kwargs)  # type: ignore[misc]

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        state = self.__getstate__() if hasattr(self, "__getstate__") else self.__dict__
        state = {key: value for key, value in state.items() if key != _STATE}
        return _rebuilt, (original_class(self),), state


_classes: dict[type[nn.Module], type[nn.Module]] = {}


def _class_of(kind: type[nn.Module]) -> type[nn.Module]:
    """Return the class whose modules are accelerated ones of `kind`, and look like them."""
    found = _classes.get(kind)
    if found is None:
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        names["__doc__"] = kind.__doc__ or ""
        found = _classes[kind] = type(kind.__name__, (Accelerated, kind), names)
    return found


def original_class(module: nn.Module) -> type[nn.Module]:
    """Return the class that a module has without acceleration."""
    kind = type(module)
    return kind.__mro__[2] if kind.__mro__[1] is Accelerated else kind


def _rebuilt(kind: type[nn.Module]) -> nn.Module:
    accelerated: Any = _class_of(kind)
    made: nn.Module = accelerated.__new__(accelerated)
    return made


def _is_eager(x: Any) -> bool:
    """Whether a call computes, here and now: it is not compiled, traced, or of mixed precision."""
    return (
        isinstance(x, torch.Tensor)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled("cpu")
        and not arrays.is_transformed()
    )


def _fingerprint(module: nn.Module) -> tuple[Any, ...] | None:
    """Return what the forward pass may depend on; None where others look into it.

    That is each module's class, attributes that are plain values, and the names of modules within.
    A hook, or a forward of a module's own, has to see what PyTorch's modules see.
    """
    parts: list[Any] = []
    for one in module.modules():
        attributes = one.__dict__
        if "forward" in attributes:
            return None
        if one is not module and any(attributes.get(name) for name in _HOOKS):
            return None
        parts.append(type(one))
        parts += [value for value in attributes.values() if type(value) in _SIMPLE]
        parts += [id(inner) for inner in attributes["_modules"].values()]
        parts += [value is None for value in attributes["_parameters"].values()]
    return tuple(parts)


def _plan_of(module: nn.Module) -> Plan | Untraceable | None:
    """Return the plan of a module as it is; why there is none; None where it must not be used."""
    key = _fingerprint(module)
    if key is None:
        return None
    plans: dict[Any, Plan | Untraceable] = module.__dict__.setdefault(_STATE, {})
    try:
        found = plans.get(key)
    except TypeError:  # an attribute that has no hash
        return Untraceable("an attribute of it cannot be compared")
    if found is None:
        found = _new_plan(module)
        while len(plans) >= PLANS_KEPT:
            del plans[next(iter(plans))]
        plans[key] = found
    return found


def _new_plan(module: Any) -> Plan | Untraceable:
    accelerated, kind = type(module), original_class(module)
    with _tracing:
        module.__class__ = kind  # whose forward pass is traced
        try:
            return Plan(module, kind)
        except Untraceable as error:
            return error
        finally:
            module.__class__ = accelerated


def accelerate(module: Module, verbose: bool = True) -> Module:
    """Let fastconv run `module` where it can, in training and prediction; return it.

    module: any `torch.nn.Module`, which is changed in place.  Its parameters, buffers and
    state_dict stay what they are, and so do its methods and its place in `isinstance`.

    Convolutions, transposed ones, and the batch normalizations, ReLUs, poolings, additions and
    concatenations around them run as one operation of PyTorch's, with its gradient.  All else
    stays with PyTorch, as does everything where tensors are no float32 ones on the CPU, in
    `torch.compile`, under autocast, in transforms of `torch.func`, and while a module within has
    hooks.  Where the forward pass depends on data it is the modules within that are accelerated.

    With `verbose` it prints what `report` returns.

    Raises TypeError for what is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"accelerate: module is a {type(module).__name__}; it must be a torch.nn.Module"
        )
    restore(module)
    _accelerate(module)
    if verbose:
        print(report(module))
    return module


def _accelerate(module: Any) -> None:
    module.__class__ = _class_of(type(module))
    plan = _plan_of(module)
    if isinstance(plan, Plan) and plan.regions:
        return
    _restore(module)
    if type(module) not in translation.KNOWN_MODULES:
        for child in module.children():
            if not isinstance(child, Accelerated):
                _accelerate(child)


def restore(module: Module) -> Module:
    """Undo `accelerate`, in place; return the module."""
    for one in module.modules():
        _restore(one)
    return module


def _restore(module: Any) -> None:
    if isinstance(module, Accelerated):
        module.__class__ = original_class(module)
        module.__dict__.pop(_STATE, None)


def _accelerated(module: nn.Module) -> Iterator[tuple[str, Plan]]:
    for name, one in module.named_modules():
        if isinstance(one, Accelerated):
            plan = _plan_of(one)
            if isinstance(plan, Plan):
                yield name, plan


def report(module: nn.Module) -> str:
    """Return what of a module fastconv runs, and what stays with PyTorch, as text."""
    lines = []
    kind = original_class(module).__name__
    found = list(_accelerated(module))
    if not found:
        return f"fastconv: nothing of {kind} is accelerated"
    for name, plan in found:
        calls = sum(len(region.nodes) for region in plan.regions)
        left = ", ".join(node.name for node in plan.left) or "nothing"
        where = f"{kind}.{name}" if name else kind
        lines.append(
            f"fastconv: {where}: {calls} calls in {len(plan.regions)} regions; PyTorch keeps {left}"
        )
    return "\n".join(lines)
