"""Operations on arrays of fixed shapes: planned once, run many times.

A plan checks geometry and lays out index tables and scratch when it is made, so
that running it allocates nothing and checks nothing.  Callers hand in C-contiguous
arrays of exactly the planned shapes and dtype; the public functions of
`fastconv.ops` and the layers see to that.
"""

from .conv_pool import ConvPoolPlan
from .convolution import Conv2DPlan
from .dense import DensePlan
from .filtering import Filter2DPlan
from .folding import fold
from .normalization import NormalizationPlan
from .pooling import Pool2DPlan
from .scratch import Kept, Pool, sharing
from .transposed_convolution import Conv2DTransposePlan

__all__ = [
    "Conv2DPlan",
    "Conv2DTransposePlan",
    "ConvPoolPlan",
    "DensePlan",
    "Filter2DPlan",
    "Kept",
    "NormalizationPlan",
    "Pool",
    "Pool2DPlan",
    "fold",
    "sharing",
]
