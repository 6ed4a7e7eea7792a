"""Which module may import which: dependencies point one way, and heavy ones wait for their use."""

from __future__ import annotations

import ast
import fnmatch
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent

#: From the bottom up.  A module imports from its own room and from those above it here, also
#: inside functions and for types alone; nowhere does that make a circle.
ROOMS = {
    "core": ("_version", "_core", "_core.*"),
    "operations": ("ops", "ops.*"),
    "layers": (
        "activations",
        "activations.*",
        "constraints",
        "initializers",
        "regularizers",
        "layers",
        "layers.*",
        "losses",
        "losses.*",
        "metrics",
        "metrics.*",
        "optimizers",
        "optimizers.*",
        "backend",
        "config",
    ),
    "graph": ("graph", "graph.*"),
    "data": ("preprocessing", "preprocessing.*", "datasets", "datasets.*"),
    "callbacks": ("callbacks", "callbacks.*"),
    "saving": ("saving", "saving.*"),
    "training": ("training", "training.*"),
    "models": ("models", "models.*", "architectures", "architectures.*", "onnx", "onnx.*"),
    "wrappers": ("torch", "torch.*"),
    "visualization": ("visualization", "visualization.*", "plotting", "utils", "utils.*"),
    "studies": ("studies", "studies.*"),
    "doors": ("sklearn", "keras", "keras.*"),
    "commands": (
        "cli",
        "cli.*",
        "train",
        "evaluate",
        "predict",
        "filter",
        "check",
        "experiments",
        "__main__",
    ),
}
HEAVY = (
    "PIL",
    "skimage",
    "matplotlib",
    "tensorboard",
    "tensorflow",
    "tqdm",
    "scipy",
    "torch",
    "keras",
    "onnx",
    "sklearn",
)


def modules() -> dict[str, Path]:
    """Return every module of the package by its name within it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


MODULES = modules()


def room(name: str) -> int:
    """Return the place of a module's room in ROOMS."""
    for place, patterns in enumerate(ROOMS.values()):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return place
    raise AssertionError(f"fastconv.{name} is in no room: add it to ROOMS")


def imports(path: Path, package: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield (absolute name, is at the top level) of what a file imports, `if TYPE_CHECKING` too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in top
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{source}.{alias.name}", id(node) in top


def internal(name: str) -> Iterator[tuple[str, bool]]:
    """Yield the modules of the package that a module imports."""
    path = MODULES[name]
    parts = ["fastconv", *name.split(".")]
    package = parts if path.name == "__init__.py" else parts[:-1]
    for target, top in imports(path, package):
        inside = target.removeprefix("fastconv.")
        if inside == target:
            continue
        # `from .a import b` names the module a.b, or b of the module a.
        for candidate in (inside, inside.rpartition(".")[0]):
            if candidate in MODULES:
                yield candidate, top
                break


@pytest.mark.parametrize("name", MODULES)
def test_dependencies_point_down(name):
    upward = [target for target, _ in internal(name) if room(target) > room(name)]
    assert not upward, f"fastconv.{name} imports {', '.join(upward)} from above it"


def test_modules_import_without_circles():
    """No circle, be it by an import inside a function or for types alone."""
    above: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        if name in done:
            return
        assert name not in above, " -> ".join([*above[above.index(name) :], name])
        above.append(name)
        for target, _ in internal(name):
            # A package gathers its modules; one that imports a sibling does not need the package.
            if target != name and not name.startswith(f"{target}."):
                visit(target)
        above.pop()
        done.add(name)

    for name in MODULES:
        visit(name)


def test_few_files_stand_at_the_root():
    """The root has what users name and thin modules for commands; the rest is in rooms."""
    large = {
        path.name
        for path in PACKAGE.glob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > 15
    }
    assert len(large) <= 12, sorted(large)


def test_the_compiled_half_is_loaded_in_one_place():
    users = {
        name
        for name, path in MODULES.items()
        if any(target.split(".")[0] == "_fastconv" for target, _ in imports(path, []))
    }
    assert users == {"_core.runtime"}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("ops.reference")])
def test_the_reference_needs_numpy_alone(name):
    needed = {
        target.split(".")[0]
        for target, _ in imports(MODULES[name], ["fastconv", "ops"])
        if not target.startswith("fastconv.ops.reference")
    }
    assert needed <= set(sys.stdlib_module_names) | {"numpy"}


@pytest.mark.parametrize("name", MODULES)
def test_heavy_packages_are_imported_where_they_are_used(name):
    own = name.split(".")[0]  # the rooms of a door need what it leads to
    heavy = {
        target.split(".")[0]
        for target, top in imports(MODULES[name], ["fastconv"])
        if top and target.split(".")[0] in HEAVY and target.split(".")[0] != own
    }
    assert not heavy


@pytest.mark.parametrize(
    "statement",
    [
        "import fastconv",
        "from fastconv import Sequential, architectures, callbacks, datasets, layers, losses",
        "from fastconv import metrics, models, ops, optimizers, preprocessing, utils",
        "import fastconv.preprocessing.image, fastconv.cli.main",
    ],
)
def test_importing_loads_nothing_heavy(statement):
    code = f"{statement}\nimport sys\nprint(*sorted(set(sys.modules) & {set(HEAVY)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""


def test_import_fastconv_loads_no_submodule_that_is_not_needed():
    code = (
        "import fastconv, sys\nprint(*sorted(m for m in sys.modules if m.startswith('fastconv.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    names = (
        "_core",
        "_core.memory",
        "_core.runtime",
        "_core.startup",
        "_core.validation",
        "_version",
    )
    assert done.stdout.split() == [f"fastconv.{name}" for name in names]


def modules_after(statement: str) -> set[str]:
    """Return the modules that a new process has after NumPy's import and a statement."""
    code = f"import numpy\n{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_import_fastconv_takes_little_besides_numpy():
    new = modules_after("import fastconv") - modules_after("")
    assert not [name for name in new if name.startswith("_fastconv.av")]  # kernels: at first use
    assert not new & {"pathlib", "urllib.parse", "zipfile", "json", "difflib"}
    assert len(new) < 25, sorted(new)


@pytest.mark.parametrize(
    "statement", ["from fastconv import Sequential, layers", "import fastconv; fastconv.models"]
)
def test_models_need_nothing_that_reads_images(statement):
    new = modules_after(statement)
    assert not [name for name in new if re.match(r"fastconv\.(preprocessing|datasets|cli)", name)]
    assert not new & {"difflib", "concurrent.futures", "logging"}


def test_a_star_import_has_all_public_names():
    statement = "from fastconv import *\nassert set(__import__('fastconv').__all__) <= set(dir())"
    assert "fastconv.preprocessing" in modules_after(statement)


def test_importing_takes_about_as_long_as_numpys():
    """1.1 times as long, where it is measured alone; others may be at work beside a test."""
    seconds: dict[str, list[float]] = {"import numpy": [], "import fastconv": []}
    for _ in range(7):
        for statement, taken in seconds.items():
            start = time.perf_counter()
            # Without a timeout, with which Python looks every 50 ms whether it has ended.
            subprocess.run([sys.executable, "-c", statement], check=True)
            taken.append(time.perf_counter() - start)
    ours, theirs = (statistics.median(seconds[f"import {name}"]) for name in ("fastconv", "numpy"))
    assert ours < 1.6 * theirs


def test_every_public_name_is_there():
    for name in fastconv.__all__:
        assert getattr(fastconv, name) is not None
    assert set(fastconv.__all__) <= set(dir(fastconv))
    with pytest.raises(AttributeError, match="has no attribute 'tensor'"):
        _ = fastconv.tensor
