"""What a run takes from its architecture's recipe: a model to begin with, the course, the words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .common import UsageError

if TYPE_CHECKING:
    from ..architectures import Recipe

LEAST_PATIENCE = 5  # epochs


def compiled_model(settings: dict[str, Any]) -> Any:
    """Return the new model of a run's settings, compiled; the rate and the recipe are noted there.

    With another optimizer than the recipe's it has that one's own rate and options.
    """
    from .. import architectures, optimizers
    from ..architectures.recipe_settings import settings_of

    architecture = architectures.get(settings["arch"])
    recipe = architecture.recipe
    own = settings["optimizer"] == recipe.optimizer
    optimizer = recipe.new_optimizer() if own else optimizers.get(settings["optimizer"])
    if settings["learning_rate"] is not None:
        optimizer.learning_rate = settings["learning_rate"]
    elif own or recipe.schedule is not None:
        settings["learning_rate"] = float(optimizer.learning_rate)
    size = settings["image_size"]
    early = recipe.early(size)
    try:
        if early is None:
            model = architecture((size, size, 3))
        else:
            architecture((early[1], early[1], 3))  # raises now if that is too small
            model = architecture((None, None, 3))
    except ValueError as error:
        raise UsageError(
            f"--image-size {size} is too small for {settings['arch']}: {error}"
        ) from None
    loss = recipe.loss_for(model.output_shape[-1])
    model.compile(optimizer=optimizer, loss=loss, metrics=list(recipe.metrics))
    settings["recipe"] = settings_of(recipe)
    return model


def usual_patience(recipe: Recipe) -> int:
    """Return the patience of a run that was not told one, 0 for none.

    The chapter's is 2, with which half of model3's runs end before they have learnt anything: the
    validation loss of augmented photos hardly moves in the first epochs.
    """
    return max(recipe.patience, LEAST_PATIENCE) if recipe.patience else 0


def run_recipe(settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe that a run goes by, for its number of epochs."""
    from ..architectures import AUGMENTATION, get
    from ..architectures.recipe_settings import recipe_of

    noted = settings.get("recipe")  # which files of before lack
    if noted is None:
        recipe = get(settings["arch"]).recipe
    else:
        recipe = recipe_of(noted, settings["checkpoint"])
    if recipe.schedule is not None and settings["learning_rate"] is None:
        raise UsageError("the run's recipe has a schedule and its learning_rate is missing")
    varied = {"augmentation": recipe.augmentation or AUGMENTATION}
    plain: dict[str, Any] = {"augmentation": {}, "final_augmentation": {}}
    return recipe.scaled(settings["epochs"]).but(**(varied if settings["augment"] else plain))


def is_recipe(value: Any) -> bool:
    """Whether a file's value is a recipe as `compiled_model` notes it."""
    from ..architectures.recipe_settings import recipe_of

    try:
        recipe_of(value, "model.npz")
    except (TypeError, ValueError):
        return False
    return True


def described(recipe: Recipe, optimizer: Any, settings: Mapping[str, Any]) -> str:
    """Say in one line what a recipe with a schedule does."""
    peak = settings["learning_rate"]
    parts = [f"{type(optimizer).__name__}{_momentum(optimizer)} at {peak:g}"]
    if recipe.schedule is not None:
        warm_up = f" in epoch {recipe.warmup_epochs + 1}" if recipe.warmup_epochs else ""
        parts[0] += f"{warm_up}, then along a cosine to 0 in epoch {recipe.epochs}"
    if optimizer.weight_decay:
        parts.append(f"weight decay {optimizer.weight_decay:g}")
    if optimizer.use_ema:
        parts.append("averaged weights")
    if recipe.augmentation:
        photos = "photos varied at random"
        if recipe.final_epochs:
            photos += f", in the last {_epochs(recipe.final_epochs)} {_final(recipe)}"
        parts.append(photos)
    if (early := recipe.early(settings["image_size"])) is not None:
        parts.append(f"the first {_epochs(early[0])} at {early[1]} x {early[1]} pixels")
    parts.append("the best epoch is kept" if recipe.save_best_only else "the last epoch is kept")
    if recipe.tta is not None:
        parts.append("evaluated with flips")
    return "; ".join(parts)


def _epochs(count: int) -> str:
    return "epoch" if count == 1 else f"{count} epochs"


def _momentum(optimizer: Any) -> str:
    momentum = getattr(optimizer, "momentum", 0)
    nesterov = "Nesterov " if getattr(optimizer, "nesterov", False) else ""
    return f" with {nesterov}momentum {momentum:g}" if momentum else ""


def _final(recipe: Recipe) -> str:
    flips = {"horizontal_flip", "vertical_flip"}
    names = {name for name, value in recipe.final_augmentation.items() if value}
    return "less" if names - flips else "by flips alone" if names else "not"
