"""A siamese network says whether two pictures are views of one: both go through the same tower."""

from __future__ import annotations

import numpy as np
from command_line import arguments
from pictures import CHANGES, labelled

from fastconv import architectures
from fastconv.preprocessing.image import ImageDataGenerator


def pairs(pictures: np.ndarray, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return views of pictures, and others of the same ones or of their neighbours, by turns."""
    views = ImageDataGenerator(rescale=1 / 255, **CHANGES)
    places = np.arange(len(pictures))
    same = places % 2 == 0
    others = pictures[np.where(same, places, places - 1)]
    whole = {"batch_size": len(pictures), "shuffle": False}
    first = next(views.flow(pictures, seed=2 * seed, **whole))
    second = next(views.flow(others, seed=2 * seed + 1, **whole))
    return [first, second], same.astype(np.float32)


chosen = arguments(__doc__, images=2000, epochs=12)
size = 32
x, _ = labelled(chosen, size, "train")
x_new, _ = labelled(chosen, size, "validation")
model = architectures.siamese((size, size, 3))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
losses = []
for epoch in range(chosen.epochs):
    views, same = pairs(x, chosen.seed + epoch)  # new ones each time
    losses += model.fit(views, same, verbose=0).history["loss"]
    print(f"epoch {epoch + 1}/{chosen.epochs}: loss {losses[-1]:.3f}")

_, accuracy = model.evaluate(*pairs(x_new, chosen.seed + chosen.epochs), verbose=0)
tower = model.get_layer("tower")
print(f"{model.count_params():,} parameters, {tower.count_params():,} of them in the shared tower")
print(f"loss: {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last")
print(f"accuracy on pairs of new pictures: {accuracy:.3f}; by chance 0.500")
