"""Preparing data for training: images from arrays and folders, with augmentation."""

from __future__ import annotations

from . import image
from .dataset import image_dataset_from_directory

__all__ = ["image", "image_dataset_from_directory"]
