"""Operations on arrays: arguments checked, outputs allocated, kernels run.

Images are (batch, height, width, channels), kernels (height, width, channels /
groups, filters), float32 or float64.
"""

from .._core.missing_names import missing_names
from .convolution import conv2d, conv2d_backward, conv2d_transpose, conv2d_transpose_backward
from .filtering import filter2d
from .pooling import (
    average_pool2d,
    average_pool2d_backward,
    l2_pool2d,
    l2_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool2d_with_places,
)

__all__ = [
    "average_pool2d",
    "average_pool2d_backward",
    "conv2d",
    "conv2d_backward",
    "conv2d_transpose",
    "conv2d_transpose_backward",
    "filter2d",
    "l2_pool2d",
    "l2_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_with_places",
]
__getattr__ = missing_names(__name__)
