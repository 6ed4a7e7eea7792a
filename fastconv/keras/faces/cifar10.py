"""`keras.datasets.cifar10`."""

from ..data_sets import load_cifar10 as load_data

__all__ = ["load_data"]
