"""Networks to begin with: the chapter's four models, pawnet, with recipes, and known graphs.

>>> from fastconv import architectures
>>> model = architectures.model3()
>>> model.count_params()
27073
>>> architectures.model3.recipe.patience
2
>>> architectures.resnet20(classes=10).count_params()
274042
"""

from __future__ import annotations

from .architecture import Architecture
from .chapter import model1, model2, model3, model4
from .classification import mobilenet_v2_like, resnet20, small_xception
from .known import ARCHITECTURES, get, tell_apart
from .pawnet import pawnet
from .recipes import AUGMENTATION, Recipe
from .representation import autoencoder, siamese
from .segmentation import unet

__all__ = [
    "ARCHITECTURES",
    "AUGMENTATION",
    "Architecture",
    "Recipe",
    "autoencoder",
    "get",
    "mobilenet_v2_like",
    "model1",
    "model2",
    "model3",
    "model4",
    "pawnet",
    "resnet20",
    "siamese",
    "small_xception",
    "tell_apart",
    "unet",
]
