"""`tf.version`."""

from ..._version import __version__ as _fastconv

__all__ = ["VERSION"]
#: TensorFlow's, whose names these are, and whose they really are.
VERSION = f"2.20.0+fastconv.{_fastconv}"
