"""ResNet-20 tells pictures of 32 x 32 pixels apart: what a block gives is added to what it got."""

from __future__ import annotations

from command_line import arguments
from pictures import classifying

from fastconv import architectures
from fastconv.optimizers import Adam
from fastconv.optimizers.schedules import CosineDecay

chosen = arguments(__doc__, images=1500, epochs=6)
training, validation, classes = classifying(chosen, size=32)
model = architectures.resnet20((32, 32, 3), classes)
# The last steps are small, so that the averages of batch normalization catch up with the weights.
model.compile(
    Adam(CosineDecay(0.002, chosen.epochs * len(training))),
    "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
log = model.fit(training, epochs=chosen.epochs, validation_data=validation).history

print(f"{model.count_params():,} parameters learnt from {chosen.images} pictures")
print(f"loss: {log['loss'][0]:.3f} in the first epoch, {log['loss'][-1]:.3f} in the last")
print(f"accuracy on new pictures: {log['val_accuracy'][-1]:.3f}; by chance {1 / classes:.3f}")
