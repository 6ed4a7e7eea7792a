"""`tf.data`."""

from ..pipeline import AUTOTUNE, Dataset, Options

__all__ = ["AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY", "Dataset", "Options"]
INFINITE_CARDINALITY, UNKNOWN_CARDINALITY = -1, -2
