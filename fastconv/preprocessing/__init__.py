"""Preparing data for training: images from arrays and folders, with augmentation."""

from __future__ import annotations

from .._core.missing_names import missing_names
from . import image
from .dataset import image_dataset_from_directory

__all__ = ["image", "image_dataset_from_directory"]
__getattr__ = missing_names(__name__)
