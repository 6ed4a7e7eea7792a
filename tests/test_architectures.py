"""The chapter's four models and their recipes."""

from __future__ import annotations

import pytest

from fastconv import architectures
from fastconv.callbacks import EarlyStopping, ModelCheckpoint


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("model1", 77_729), ("model2", 27_073), ("model3", 27_073), ("model4", 6_647_873)],
)
def test_sizes_are_the_chapters(name, parameters):
    model = architectures.get(name)()
    assert model.count_params() == parameters and model.name == name
    assert model.output_shape == (None, 1) and not model.compiled


@pytest.mark.parametrize("name", ["model1", "model2", "model3"])
def test_recipes_of_the_first_three(name):
    recipe = architectures.get(name).recipe
    assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("adam", 0.001, 30)
    assert bool(recipe.augmentation) == (name == "model3")
    stopping, checkpoint = recipe.callbacks()
    assert isinstance(stopping, EarlyStopping) and stopping.patience == 2
    assert checkpoint.filepath == f"{name}.npz" and checkpoint.save_best_only


def test_recipe_of_the_fourth():
    recipe = architectures.model4.recipe
    model = recipe.compile(architectures.model4((30, 30, 3)))
    assert type(model.optimizer).__name__ == "RMSprop"
    assert model.optimizer.learning_rate == 1e-4
    (checkpoint,) = recipe.callbacks()
    assert isinstance(checkpoint, ModelCheckpoint)
    assert checkpoint.filepath == "model4-{epoch:02d}.npz" and checkpoint.save_best_only


def test_augmentation_is_the_chapters():
    from fastconv.preprocessing.image import ImageDataGenerator

    ImageDataGenerator(rescale=1 / 255, **architectures.AUGMENTATION)
    assert architectures.AUGMENTATION["rotation_range"] == 40
    assert architectures.AUGMENTATION["shear_range"] == 0.2


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="model1, model2, model3, model4"):
        architectures.get("model5")
