"""The settings of a training run, and the one check of them: from a shell or from a file."""

from __future__ import annotations

import argparse
import math
import os
import re
import reprlib
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .common import UsageError, number, usage_errors
from .train_recipe import is_recipe

ARCHITECTURES = ("model1", "model2", "model3", "model4", "pawnet")
OPTIMIZERS = ("sgd", "adam", "rmsprop")
#: What makes a run the run it is: --resume takes it from the file.
FIXED = ("arch", "batch_size", "image_size", "optimizer", "learning_rate", "augment", "seed")
CHANGEABLE = ("data", "epochs", "patience", "checkpoint", "log_dir", "history")
#: What the name of a checkpoint may tell.
FIELDS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")

_MOST_EPOCHS = _MOST_PATIENCE = 10**9
# A batch of more images, or larger ones, does not fit into the memory of most machines.
_MOST_IN_A_BATCH, _MOST_PIXELS = 65_536, 1024
# Width and precision have two digits: more would fill the memory with a name.
_SPECIFICATION = re.compile(r"([<>=^]?[-+ ]?0?\d{0,2})(\.\d{1,2})?[deEfFgG%]?")
_SEED = "a whole number from 0 to 4294967295"
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Rule:
    """What a setting may be; `wanted` says it in words."""

    kind: type
    accepts: Callable[[Any], object]
    """Returns something true for what may be."""
    wanted: str
    optional: bool = False

    def parse(self, text: str) -> Any:
        """Return the value of a command line's argument; the parser tells what is wrong."""
        return number(text, self.kind, self.accepts, self.wanted)

    def check(self, value: Any) -> Any:
        """Return a value of any origin, or raise ValueError."""
        if value is None and self.optional:
            return None
        whole = isinstance(value, int) and not isinstance(value, bool)
        fits = whole if self.kind is int else isinstance(value, self.kind)
        if not (fits or (self.kind is float and whole)) or not self.accepts(value):
            raise ValueError(f"is {reprlib.repr(value)}; it must be {self.wanted}")
        return self.kind(value)


def _whole(least: int, most: int) -> Rule:
    wanted = f"a whole number of at least {least}, at most {most}"
    return Rule(int, lambda value: least <= value <= most, wanted)


def _choice(names: tuple[str, ...]) -> Rule:
    return Rule(str, lambda value: value in names, f"one of {', '.join(names)}")


def _text(optional: bool = False) -> Rule:
    return Rule(str, lambda value: 0 < len(value) < 4096, "a path", optional)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "arch": _choice(ARCHITECTURES),
        "epochs": _whole(1, _MOST_EPOCHS),
        "batch_size": _whole(1, _MOST_IN_A_BATCH),
        "image_size": _whole(1, _MOST_PIXELS),
        "optimizer": _choice(OPTIMIZERS),
        "learning_rate": Rule(float, lambda value: 0 < value < math.inf, "a number above 0", True),
        "augment": Rule(bool, lambda value: True, "true or false"),
        "patience": _whole(0, _MOST_PATIENCE),
        "seed": Rule(int, lambda value: 0 <= value < 2**32, _SEED, True),
        "data": _text(),
        "checkpoint": _text(),
        "log_dir": _text(optional=True),
        "history": _text(optional=True),
        # What the run goes by besides; files of before have none.
        "recipe": Rule(dict, is_recipe, "a recipe as fastconv.train notes it", True),
        # Tells this run's files from another's; files of before have none.
        "run": Rule(str, re.compile("[0-9a-f]{12}").fullmatch, "12 hexadecimal digits", True),
    }
)


def check_said(arguments: argparse.Namespace) -> None:
    """Refuse, before any work, the paths of a command line that can hold no result."""
    for name in ("checkpoint", "history", "log_dir", "plot"):
        path = getattr(arguments, name)
        if path is not None:
            with usage_errors(ValueError, where=f"--{name.replace('_', '-')} "):
                check_path(name, path)
    if arguments.plot is not None:
        from ..visualization.history import check_plot

        with usage_errors(ImportError, ValueError, where="--plot: "):
            check_plot(arguments.plot)


