"""Networks that learn what is in pictures: which show the same, and what the least to keep is."""

from __future__ import annotations

from ..layers import (
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    Input,
    MaxPooling2D,
    Multiply,
    Reshape,
    Subtract,
)
from ..models import Model, Sequential
from .parts import check_size

Size = tuple[int, int, int]


def siamese(input_shape: Size = (32, 32, 1), embedding: int = 32) -> Model:
    """Return a network that says of two pictures whether they show the same, with new weights.

    Both go through one tower, the layer "tower", which makes `embedding` numbers of each; how far
    these are apart decides.  `model.get_layer("tower")` gives the numbers of one picture.
    """
    picture = Input(input_shape)
    tower = Sequential(
        [
            picture,
            Conv2D(16, 3, activation="relu"),
            MaxPooling2D(2),
            Conv2D(32, 3, activation="relu"),
            MaxPooling2D(2),
            Flatten(),
            Dense(embedding),
        ],
        name="tower",
    )
    first, second = Input(input_shape, name="first"), Input(input_shape, name="second")
    apart = Subtract()([tower(first), tower(second)])
    outputs = Dense(1, activation="sigmoid")(Multiply()([apart, apart]))
    return Model([first, second], outputs, name="siamese")


def autoencoder(input_shape: Size = (32, 32, 1), code: int = 16) -> Model:
    """Return a network that gives a picture back, values of 0 to 1, out of `code` numbers of it.

    `model.get_layer("encoder")` makes the numbers, `model.get_layer("decoder")` the picture: each
    is a model, with new weights.  Height and width must be multiples of 4.
    """
    check_size(input_shape, 4, "autoencoder")
    height, width, channels = input_shape
    encoder = Sequential(
        [
            Input(input_shape),
            Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            Flatten(),
            Dense(code),
        ],
        name="encoder",
    )
    small = (height // 4, width // 4, 32)
    decoder = Sequential(
        [
            Input((code,)),
            Dense(small[0] * small[1] * small[2], activation="relu"),
            Reshape(small),
            Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
            Conv2DTranspose(channels, 3, strides=2, padding="same", activation="sigmoid"),
        ],
        name="decoder",
    )
    picture = Input(input_shape)
    return Model(picture, decoder(encoder(picture)), name="autoencoder")
