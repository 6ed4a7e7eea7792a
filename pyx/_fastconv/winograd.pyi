import numpy as np

SKEWED: int

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
    kernel: np.ndarray, u: np.ndarray, cut: np.ndarray, num_threads: int
) -> None: ...
