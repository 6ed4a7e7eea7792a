"""A U-Net finds the shape in each picture, pixel by pixel; pictures and masks are varied alike."""

from __future__ import annotations

import numpy as np
from command_line import arguments
from pictures import CHANGES, masked

from fastconv import architectures
from fastconv.preprocessing.image import ImageDataGenerator

chosen = arguments(__doc__, images=320, epochs=5)
size = 64
x, masks = masked(chosen, size, "train")
x_new, masks_new = masked(chosen, size, "validation")

# Two generators with one seed change a picture and its mask alike; a mask's pixels stay 0 or 1.
varied = ImageDataGenerator(rescale=1 / 255, **CHANGES)
varied_masks = ImageDataGenerator(rescale=1 / 255, interpolation_order=0, **CHANGES)
images = varied.flow(x, batch_size=16, seed=chosen.seed)
targets = varied_masks.flow(masks, batch_size=16, seed=chosen.seed)

model = architectures.unet((size, size, 3), filters=8)
model.compile("adam", "binary_crossentropy", metrics=["binary_accuracy"])
log = model.fit(
    zip(images, targets, strict=True),
    steps_per_epoch=len(images),
    epochs=chosen.epochs,
    validation_data=(x_new / 255, masks_new / 255),
).history

found, wanted = model.predict(x_new / 255, verbose=0) > 0.5, masks_new > 0
overlap = np.sum(found & wanted) / np.sum(found | wanted)
print(f"{model.count_params():,} parameters learnt from {chosen.images} pictures and their masks")
print(f"loss: {log['loss'][0]:.3f} in the first epoch, {log['loss'][-1]:.3f} in the last")
print(f"pixels that are right: {np.mean(found == wanted):.3f}; with no mask {np.mean(~wanted):.3f}")
print(f"masks found and wanted have {overlap:.3f} of their pixels in common")
