"""pawnet tells the pictures of any folders apart: here faces from other things, or ten digits.

The pictures come with scikit-image (faces) and scikit-learn (digits) and are written as files, a
folder for each class, as photos of your own are: give these with --data.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from command_line import arguments
from folders import write_folders

from fastconv import architectures
from fastconv.preprocessing.image import ImageDataGenerator

SIZE = 32
KEPT = 0.2  # of each class, to validate with

chosen = arguments(__doc__, images=200, epochs=40, sets=("faces", "digits"))
recipe = architectures.pawnet.recipe.scaled(chosen.epochs)
if chosen.set == "digits":  # whose mirror images are none
    changes = {**recipe.augmentation, "horizontal_flip": False}
    recipe = recipe.but(augmentation=changes, final_augmentation={}, tta=None)
with tempfile.TemporaryDirectory() as temporary:
    given = Path(chosen.data or temporary)
    photos = given if chosen.data else write_folders(given, chosen.set, chosen.images)
    classes = sum(path.is_dir() for path in photos.iterdir())
    options = {
        "target_size": (SIZE, SIZE),
        "interpolation": recipe.interpolation,
        "class_mode": "binary" if classes == 2 else "categorical",
    }
    shared = {"rescale": recipe.rescale, "validation_split": KEPT}
    plain = ImageDataGenerator(**shared)
    varied = ImageDataGenerator(**shared, **recipe.augmentation)
    training = varied.flow_from_directory(photos, subset="training", **options)
    validation = plain.flow_from_directory(photos, subset="validation", shuffle=False, **options)
    model = architectures.pawnet((SIZE, SIZE, 3), classes)
    recipe.compile(model, steps_per_epoch=len(training))
    course = recipe.course(recipe.learning_rate, averages=True, generator=varied)
    log = model.fit(
        training, epochs=chosen.epochs, validation_data=validation, callbacks=course
    ).history
    result = model.evaluate(validation, verbose=0, return_dict=True, tta=recipe.tta)

print(f"loss: {log['loss'][0]:.3f} in the first epoch, {log['loss'][-1]:.3f} in the last")
print(f"accuracy on new pictures: {result['accuracy']:.3f}; by chance {1 / classes:.3f}")
