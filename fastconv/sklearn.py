"""A classifier for scikit-learn: `ConvClassifier`, in pipelines, searches and cross-validation.

Needs scikit-learn (`pip install 'fastconv[sklearn]'`), which is imported with this module alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import architectures, layers, models, optimizers
from ._core import random
from .callbacks import EarlyStopping

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.class_weight import compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError(
        f"fastconv.sklearn: scikit-learn 1.6 or newer cannot be imported ({error}); install it "
        "with: pip install 'fastconv[sklearn]'"
    ) from error

__all__ = ["ConvClassifier", "default_network"]

ModelMaker = Callable[[tuple[int, int, int], int], models.Model]
_LEAST_SIDE = 8  # pixels; smaller maps are not convolved and halved any more
_MOST_STAGES = 4


def default_network(image_shape: tuple[int, int, int], classes: int) -> models.Model:
    """Return a new network for images of `image_shape` (height, width, channels).

    The channels are standardized by what `fit` measures.  While height and width have 8 pixels or
    more, a 3x3 convolution of 32, 64, ... filters, ReLU, 2x2 max pooling and normalization halve
    them; a hidden layer of 64 units and the classes follow.  Without anything to convolve, as of
    rows of numbers, it is the hidden layer alone.
    """
    inputs = layers.Input(image_shape)
    x = layers.Normalization(name="standardization")(inputs)
    filters = 32
    for _ in range(_MOST_STAGES):
        if min(x.shape[1:3]) < _LEAST_SIDE:
            break
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization(momentum=0.9)(layers.MaxPooling2D(2)(x))
        filters *= 2
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    last = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    return models.Model(inputs, layers.Dense(last[0], activation=last[1])(x))


class ConvClassifier(ClassifierMixin, BaseEstimator):
    """A convolutional network as a scikit-learn classifier.

    `X` is (n, height, width, channels), or (n, height * width * channels) with `image_shape`, as
    pipelines hand it on.  2-D `X` without `image_shape` are rows of numbers: images of one pixel
    with a channel for each.  Labels are whatever scikit-learn takes.

    Args:
        image_shape: (height, width, channels), or (height, width) of one channel, of 2-D `X`.
        model: None for `default_network`; the name of one of `fastconv.architectures`; a function
            of (image_shape, classes) that returns an uncompiled model; or an uncompiled model,
            which is copied.  Its last layer has one unit with a sigmoid for two classes, or one
            for each class with a softmax.  A layer called "standardization" is adapted to `X`.
        epochs: how often training goes through the images.
        batch_size: images in a batch.
        optimizer: a name, or an object of `fastconv.optimizers`, which is copied.
        learning_rate: None for the optimizer's own.
        class_weight: None, "balanced", or {label: weight}.
        early_stopping: keep `validation_fraction` of the images back, stop where their loss has
            not been lower for `n_iter_no_change` epochs, and take the weights of the best one.
        random_state: what weights, order and dropout are drawn from: an int for the same bits in
            every fit, a RandomState, or None.
        verbose: as of `Model.fit`.

    Attributes:
        classes_: the labels, sorted.  `n_features_in_`: numbers in a row of `X`.
        model_: the trained `fastconv.Model`.  `history_`: its `History.history`.
        n_iter_: the epochs that were run.  `image_shape_`: (height, width, channels).

    Where several fits run at once, as in `GridSearchCV(n_jobs=2)`, joblib tells each process how
    many threads it has.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...] | None = None,
        *,
        model: str | ModelMaker | models.Model | None = None,
        epochs: int = 30,
        batch_size: int = 32,
        optimizer: Any = "adam",
        learning_rate: float | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.image_shape = image_shape
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> ConvClassifier:
        """Train a new network on images and labels; return self.

        Raises ValueError where they do not fit each other, `image_shape` or the model.
        """
        X, y = validate_data(
            self, X, y, dtype=np.float32, order="C", allow_nd=True, ensure_min_samples=2
        )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"ConvClassifier: y has one class, {self.classes_[0]!r}; it must have two or more"
            )
        images = self._as_images(X, fitting=True)
        state = check_random_state(self.random_state)
        # Other fits may run in other threads: none draws from another one's numbers.
        with random.apart(int(state.randint(np.iinfo(np.int32).max))):
            network = self._new_network()
            self._compile(network)
            data = self._split(images, places, state)
            _standardize(network, data[0])
            self.history_ = self._train(network, *data)
        self.model_, self.n_iter_ = network, len(self.history_["loss"])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return each class's probability for each row of `X`, (n, classes) float32."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, dtype=np.float32, order="C", allow_nd=True, reset=False)
        outputs = np.asarray(
            self.model_.predict(
                self._as_images(X, fitting=False), batch_size=self.batch_size, verbose=0
            )
        )
        if outputs.shape[1] > 1:
            return outputs
        return np.concatenate([1 - outputs, outputs], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of the most probable class for each row of `X`."""
        places = self.predict_proba(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[places]
        return labels

    # Fitting

    def _as_images(self, X: np.ndarray, fitting: bool) -> np.ndarray:
        """Return `X` as (n, height, width, channels); note or check their shape."""
        shape = self.image_shape
        if shape is not None:
            shape = tuple(shape) + (1,) * (3 - len(shape))
            if len(shape) != 3 or any(int(size) != size or size < 1 for size in shape):
                raise ValueError(
                    f"ConvClassifier: image_shape is {self.image_shape!r}; it must be (height, "
                    "width) or (height, width, channels)"
                )
        if X.ndim == 2:
            wanted = (1, 1, X.shape[1]) if shape is None else shape
            if X.shape[1] != np.prod(wanted):
                raise ValueError(
                    f"ConvClassifier: X has shape {X.shape}; with image_shape "
                    f"{self.image_shape!r} its rows must have {np.prod(wanted)} numbers"
                )
            X = X.reshape(len(X), *wanted)
        elif X.ndim == 3:  # of one channel
            X = X[..., np.newaxis]
        if X.ndim != 4 or (shape is not None and X.shape[1:] != shape):
            given = "(n, height, width, channels)" if shape is None else f"(n, *{shape})"
            raise ValueError(f"ConvClassifier: X has shape {X.shape}; it must be {given}, or rows")
        if fitting:
            self.image_shape_ = X.shape[1:]
        elif X.shape[1:] != self.image_shape_:
            raise ValueError(
                f"ConvClassifier: X has images of shape {X.shape[1:]}; it was fitted on "
                f"{self.image_shape_}"
            )
        return X

    def _new_network(self) -> models.Model:
        classes, shape = len(self.classes_), self.image_shape_
        wanted = self.model
        if wanted is None:
            network = default_network(shape, classes)
        elif isinstance(wanted, str):
            network = architectures.get(wanted)(shape, classes)
        elif isinstance(wanted, models.Model):
            network = models.clone_model(wanted)
        elif callable(wanted):
            network = wanted(shape, classes)
        else:
            raise TypeError(
                f"ConvClassifier: model is {wanted!r}; it must be None, a name, a function of "
                "(image_shape, classes) or a fastconv model"
            )
        if not network.built:
            network.build((None, *shape))
        if network.input_shape[1:] != shape:
            raise ValueError(
                f"ConvClassifier: the model takes {network.input_shape[1:]}, and X has images of "
                f"{shape}"
            )
        fitting = {(None, classes)} | ({(None, 1)} if classes == 2 else set())
        if network.output_shape not in fitting:
            raise ValueError(
                f"ConvClassifier: the model gives {network.output_shape}, and y has {classes} "
                f"classes {list(self.classes_[:10])}; its last layer must have a unit for each"
            )
        return network

    def _compile(self, network: models.Model) -> None:
        optimizer = optimizers.get(self.optimizer)
        optimizer = type(optimizer).from_config(optimizer.get_config())
        if self.learning_rate is not None:
            optimizer.learning_rate = self.learning_rate
        single = network.output_shape[-1] == 1
        loss = "binary_crossentropy" if single else "sparse_categorical_crossentropy"
        network.compile(optimizer, loss, metrics=["accuracy"])

    def _split(
        self, images: np.ndarray, places: np.ndarray, state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
        if not self.early_stopping:
            return images, places, None
        learn, keep = train_test_split(
            np.arange(len(places)),
            test_size=self.validation_fraction,
            stratify=places,
            random_state=state,
        )
        return images[learn], places[learn], (images[keep], places[keep])

    def _train(
        self,
        network: models.Model,
        images: np.ndarray,
        places: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None,
    ) -> dict[str, list[float]]:
        stopping = []
        if validation is not None:
            stopping = [EarlyStopping(patience=self.n_iter_no_change, restore_best_weights=True)]
        weights = None
        if self.class_weight is not None:
            values = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[places]
            )
            weights = dict(enumerate(map(float, values)))
        history = network.fit(
            images,
            places,
            batch_size=self.batch_size,
            epochs=self.epochs,
            validation_data=validation,
            callbacks=stopping,
            class_weight=weights,
            verbose=self.verbose,
        )
        return dict(history.history)


def _standardize(network: models.Model, images: np.ndarray) -> None:
    for layer in network.layers:
        if layer.name == "standardization" and isinstance(layer, layers.Normalization):
            layer.adapt(images)
