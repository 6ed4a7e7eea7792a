"""`keras.datasets.cifar100`."""

from ..data_sets import load_cifar100 as load_data

__all__ = ["load_data"]
