"""The part of a recipe that a run goes on by, as JSON values: written with a run, read again.

Optimizer and loss stand in a model's own configuration, and what can be said on the command line
among the run's settings; this is the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.validation import (
    Check,
    finite,
    fraction,
    natural,
    one_of,
    optional,
    positive_integer,
    truth,
    wrong_type,
    wrong_value,
)
from .recipes import Recipe

_OWNER = "recipe"
_MOST_EPOCHS = 10**9


def _augmentation(value: Any, argument: str, owner: str) -> dict[str, Any]:
    """Return arguments of ImageDataGenerator that change images at random, and nothing else."""
    from ..preprocessing.transform import RANDOM_CHANGES, ImageTransform

    if not isinstance(value, Mapping):
        raise wrong_type(value, argument, owner, "a dict")
    if unknown := [name for name in value if name not in RANDOM_CHANGES]:
        raise wrong_value(unknown[0], f"a name in {argument}", owner, "a random change")
    ImageTransform(**value)  # raises for their values
    return {
        name: list(option) if isinstance(option, tuple) else option
        for name, option in value.items()
    }


def _interpolation(value: Any, argument: str, owner: str) -> str:
    from ..preprocessing.image_files import INTERPOLATIONS

    return one_of(*INTERPOLATIONS)(value, argument, owner)


def _epochs(value: Any, argument: str, owner: str) -> int:
    if natural(value, argument, owner) > _MOST_EPOCHS:
        raise wrong_value(value, argument, owner, f"at most {_MOST_EPOCHS}")
    return int(value)


def _all_epochs(value: Any, argument: str, owner: str) -> int:
    return _epochs(positive_integer(value, argument, owner), argument, owner)


def _early_size(value: Any, argument: str, owner: str) -> float:
    share = fraction(value, argument, owner)
    if share == 0:
        raise wrong_value(value, argument, owner, "above 0")
    return share


_CHECKS: Mapping[str, Check[Any]] = {
    "epochs": _all_epochs,
    "rescale": finite,
    "interpolation": _interpolation,
    "augmentation": _augmentation,
    "final_epochs": _epochs,
    "final_augmentation": _augmentation,
    "schedule": optional(one_of("cosine")),
    "warmup_epochs": _epochs,
    "early_epochs": _epochs,
    "early_size": _early_size,
    "save_best_only": truth,
    "tta": optional(one_of("flip")),
}


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return what a run goes on by, JSON values."""
    return {name: check(getattr(recipe, name), name, _OWNER) for name, check in _CHECKS.items()}


def recipe_of(settings: Any, checkpoint: str) -> Recipe:
    """Return the recipe that `settings_of` gave, out of a file that may be anybody's.

    Raises TypeError or ValueError for anything else.
    """
    if not isinstance(settings, Mapping):
        raise wrong_type(settings, "the whole", _OWNER, "a dict")
    if unknown := sorted(map(str, settings.keys() - _CHECKS.keys())):
        raise wrong_value(unknown[0], "a name", _OWNER, f"one of {', '.join(_CHECKS)}")
    # What a file of before lacks has its default.
    return Recipe(
        checkpoint,
        **{name: _CHECKS[name](value, name, _OWNER) for name, value in settings.items()},
    )
