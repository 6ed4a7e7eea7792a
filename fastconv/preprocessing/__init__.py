"""Preparing data for training: images from arrays and folders, with augmentation."""

from __future__ import annotations

from . import image

__all__ = ["image"]
