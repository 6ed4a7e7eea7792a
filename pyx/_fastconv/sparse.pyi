import numpy as np

SLAB: int
ROLL: int
DEAD: int
MASK_FILTERS: int
LIST_ROOM: int

def kernel_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    winners: np.ndarray,
    origin: np.ndarray,
    shift: np.ndarray,
    sums: np.ndarray,
    bias_sums: np.ndarray,
    padded_image: bytes,
    pooled: bytes,
    filter_block: int,
    strip_rows: int,
    scratch: np.ndarray,
    offsets: np.ndarray,
    gradients: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    num_threads: int,
) -> None: ...
def input_gradient(
    dy: np.ndarray,
    winners: np.ndarray,
    kernel: np.ndarray,
    dx: np.ndarray,
    packed: np.ndarray,
    padded_image: bytes,
    pooled: bytes,
    walked: bytes,
    filter_block: int,
    strip_rows: int,
    scratch: np.ndarray,
    masks: np.ndarray,
    num_threads: int,
) -> None: ...
