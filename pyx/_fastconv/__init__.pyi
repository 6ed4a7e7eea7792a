from types import SimpleNamespace

from . import augment as augment
from . import conv as conv
from . import conv_gradient as conv_gradient
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
from . import sparse as sparse
from . import structs as structs
from . import winograd as winograd
from . import winograd_gradient as winograd_gradient
from . import winograd_narrow as winograd_narrow

KERNEL_API: int
simd_level: str
half_width: SimpleNamespace | None