def check_saved(settings: Any, where: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a checkpoint holds, checked as a command line is.

    `where` begins the errors: "--resume model1.npz". What is `said` on the
    command line takes the place of the file's, which is None if it is no good.
    Raises UsageError.
    """
    if not isinstance(settings, dict):
        raise UsageError(
            f"{where}: its settings are {reprlib.repr(settings)}; they must be an object"
        )
    if unknown := sorted(settings.keys() - RULES.keys()):
        raise UsageError(
            f"{where}: its settings have {reprlib.repr(unknown)}, which this fastconv does not "
            "know; update fastconv"
        )
    checked = {}
    for name, rule in RULES.items():
        try:
            checked[name] = rule.check(settings.get(name))
            _check_saved_path(name, checked[name])
        except ValueError as error:
            if name not in said:
                remedy = f"; give --{name.replace('_', '-')}" if name in CHANGEABLE else ""
                raise UsageError(f"{where}: its {name} {error}{remedy}") from None
            checked[name] = None
    return checked


def _check_saved_path(name: str, path: Any) -> None:
    """Raise ValueError unless a run can have noted this value of the setting `name`."""
    if name == "data":
        # Only read; a zip's photos go to fastconv's own cache, whose place no file chooses.
        if path != "synthetic" and (not os.path.isabs(path) or _has_controls(path)):
            raise ValueError(f"is {path!r}; it must be 'synthetic' or an absolute path")
    elif name in ("checkpoint", "history", "log_dir") and path is not None:
        check_path(name, path)


def check_path(name: str, path: str) -> None:
    """Raise ValueError unless `path` may be the setting `name`; the text begins with the path."""
    ending = {"checkpoint": ".npz", "history": ".csv"}.get(name, "")
    if not path.endswith(ending):
        raise ValueError(f"{path!r} must end in {ending}")
    if not path or _has_controls(path) or path.startswith("~"):
        # "~" is the shell's; a folder of that name is easily removed together with one's home.
        raise ValueError(f"{path!r} must be a path without control characters and '~' in front")
    if name != "log_dir" and os.path.isdir(path):
        raise ValueError(f"{path!r} is a folder; give a file's name")
    if name == "checkpoint":
        _check_fields(path)


def _has_controls(text: str) -> bool:
    return any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)


def _check_fields(pattern: str) -> None:
    """Raise ValueError unless a name's fields are plain ones, such as {epoch:02d}."""
    try:
        if "{{" in pattern or "}}" in pattern:
            raise ValueError("a brace that stands for itself")
        for _, field, specification, conversion in string.Formatter().parse(pattern):
            if field is None:
                continue
            if field not in FIELDS:
                raise KeyError(field)
            if conversion or not _SPECIFICATION.fullmatch(specification or ""):
                raise ValueError(f"{field}: {specification!r} is no plain format of a number")
        example_name(pattern)
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"{pattern!r} cannot be filled in ({error}); it may hold "
            f"{', '.join(f'{{{name}}}' for name in FIELDS)}"
        ) from None


def example_name(pattern: str) -> str:
    """Return a checkpoint's name as it could be."""
    return pattern.format_map({**dict.fromkeys(FIELDS, 0.5), "epoch": 1})


def check_model(model: Any, settings: Mapping[str, Any], where: str) -> None:
    """Refuse a file's model that is not of its settings, and names that are no words.

    Names of metrics become columns, tags and labels; the history is drawn and told of.
    """
    size = settings["image_size"]
    if not model.compiled or model.input_shape not in (
        (None, size, size, 3),
        (None, None, None, 3),
    ):
        raise UsageError(f"{where}: its image_size is {size}, which its model does not take")
    names = metric_names(model)
    history = (model.fit_state or {}).get("history", {}).get("history", {})
    for name in (*names, *history):
        if not isinstance(name, str) or not _WORD.fullmatch(name):
            raise UsageError(f"{where}: its metric {reprlib.repr(name)} must be a word")
    for name, values in history.items():
        if not isinstance(values, list) or not all(isinstance(v, (int, float)) for v in values):
            raise UsageError(f"{where}: its history of {name} must be a list of numbers")


def metric_names(model: Any) -> list[str]:
    """Return what an epoch of training `model` tells, without the validation's."""
    names: list[str] = model.metrics_names
    return names
