import numpy as np

OUTER: int

def kernel_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    padded_image: bytes,
    tiling: bytes,
    block_rows: int,
    block_tiles: int,
    together: int,
    v: np.ndarray,
    z: np.ndarray,
    du: np.ndarray,
    sums: np.ndarray,
    scratch: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    num_threads: int,
    /,
) -> None: ...
