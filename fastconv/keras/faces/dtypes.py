"""Types of numbers by TensorFlow's names: NumPy's."""

import numpy as np

__all__ = [
    *("as_dtype", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8"),
    *("string", "uint16", "uint32", "uint64", "uint8"),
]
bool = np.dtype(np.bool_)
float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
int8, int16, int32, int64 = (np.dtype(name) for name in ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = (
    np.dtype(f"u{name}") for name in ("int8", "int16", "int32", "int64")
)
string = np.dtype(object)
as_dtype = np.dtype
