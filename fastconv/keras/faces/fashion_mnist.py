"""`keras.datasets.fashion_mnist`."""

from ..data_sets import load_fashion_mnist as load_data

__all__ = ["load_data"]
