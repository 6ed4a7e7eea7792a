"""Serves `keras` and `tensorflow` from fastconv: a finder in front of all others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .._core.missing_names import is_import
from . import missing, names

#: What TensorBoard looks for to use a stub of its own where TensorFlow is not wanted.
_NO_TENSORFLOW = "tensorboard.compat.notf"


def located(fullname: str) -> tuple[str, str] | None:
    """Return (tree, path within it) of a module's name, None where no tree has it."""
    for prefix, tree, path in names.PREFIXES:
        if fullname == prefix:
            return tree, path
        if fullname.startswith(f"{prefix}."):
            inside = ".".join(filter(None, (path, fullname[len(prefix) + 1 :])))
            return (tree, inside) if inside in names.TREES[tree] else None
    return None


class Served(ModuleType):
    """A module of Keras or TensorFlow, whose names are looked up in fastconv when asked for."""

    def __init__(self, fullname: str, tree: str, path: str) -> None:
        super().__init__(fullname, f"{fullname}, served by fastconv.")
        self._tree, self._tree_path = tree, path
        self._sources = names.TREES[tree][path]
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [one for one in self._names() if not one.startswith("_")]
        value = self._found(name)
        if value is not _NOTHING:
            return value
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        why = missing.reason(self._tree, self._tree_path, self._sources, name)
        if not is_import(sys._getframe(1)):
            raise missing.NotServed(
                missing.text(self.__name__, name, why, self._names()), name=name
            )
        if why:
            return missing.Missing(self.__name__, name, why)
        line = missing.text(self.__name__, name, why, self._names())
        raise missing.NotServedImport(line, name=self.__name__)

    def _found(self, name: str) -> Any:
        submodule = f"{self.__name__}.{name}"
        if located(submodule) is not None:
            return importlib.import_module(submodule)
        for source in self._sources:
            module = importlib.import_module(source)
            try:
                value = getattr(module, name)
            except AttributeError:
                continue
            # Keras's modules are served by name; others are what fastconv is made of.
            if not isinstance(value, ModuleType) or name == source.rpartition(".")[2]:
                return value
        return _NOTHING

    def _names(self) -> list[str]:
        """Return what the module has: names of its sources, and modules below it."""
        found: set[str] = set()
        for source in self._sources:
            module = importlib.import_module(source)
            found.update(getattr(module, "__all__", ()))
        tree, path = names.TREES[self._tree], self._tree_path
        below = {one for one in tree if one not in names.OLD and one.rpartition(".")[0] == path}
        return sorted(found | {one.rpartition(".")[2] for one in below if one})

    def __dir__(self) -> list[str]:
        return self._names()


_NOTHING = object()


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name == _NO_TENSORFLOW:
            return ModuleType(spec.name)
        place = located(spec.name)
        assert place is not None  # the finder has looked
        return Served(spec.name, *place)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: names are looked up when asked for."""


class Finder(MetaPathFinder):
    """Finds every module named `keras...` and `tensorflow...`, whatever is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        if fullname == _NO_TENSORFLOW:
            return ModuleSpec(fullname, _Loader(), origin="fastconv")
        root, _, below = fullname.partition(".")
        if root not in names.ROOTS:
            return None
        if located(fullname) is None:
            parent, _, name = fullname.rpartition(".")
            tree = "keras" if "keras" in parent.split(".") else root
            why = missing.reason(tree, below.rpartition(".")[0], (), name)
            raise missing.NoModule(missing.text(parent, name, why), name=fullname)
        return ModuleSpec(fullname, _Loader(), origin="fastconv", is_package=True)


_finder = Finder()


def install() -> None:
    """Serve `keras` and `tensorflow` from now on.

    Raises RuntimeError where one of them was imported before: who has it would go on with it.
    """
    if _finder in sys.meta_path:
        return
    loaded = sorted(names.ROOTS & set(sys.modules))
    if loaded:
        raise RuntimeError(
            f"fastconv.keras: {loaded[0]} is imported already; load fastconv.keras before it (in "
            "a notebook: restart the kernel)"
        )
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Serve them no more: the next `import keras` finds what is installed."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name, module in list(sys.modules.items()):
        if isinstance(module, Served) or name == _NO_TENSORFLOW:
            del sys.modules[name]
