"""The kernels' stubs say what the compiled modules have: mypy sees nothing else of them."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from fastconv._core import runtime

PACKAGE = Path(runtime.kernels.__file__).parent
STUBS = {path.stem: path for path in PACKAGE.glob("*.pyi") if path.stem != "__init__"}


def stubbed(path: Path) -> tuple[dict[str, list[str]], set[str]]:
    """Return the parameters of each function in a stub, and the names of all else.

    What there is for several widths of vectors is the body of a protocol.
    """
    statements = ast.parse(path.read_text()).body
    classes = [node for node in statements if isinstance(node, ast.ClassDef)]
    protocols = [one for one in classes if any(ast.unparse(b) == "Protocol" for b in one.bases)]
    if protocols:
        (protocol,) = protocols
        statements = protocol.body
    functions = {
        node.name: [
            one.arg for one in (*node.args.posonlyargs, *node.args.args) if one.arg != "self"
        ]
        for node in statements
        if isinstance(node, ast.FunctionDef)
    }
    constants = {
        node.target.id
        for node in statements
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return functions, constants | {one.name for one in classes if one not in protocols}


def compiled(module: ModuleType) -> tuple[dict[str, list[str]], set[str]]:
    """Return the parameters of each public function of a module, and its other public names."""
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    functions = {
        name: list(inspect.signature(value).parameters)
        for name, value in public.items()
        if callable(value) and not isinstance(value, type)
    }
    return functions, public.keys() - functions


def test_every_module_has_a_stub():
    found = ((name, getattr(runtime.kernels, name)) for name in dir(runtime.kernels))
    modules = {
        name
        for name, value in found
        if isinstance(value, ModuleType) and value.__name__.startswith("_fastconv.")
    }
    assert modules - set(runtime.kernels.cpu.LEVELS) - {"_shared"} == STUBS.keys()


@pytest.mark.parametrize("name", sorted(STUBS))
def test_a_stub_has_the_names_and_parameters_of_its_module(name):
    assert stubbed(STUBS[name]) == compiled(getattr(runtime.kernels, name))


@pytest.mark.skipif(runtime.kernels.half_width is None, reason="has no level of shorter vectors")
def test_kernels_of_half_the_width_have_the_same_parameters():
    protocol = next(
        node
        for node in ast.parse((PACKAGE / "__init__.pyi").read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "DirectKernels"
    )
    names = {node.target.id for node in protocol.body}
    assert names == vars(runtime.kernels.half_width).keys()
    for name in names:
        assert stubbed(STUBS[name]) == compiled(getattr(runtime.kernels.half_width, name))


def test_the_package_has_what_its_stub_says():
    names = set()
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom) and node.module is None:
            names.update(alias.name for alias in node.names)
    assert [name for name in sorted(names) if not hasattr(runtime.kernels, name)] == []
    assert names >= STUBS.keys()


def test_installed_stubs_are_found():
    assert (PACKAGE / "py.typed").exists()
