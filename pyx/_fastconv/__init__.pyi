from typing import Protocol, type_check_only

from . import augment as augment
from . import cpu as cpu
from . import losses as losses
from . import normalization as normalization
from . import optimizers as optimizers
from . import replay as replay
from . import structs as structs
from . import winograd as winograd
from . import winograd_gradient as winograd_gradient
from . import winograd_narrow as winograd_narrow
from .conv import Conv
from .conv_gradient import ConvGradient
from .dense import Dense
from .dense_narrow import DenseNarrow
from .depthwise import Depthwise
from .elementwise import Elementwise
from .fused import Fused
from .pool import Pool
from .sparse import Sparse

KERNEL_API: int
simd_level: str
conv: Conv
conv_gradient: ConvGradient
dense: Dense
dense_narrow: DenseNarrow
depthwise: Depthwise
elementwise: Elementwise
fused: Fused
pool: Pool
sparse: Sparse
half_width: DirectKernels | None
float64: Kernels

# The modules that there are for two widths of vectors; this package has them too.
@type_check_only
class DirectKernels(Protocol):
    conv: Conv
    conv_gradient: ConvGradient

# Those that there are for each type of values, if not on the same level.
@type_check_only
class Kernels(DirectKernels, Protocol):
    simd_level: str
    dense: Dense
    dense_narrow: DenseNarrow
    depthwise: Depthwise
    elementwise: Elementwise
    fused: Fused
    pool: Pool
    sparse: Sparse
