import numpy as np

def moments(
    x: np.ndarray,
    mean: np.ndarray,
    squares: np.ndarray,
    block: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def affine_sums(
    dy: np.ndarray,
    x: np.ndarray,
    affine: np.ndarray,
    limit: float,
    total: np.ndarray,
    along: np.ndarray,
    block: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def affine(
    x: np.ndarray,
    affine: np.ndarray,
    residual: np.ndarray | None,
    limit: float,
    y: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def affine_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    affine: np.ndarray,
    limit: float,
    factors: np.ndarray,
    dx: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
