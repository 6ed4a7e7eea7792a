"""Data sets: the chapter's photos of dogs and cats, and a drawn stand-in for them."""

from __future__ import annotations

from .._core.missing_names import missing_names
from .dogs_and_cats import dog_vs_cat
from .stand_in import synthetic

__all__ = ["dog_vs_cat", "synthetic"]
__getattr__ = missing_names(__name__)
