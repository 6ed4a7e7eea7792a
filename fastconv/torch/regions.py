"""A module's forward pass as regions that fastconv runs, and the calls that stay with PyTorch."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from . import translation


class Untraceable(Exception):
    """A forward pass that cannot be known beforehand; the text says why."""


@dataclass(eq=False)
class Region:
    """Calls that run as one operation: all that lie between `inputs` and `outputs`."""

    nodes: list[fx.Node] = field(default_factory=list)
    inputs: list[fx.Node] = field(default_factory=list)
    outputs: list[fx.Node] = field(default_factory=list)


def graph_of(module: nn.Module, kind: type[nn.Module]) -> fx.Graph:
    """Return the calls that `kind.forward` makes; raise Untraceable where they depend on data.

    A forward pass that draws random numbers or changes its module would do so once, while it is
    traced, and never again: it is refused, and nothing is left changed.
    """
    if kind in translation.KNOWN_MODULES:
        graph = fx.Graph()
        graph.output(graph.call_module("", (graph.placeholder("input"),)))
        return graph
    before = _everything(module)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:  # whatever a user's code says of what is no tensor
        reason = str(error).strip().partition("\n")[0]
        raise Untraceable(f"{type(error).__name__}: {reason}") from error
    finally:
        drawn = not torch.equal(states[0], torch.get_rng_state())
        drawn = drawn or states[1] != random.getstate()
        drawn = drawn or str(states[2]) != str(np.random.get_state())
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])
        changed = _restore(module, before)
    if drawn:
        raise Untraceable("its forward pass draws random numbers")
    if changed:
        raise Untraceable(f"its forward pass changes {changed}")
    return graph


def _everything(module: nn.Module) -> list[tuple[nn.Module, dict[str, Any]]]:
    return [(one, dict(one.__dict__)) for one in module.modules()]


def _restore(module: nn.Module, before: list[tuple[nn.Module, dict[str, Any]]]) -> str:
    """Give modules the attributes that they had; return the name of one that was another."""
    changed = ""
    for one, attributes in before:
        for name in set(one.__dict__) | set(attributes):
            if one.__dict__.get(name) is not attributes.get(name):
                changed = f"{type(one).__name__}.{name}"
        one.__dict__.clear()
        one.__dict__.update(attributes)
    return changed


def regions_of(graph: fx.Graph, modules: Mapping[str, nn.Module]) -> list[Region | fx.Node]:
    """Return what runs one after another: regions, and single calls of PyTorch's.

    Raises Untraceable where a call of PyTorch's writes to what others may read.
    """
    nodes = list(graph.nodes)
    _read_what_was_written(nodes, modules)
    used = [node for node in nodes if node.users]
    ours = {node for node in used if translation.maker_of(node, modules) is not None}
    ours -= _normalizations_called_twice(ours, modules)
    while True:
        found = _grouped(nodes, ours)
        idle = [one for one in found if not _is_worthwhile(one, modules)]
        if not idle:
            break
        ours -= {node for one in idle for node in one.nodes}
    for node in nodes:
        if node in ours or not translation.writes_in_place(node, modules):
            continue
        target = node.all_input_nodes[0] if node.all_input_nodes else None
        alone = target is not None and list(target.users) == [node]
        if target is None or not (
            alone and (target in ours or translation.is_fresh(target, modules))
        ):
            raise Untraceable(f"{node.name} writes in place to what others may read")
        if node.op == "call_function" and node.target is operator.setitem:
            raise Untraceable(f"{node.name} writes in place to a part of a tensor")
    return _in_order(nodes, found, _depths(nodes, ours))


def _read_what_was_written(nodes: Sequence[fx.Node], modules: Mapping[str, nn.Module]) -> None:
    """Let what comes after a call that writes in place read what that gives: it is the same.

    So the order of calls follows from what they read; fastconv itself writes nothing in place.
    """
    place = {node: at for at, node in enumerate(nodes)}
    for node in nodes:
        if translation.writes_in_place(node, modules) and node.all_input_nodes:
            target = node.all_input_nodes[0]
            for reader in list(target.users):
                if place[reader] > place[node]:
                    reader.replace_input_with(target, node)


def _normalizations_called_twice(
    ours: Iterable[fx.Node], modules: Mapping[str, nn.Module]
) -> set[fx.Node]:
    """Return calls of modules that move their averages several times a pass."""
    calls: dict[int, list[fx.Node]] = {}
    for node in ours:
        if node.op == "call_module" and type(modules[str(node.target)]) is nn.BatchNorm2d:
            calls.setdefault(id(modules[str(node.target)]), []).append(node)
    return {node for group in calls.values() if len(group) > 1 for node in group}


def _depths(nodes: Sequence[fx.Node], ours: set[fx.Node]) -> dict[fx.Node, int]:
    """Return for each node how often its inputs' way crosses from one side to the other."""
    depth: dict[fx.Node, int] = {}
    for node in nodes:
        side = node in ours
        found = [depth[one] + ((one in ours) is not side) for one in node.all_input_nodes]
        depth[node] = max(found, default=int(side))
    return depth


def _grouped(nodes: Sequence[fx.Node], ours: set[fx.Node]) -> list[Region]:
    """Return the regions: neighbours of the same depth, so that no way leads out and in again."""
    depth = _depths(nodes, ours)
    region_of: dict[fx.Node, Region] = {}
    for node in nodes:
        if node not in ours:
            continue
        near = [one for one in node.all_input_nodes if one in ours and depth[one] == depth[node]]
        found = list({id(region_of[one]): region_of[one] for one in near}.values())
        first, *others = found or [Region()]
        for other in others:
            first.nodes += other.nodes
            region_of.update(dict.fromkeys(other.nodes, first))
        first.nodes.append(node)
        region_of[node] = first
    place = {node: at for at, node in enumerate(nodes)}
    regions = list({id(one): one for one in region_of.values()}.values())
    for region in regions:
        region.nodes.sort(key=place.__getitem__)
        within = set(region.nodes)
        read = [one for node in region.nodes for one in translation.sources(node)]
        region.inputs = list(dict.fromkeys(one for one in read if one not in within))
        region.outputs = [node for node in region.nodes if set(node.users) - within]
    return regions


def _is_worthwhile(region: Region, modules: Mapping[str, nn.Module]) -> bool:
    calls = [node for node in region.nodes if node.op == "call_module"]
    return any(type(modules[str(node.target)]) in translation.WORTHWHILE for node in calls)


def _in_order(
    nodes: Sequence[fx.Node], regions: Sequence[Region], depth: dict[fx.Node, int]
) -> list[Region | fx.Node]:
    """Return regions and single nodes, each after what it reads."""
    region_of = {node: region for region in regions for node in region.nodes}
    steps: dict[int, tuple[int, Region | fx.Node]] = {}
    for node in nodes:
        step = region_of.get(node, node)
        steps.setdefault(id(step), (depth[node], step))
    ordered = sorted(steps.values(), key=operator.itemgetter(0))
    return [step for _, step in ordered]
