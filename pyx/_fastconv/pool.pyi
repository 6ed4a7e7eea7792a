import numpy as np

KINDS: dict[str, int]

def pool(x: np.ndarray, y: np.ndarray, fields: np.ndarray, num_threads: int) -> None: ...
def pool_gradient(
    dy: np.ndarray, x: np.ndarray, dx: np.ndarray, fields: np.ndarray, num_threads: int
) -> None: ...
