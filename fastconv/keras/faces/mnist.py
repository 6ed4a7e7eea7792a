"""`keras.datasets.mnist`."""

from ..data_sets import load_mnist as load_data

__all__ = ["load_data"]
