"""`keras.ops`."""

from ..functions import *  # noqa: F403
from ..functions import crossentropy_of_each as binary_crossentropy  # noqa: F401
