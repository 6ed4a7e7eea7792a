from . import conv as conv
from . import cpu as cpu
from . import dense as dense
from . import fused as fused
from . import optim as optim
from . import pool as pool

KERNEL_API: int
simd_level: str
