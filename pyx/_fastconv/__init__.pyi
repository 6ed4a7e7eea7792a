from typing import Protocol, type_check_only

from . import augment as augment
from . import cpu as cpu
from . import dense as dense
from . import dense_narrow as dense_narrow
from . import depthwise as depthwise
from . import elementwise as elementwise
from . import fused as fused
from . import losses as losses
from . import normalization as normalization
from . import optimizers as optimizers
from . import pool as pool
from . import replay as replay
from . import sparse as sparse
from . import structs as structs
from . import winograd as winograd
from . import winograd_gradient as winograd_gradient
from . import winograd_narrow as winograd_narrow
from .conv import Conv
from .conv_gradient import ConvGradient

KERNEL_API: int
simd_level: str
conv: Conv
conv_gradient: ConvGradient
half_width: DirectKernels | None

# The modules that there are for two widths of vectors; this package has them too.
@type_check_only
class DirectKernels(Protocol):
    conv: Conv
    conv_gradient: ConvGradient
