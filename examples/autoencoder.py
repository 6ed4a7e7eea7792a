"""An autoencoder keeps a few numbers of a picture, and draws the picture again from them."""

from __future__ import annotations

import numpy as np
from command_line import arguments
from pictures import labelled

from fastconv import architectures

chosen = arguments(__doc__, images=1500, epochs=20)
size, code = 32, 32
x, x_new = (labelled(chosen, size, part)[0] / 255 for part in ("train", "validation"))
model = architectures.autoencoder((size, size, 3), code)
model.compile("adam", "mse")
log = model.fit(x, x, epochs=chosen.epochs, validation_data=(x_new, x_new)).history

codes = model.get_layer("encoder").predict(x_new, verbose=0)
again = model.get_layer("decoder").predict(codes, verbose=0)
error, plain = np.mean((again - x_new) ** 2), np.mean((x.mean(axis=0) - x_new) ** 2)
print(f"{model.count_params():,} parameters learnt from {chosen.images} pictures")
print(f"{x[0].size:,} values of a picture became {codes.shape[1]}")
print(f"loss: {log['loss'][0]:.4f} in the first epoch, {log['loss'][-1]:.4f} in the last")
print(f"squared error on new pictures: {error:.4f}; of the mean picture {plain:.4f}")
