import numpy as np

BLOCK_INPUTS: int

def output(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    sums: np.ndarray,
    transposed: np.ndarray,
    parts: int,
    num_threads: int,
    /,
) -> None: ...
def gradients(
    dy: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    dx: np.ndarray | None,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    transposed: np.ndarray,
    sums: np.ndarray,
    parts: int,
    num_threads: int,
    /,
) -> None: ...
