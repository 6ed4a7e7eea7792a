import numpy as np

SKEWED: int

def blocked(
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    argmax: np.ndarray | None,
    padded_image: bytes,
    tiling: bytes,
    block_rows: int,
    v: np.ndarray,
    m: np.ndarray,
    scratch: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def in_passes(
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    argmax: np.ndarray | None,
    padded_image: bytes,
    tiling: bytes,
    block_rows: int,
    v: np.ndarray,
    m: np.ndarray,
    scratch: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def transform_kernel(
    kernel: np.ndarray, u: np.ndarray, kernels: bytes, num_threads: int, /
) -> None: ...
