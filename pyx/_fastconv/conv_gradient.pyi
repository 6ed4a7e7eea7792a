import numpy as np

def kernel_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    runs: np.ndarray,
    shape: np.ndarray,
    block_rows: int,
    splits: int,
    sums: np.ndarray,
    bias_sums: np.ndarray,
    patch: np.ndarray,
    filters: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    num_threads: int,
) -> None: ...
