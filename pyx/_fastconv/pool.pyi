import numpy as np

KINDS: dict[str, int]
MOST_ARGMAX: int

def pool(
    x: np.ndarray,
    y: np.ndarray,
    argmax: np.ndarray | None,
    fields: bytes,
    num_threads: int,
    /,
) -> None: ...
def pool_gradient(
    dy: np.ndarray,
    argmax: np.ndarray | None,
    norm: np.ndarray | None,
    x: np.ndarray | None,
    dx: np.ndarray,
    fields: bytes,
    num_threads: int,
    /,
) -> None: ...
def shares(
    dy: np.ndarray,
    y: np.ndarray | None,
    out: np.ndarray,
    fields: bytes,
    num_threads: int,
    /,
) -> bool: ...
def max_scatter(
    dy: np.ndarray, x: np.ndarray, dx: np.ndarray, fields: bytes, num_threads: int, /
) -> None: ...
