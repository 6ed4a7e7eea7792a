"""MobileNetV2 tells pictures of 100 x 100 pixels apart: blocks that widen, look around, narrow."""

from __future__ import annotations

from command_line import arguments
from pictures import classifying

from fastconv import architectures
from fastconv.optimizers import Adam
from fastconv.optimizers.schedules import CosineDecay

chosen = arguments(__doc__, images=800, epochs=5)
training, validation, classes = classifying(chosen, size=100)
model = architectures.mobilenet_v2_like((100, 100, 3), classes)
# The last steps are small, so that the averages of batch normalization catch up with the weights.
model.compile(
    Adam(CosineDecay(0.004, chosen.epochs * len(training))),
    "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
log = model.fit(training, epochs=chosen.epochs, validation_data=validation).history

print(f"{model.count_params():,} parameters learnt from {chosen.images} pictures")
print(f"loss: {log['loss'][0]:.3f} in the first epoch, {log['loss'][-1]:.3f} in the last")
print(f"accuracy on new pictures: {log['val_accuracy'][-1]:.3f}; by chance {1 / classes:.3f}")
