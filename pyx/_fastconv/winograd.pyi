import numpy as np

SKEWED: int
OUTER: int

def blocked(
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    winners: np.ndarray | None,
    strip: np.ndarray,
    fields: np.ndarray,
    block_rows: int,
    v: np.ndarray,
    m: np.ndarray,
    scratch: np.ndarray,
    num_threads: int,
) -> None: ...
def staged(
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    winners: np.ndarray | None,
    strip: np.ndarray,
    fields: np.ndarray,
    block_rows: int,
    v: np.ndarray,
    m: np.ndarray,
    scratch: np.ndarray,
    num_threads: int,
) -> None: ...
def transform_kernel(
    kernel: np.ndarray, u: np.ndarray, transposed: bool, num_threads: int
) -> None: ...
def kernel_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    strip: np.ndarray,
    fields: np.ndarray,
    block_rows: int,
    block_tiles: int,
    group: int,
    v: np.ndarray,
    z: np.ndarray,
    du: np.ndarray,
    sums: np.ndarray,
    scratch: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    num_threads: int,
) -> None: ...
